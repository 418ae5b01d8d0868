"""100rel for calls to us (RFC 3262 sections 3 and 5): sends reliable provisional responses, takes their PRACKs.

Invariant: every PRACK is answered: 200 (by the user when it brings an offer) when it matches, else 481.
"""

from collections.abc import Callable
from zlib import crc32

from carillon_sip.context import Context, Fields
from carillon_sip.errors import ParseError, WrongState
from carillon_sip.message import Request
from carillon_sip.outputs import ProvisionalAcked, SessionReinvited
from carillon_sip.reliable_server import Effect, Held, Input, Provisional, ReliableProvisionals, State
from carillon_sip.session import Session
from carillon_sip.timers import Alarm
from carillon_sip.transaction import Input as TransactionInput
from carillon_sip.transaction import ServerTransaction


class ReliableCalls:
    """Drives the machine of each session; `accept` sends a 2xx that waited, `give_up` refuses with 504."""

    accept: Callable[[Session, Held, float], None]
    give_up: Callable[[Session, float], None]
    offer: Callable[[Session, ServerTransaction, str, float], None]

    def __init__(self, context: Context) -> None:
        self._context = context
        self._enabled = "100rel" in context.settings.extensions

    def wanted(self, session: Session, asked: bool) -> bool:
        """Whether to send it reliably: always when the caller requires it, else when the user asks and the caller supports it.

        "The UAS MUST send any non-100 provisional response reliably if the initial request contained a Require header field
        with the option tag 100rel."
        """
        peer = session.peer
        return self._enabled and ("100rel" in peer.required or (asked and "100rel" in peer.supported))

    def send(self, session: Session, status: int, fields: str, body: bytes, now: float) -> None:
        """Send a provisional response, or queue it behind the one that waits for its PRACK."""
        machine = session.reliable
        if machine is None:
            # "The value of the header field for the first reliable provisional response ... MUST be between 1 and 2**31 - 1."
            machine = session.reliable = ReliableProvisionals(crc32(session.id.encode()) % 2**30 + 1)
        self._feed(session, machine, Provisional(status, fields, body), now)

    def answer(self, session: Session, body: bytes, headers: Fields, now: float) -> None:
        """The user answers; the 2xx may have to wait."""
        machine = session.reliable
        if machine is None:
            return
        if machine.state is State.HELD:
            raise WrongState("the call is answered, its 2xx waits for a PRACK")
        self._run(session, machine, machine.feed(Input.ACCEPT), Held(body, tuple(headers)), now)

    def pracked(self, session: Session, transaction: ServerTransaction, request: Request, now: float) -> None:
        """A PRACK came; raises ParseError when its RAck is wrong."""
        machine, layer, server_line = session.reliable, self._context.layer, self._context.server_line
        rseq, cseq, method = parse_rack(request)
        acked = machine.outstanding if machine is not None else None
        # "If the PRACK does not match an unacknowledged reliable provisional response, the UAS MUST respond with a 481."
        if machine is None or acked is None or (rseq, cseq, method) != (machine.rseq, session.invite_cseq, "INVITE"):
            layer.reply(transaction, 481, now, fields=server_line)
            return
        machine.outstanding = None
        if request.body and session.described:
            self.offer(session, transaction, "PRACK", now)
            self._context.outputs.append(SessionReinvited(session.id, request.body, "PRACK"))
        else:
            # "it MUST be responded to with a 2xx response"
            layer.reply(transaction, 200, now, fields=server_line)
            if acked.body and session.delayed_offer:
                session.described = True
            self._context.outputs.append(ProvisionalAcked(session.id, acked.status, request.body))
        self._run(session, machine, machine.feed(Input.PRACK), None, now)

    def _feed(self, session: Session, machine: ReliableProvisionals, response: Provisional, now: float) -> None:
        event = Input.DESCRIPTION if response.body else Input.PROVISIONAL
        self._run(session, machine, machine.feed(event), response, now)

    def _run(
        self, session: Session, machine: ReliableProvisionals, effects: tuple[Effect, ...], given: Provisional | Held | None, now: float
    ) -> None:
        for effect in effects:
            if effect is Effect.ACKED:
                for alarm in machine.alarms:
                    alarm.stop()
                machine.alarms = ()
            elif effect is Effect.RESEND:
                self._resend(session, machine, now)
            elif effect is Effect.NEXT:
                if machine.queue:
                    self._feed(session, machine, machine.queue.popleft(), now)
            elif effect is Effect.GIVE_UP:
                self.give_up(session, now)
            elif effect is Effect.ACCEPT:
                held = given if isinstance(given, Held) else machine.accepting
                machine.accepting = None
                machine.queue.clear()
                if held is not None:
                    self.accept(session, held, now)
            elif isinstance(given, Held):
                machine.accepting = given
            elif given is not None and effect is Effect.QUEUE:
                machine.queue.append(given)
            elif given is not None:
                self._send(session, machine, given, now)

    def _send(self, session: Session, machine: ReliableProvisionals, response: Provisional, now: float) -> None:
        context = self._context
        if session.server is None:
            return
        machine.rseq += 1
        machine.outstanding = response
        if response.body:
            session.local_body = response.body
            session.described = session.described or not session.delayed_offer
        fields = f"Require: 100rel\r\nRSeq: {machine.rseq}\r\n{response.fields}"
        machine.last = context.layer.reply(session.server, response.status, now, fields=fields, body=response.body)
        self._await_prack(session, machine, now)

    def resume(self, session: Session, rseq: int, status: int, body: bytes, data: bytes, now: float) -> None:
        """Go on after the response of this number; `data`: its bytes when its PRACK has not come, else empty."""
        machine = session.reliable = ReliableProvisionals(rseq + 1)
        if data and session.server is not None:
            machine.state = State.DESCRIBED if body else State.UNACKED
            machine.outstanding, machine.last = Provisional(status, "", body), data
            self._context.layer.feed(session.server, TransactionInput.USER_1XX, now, None, data)
            self._await_prack(session, machine, now)

    def _await_prack(self, session: Session, machine: ReliableProvisionals, now: float) -> None:
        context = self._context
        machine.interval = context.settings.timing.t1

        def give_up(at: float) -> None:
            self._run(session, machine, machine.feed(Input.TIMER_GIVE_UP), None, at)

        machine.alarms = (context.alarm(now + context.settings.timing.timeout, give_up), self._retransmit_at(session, machine, now))

    def _retransmit_at(self, session: Session, machine: ReliableProvisionals, now: float) -> Alarm:
        def again(at: float) -> None:
            self._run(session, machine, machine.feed(Input.TIMER_RETRANSMIT), None, at)

        return self._context.alarm(now + machine.interval, again)

    def _resend(self, session: Session, machine: ReliableProvisionals, now: float) -> None:
        """ "an interval that starts at T1 seconds and doubles for each retransmission" """
        if session.server is not None:
            self._context.layer.feed(session.server, TransactionInput.USER_1XX, now, None, machine.last)
            machine.interval *= 2
            machine.alarms = (machine.alarms[0], self._retransmit_at(session, machine, now))


def parse_rack(request: Request) -> tuple[int, int, str]:
    """RAck: the number of the response, CSeq number and method of its request (section 7.2); raises ParseError."""
    parts = (request.headers.get("rack") or "").split()
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) <= 10 for part in parts[:2]):
        raise ParseError("RAck is not number, number, method")
    return int(parts[0]), int(parts[1]), parts[2]
