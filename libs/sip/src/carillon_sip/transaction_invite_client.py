"""INVITE client transaction: RFC 3261 section 17.1.1 and figure 5, as amended by RFC 6026 section 7.2.

Invariant: every final response other than 2xx is acknowledged here; every 2xx goes to the user, who acknowledges it.
"""

from carillon_sip.message import Message, Response
from carillon_sip.transaction import ClientTransaction, Effects, Transitions, steps
from carillon_sip.transaction import Effect as E
from carillon_sip.transaction import Input as I
from carillon_sip.transaction import State as S

#: RFC 3261 figure 5, as amended by RFC 6026 section 7.2.
TRANSITIONS: Transitions = {
    (S.INITIAL, I.REQUEST): S.CALLING,
    (S.CALLING, I.TIMER_A): S.CALLING,
    (S.CALLING, I.TIMER_B): S.TERMINATED,
    (S.CALLING, I.TRANSPORT_ERROR): S.TERMINATED,
    (S.CALLING, I.STATUS_1XX): S.PROCEEDING,
    (S.CALLING, I.STATUS_2XX): S.ACCEPTED,
    (S.CALLING, I.STATUS_ERROR): S.COMPLETED,
    (S.PROCEEDING, I.STATUS_1XX): S.PROCEEDING,
    (S.PROCEEDING, I.STATUS_2XX): S.ACCEPTED,
    (S.PROCEEDING, I.STATUS_ERROR): S.COMPLETED,
    # Not in figure 5: the connection that would bring the answer is gone.
    (S.PROCEEDING, I.TRANSPORT_ERROR): S.TERMINATED,
    (S.ACCEPTED, I.STATUS_2XX): S.ACCEPTED,
    (S.ACCEPTED, I.TIMER_M): S.TERMINATED,
    (S.COMPLETED, I.STATUS_ERROR): S.COMPLETED,
    (S.COMPLETED, I.TRANSPORT_ERROR): S.TERMINATED,
    (S.COMPLETED, I.TIMER_D): S.TERMINATED,
}

EFFECTS: Effects = {
    (S.INITIAL, I.REQUEST): (E.SEND, I.TIMER_A, I.TIMER_B),
    (S.CALLING, I.TIMER_A): (E.RESEND, I.TIMER_A),
    (S.CALLING, I.TIMER_B): (E.TIMED_OUT,),
    (S.CALLING, I.TRANSPORT_ERROR): (E.TRANSPORT_FAILED,),
    (S.CALLING, I.STATUS_1XX): (E.DELIVER,),
    (S.CALLING, I.STATUS_2XX): (E.DELIVER, I.TIMER_M),
    (S.CALLING, I.STATUS_ERROR): (E.ACKNOWLEDGE, E.DELIVER, I.TIMER_D),
    (S.PROCEEDING, I.STATUS_1XX): (E.DELIVER,),
    (S.PROCEEDING, I.STATUS_2XX): (E.DELIVER, I.TIMER_M),
    (S.PROCEEDING, I.STATUS_ERROR): (E.ACKNOWLEDGE, E.DELIVER, I.TIMER_D),
    (S.PROCEEDING, I.TRANSPORT_ERROR): (E.TRANSPORT_FAILED,),
    # "A 2xx received in the Accepted state is passed to the TU": retransmissions and other branches of a fork.
    (S.ACCEPTED, I.STATUS_2XX): (E.DELIVER,),
    (S.COMPLETED, I.STATUS_ERROR): (E.RESEND,),
}


class InviteClientTransaction(ClientTransaction):
    """One INVITE of ours."""

    STEPS = steps(TRANSITIONS, EFFECTS)

    __slots__ = ()

    def acknowledgement(self, message: Message | None) -> bytes:
        """ACK with the INVITE's branch and Request-URI and the response's To (RFC 3261 section 17.1.1.3)."""
        to = message.headers.get("to") if isinstance(message, Response) else None
        return self.request.acknowledge(to or self.request.to).to_bytes()
