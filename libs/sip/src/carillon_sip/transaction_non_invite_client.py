"""Non-INVITE client transaction: RFC 3261 section 17.1.2 and figure 6.

Invariant: the user hears of exactly one final response, or of one failure.
"""

from carillon_sip.transaction import ClientTransaction, Effects, Transitions, steps
from carillon_sip.transaction import Effect as E
from carillon_sip.transaction import Input as I
from carillon_sip.transaction import State as S

#: RFC 3261 figure 6.
TRANSITIONS: Transitions = {
    (S.INITIAL, I.REQUEST): S.TRYING,
    (S.TRYING, I.TIMER_E): S.TRYING,
    (S.TRYING, I.TIMER_F): S.TERMINATED,
    (S.TRYING, I.TRANSPORT_ERROR): S.TERMINATED,
    (S.TRYING, I.STATUS_1XX): S.PROCEEDING,
    (S.TRYING, I.STATUS_2XX): S.COMPLETED,
    (S.TRYING, I.STATUS_ERROR): S.COMPLETED,
    (S.PROCEEDING, I.TIMER_E): S.PROCEEDING,
    (S.PROCEEDING, I.TIMER_F): S.TERMINATED,
    (S.PROCEEDING, I.TRANSPORT_ERROR): S.TERMINATED,
    (S.PROCEEDING, I.STATUS_1XX): S.PROCEEDING,
    (S.PROCEEDING, I.STATUS_2XX): S.COMPLETED,
    (S.PROCEEDING, I.STATUS_ERROR): S.COMPLETED,
    (S.COMPLETED, I.TIMER_K): S.TERMINATED,
}

EFFECTS: Effects = {
    (S.INITIAL, I.REQUEST): (E.SEND, I.TIMER_E, I.TIMER_F),
    (S.TRYING, I.TIMER_E): (E.RESEND, I.TIMER_E),
    (S.TRYING, I.TIMER_F): (E.TIMED_OUT,),
    (S.TRYING, I.TRANSPORT_ERROR): (E.TRANSPORT_FAILED,),
    (S.TRYING, I.STATUS_1XX): (E.DELIVER,),
    (S.TRYING, I.STATUS_2XX): (E.DELIVER, I.TIMER_K),
    (S.TRYING, I.STATUS_ERROR): (E.DELIVER, I.TIMER_K),
    # "If Timer E fires while in the Proceeding state, ... Timer E MUST be reset with a value of T2 seconds."
    (S.PROCEEDING, I.TIMER_E): (E.RESEND, E.SLOW_DOWN, I.TIMER_E),
    (S.PROCEEDING, I.TIMER_F): (E.TIMED_OUT,),
    (S.PROCEEDING, I.TRANSPORT_ERROR): (E.TRANSPORT_FAILED,),
    (S.PROCEEDING, I.STATUS_1XX): (E.DELIVER,),
    (S.PROCEEDING, I.STATUS_2XX): (E.DELIVER, I.TIMER_K),
    (S.PROCEEDING, I.STATUS_ERROR): (E.DELIVER, I.TIMER_K),
}


class NonInviteClientTransaction(ClientTransaction):
    """One request of ours other than INVITE and ACK."""

    STEPS = steps(TRANSITIONS, EFFECTS)

    __slots__ = ()
