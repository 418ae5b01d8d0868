"""Non-INVITE server transaction: RFC 3261 section 17.2.2 and figure 8.

Invariant: one final response; later ones are discarded, retransmitted requests get the one that was sent.
"""

from carillon_sip.transaction import Effect as E
from carillon_sip.transaction import Effects, ServerTransaction, Transitions, steps
from carillon_sip.transaction import Input as I
from carillon_sip.transaction import State as S

#: RFC 3261 figure 8, with a limit for the user's answer (RFC 4320 section 4.2).
TRANSITIONS: Transitions = {
    (S.INITIAL, I.REQUEST): S.TRYING,
    (S.TRYING, I.REQUEST): S.TRYING,
    (S.TRYING, I.USER_1XX): S.PROCEEDING,
    (S.TRYING, I.USER_2XX): S.COMPLETED,
    (S.TRYING, I.USER_ERROR): S.COMPLETED,
    (S.TRYING, I.TIMER_USER): S.TERMINATED,
    (S.TRYING, I.TRANSPORT_ERROR): S.TERMINATED,
    (S.PROCEEDING, I.REQUEST): S.PROCEEDING,
    (S.PROCEEDING, I.USER_1XX): S.PROCEEDING,
    (S.PROCEEDING, I.USER_2XX): S.COMPLETED,
    (S.PROCEEDING, I.USER_ERROR): S.COMPLETED,
    (S.PROCEEDING, I.TIMER_USER): S.TERMINATED,
    (S.PROCEEDING, I.TRANSPORT_ERROR): S.TERMINATED,
    (S.COMPLETED, I.REQUEST): S.COMPLETED,
    (S.COMPLETED, I.TIMER_J): S.TERMINATED,
    (S.COMPLETED, I.TRANSPORT_ERROR): S.TERMINATED,
}

EFFECTS: Effects = {
    (S.INITIAL, I.REQUEST): (I.TIMER_USER,),
    (S.TRYING, I.USER_1XX): (E.SEND,),
    (S.TRYING, I.USER_2XX): (E.SEND, I.TIMER_J),
    (S.TRYING, I.USER_ERROR): (E.SEND, I.TIMER_J),
    (S.PROCEEDING, I.REQUEST): (E.RESEND,),
    (S.PROCEEDING, I.USER_1XX): (E.SEND,),
    (S.PROCEEDING, I.USER_2XX): (E.SEND, I.TIMER_J),
    (S.PROCEEDING, I.USER_ERROR): (E.SEND, I.TIMER_J),
    (S.COMPLETED, I.REQUEST): (E.RESEND,),
}


class NonInviteServerTransaction(ServerTransaction):
    """One request of the far end other than INVITE and ACK."""

    STEPS = steps(TRANSITIONS, EFFECTS)

    __slots__ = ()
