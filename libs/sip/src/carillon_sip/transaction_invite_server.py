"""INVITE server transaction: RFC 3261 section 17.2.1 and figure 7, as amended by RFC 6026 section 7.1.

Invariant: a final response other than 2xx is repeated until the ACK; a 2xx is repeated by the user, not here.
"""

from carillon_sip.transaction import Effect as E
from carillon_sip.transaction import Effects, ServerTransaction, Transitions, steps
from carillon_sip.transaction import Input as I
from carillon_sip.transaction import State as S

#: RFC 3261 figure 7, as amended by RFC 6026 section 7.1.
TRANSITIONS: Transitions = {
    (S.INITIAL, I.REQUEST): S.PROCEEDING,
    (S.PROCEEDING, I.REQUEST): S.PROCEEDING,
    (S.PROCEEDING, I.USER_1XX): S.PROCEEDING,
    (S.PROCEEDING, I.USER_2XX): S.ACCEPTED,
    (S.PROCEEDING, I.USER_ERROR): S.COMPLETED,
    # The figure only informs the user; without the flow nobody can be answered.
    (S.PROCEEDING, I.TRANSPORT_ERROR): S.TERMINATED,
    (S.ACCEPTED, I.REQUEST): S.ACCEPTED,
    # The user finds an ACK's session by its dialog, whatever its branch.
    (S.ACCEPTED, I.ACK): S.ACCEPTED,
    (S.ACCEPTED, I.USER_2XX): S.ACCEPTED,
    (S.ACCEPTED, I.TIMER_L): S.TERMINATED,
    (S.COMPLETED, I.REQUEST): S.COMPLETED,
    (S.COMPLETED, I.TIMER_G): S.COMPLETED,
    (S.COMPLETED, I.ACK): S.CONFIRMED,
    (S.COMPLETED, I.TIMER_H): S.TERMINATED,
    (S.COMPLETED, I.TRANSPORT_ERROR): S.TERMINATED,
    (S.CONFIRMED, I.ACK): S.CONFIRMED,
    (S.CONFIRMED, I.TIMER_I): S.TERMINATED,
}

EFFECTS: Effects = {
    (S.PROCEEDING, I.REQUEST): (E.RESEND,),
    (S.PROCEEDING, I.USER_1XX): (E.SEND,),
    (S.PROCEEDING, I.USER_2XX): (E.SEND, I.TIMER_L),
    (S.PROCEEDING, I.USER_ERROR): (E.SEND, I.TIMER_G, I.TIMER_H),
    (S.PROCEEDING, I.TRANSPORT_ERROR): (E.TRANSPORT_FAILED,),
    # "any retransmissions of the INVITE received will match this transaction ... and are absorbed"
    (S.ACCEPTED, I.USER_2XX): (E.SEND,),
    (S.COMPLETED, I.REQUEST): (E.RESEND,),
    (S.COMPLETED, I.TIMER_G): (E.RESEND, I.TIMER_G),
    (S.COMPLETED, I.ACK): (I.TIMER_I,),
}


class InviteServerTransaction(ServerTransaction):
    """One INVITE of the far end."""

    STEPS = steps(TRANSITIONS, EFFECTS)

    __slots__ = ()
