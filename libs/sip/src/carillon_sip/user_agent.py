"""The SIP user agent: bytes, flows, commands and `now` in; bytes to send, events and the next timer out.

Invariant: nothing raises out of `receive`, `handle_timer` or `flow_failed`. Commands for a session or transaction that
is already over are ignored, because such races are normal; commands that were never possible raise WrongState.
"""

from collections.abc import Callable
from typing import NamedTuple

from carillon_sip.call_commands import CallCommands
from carillon_sip.commands import UserAgentSettings
from carillon_sip.dialog import Dialog
from carillon_sip.digest import Credentials
from carillon_sip.errors import ParseError
from carillon_sip.flow import Flow
from carillon_sip.outputs import CloseFlow, Output, Send
from carillon_sip.parser import StreamFramer
from carillon_sip.reception import PassOn
from carillon_sip.resuming import SavedSession
from carillon_sip.session import AnswerLimit, Session, SessionState, Unacknowledged
from carillon_sip.subscription_commands import SubscriptionCommands
from carillon_sip.timers import Alarm
from carillon_sip.transaction import Transaction
from carillon_sip.transfer_commands import TransferCommands

_PONG = b"\r\n"


class DialogIds(NamedTuple):
    """What a dialog is known by; `remote_tag` is "" while the far end has said nothing."""

    call_id: str
    local_tag: str
    remote_tag: str


class Counts(NamedTuple):
    """How much a user agent holds; all zero when it is idle."""

    sessions: int
    transactions: int
    timers: int
    streams: int
    subscriptions: int = 0


class UserAgent(CallCommands, TransferCommands, SubscriptionCommands):
    """One input (`receive`, a command, `handle_timer`, `flow_failed`), then `drain()` every output; arm a clock for `next_timer()`.

    `token` gives unguessable strings of 16 or more characters for tags, branches and Call-IDs. `now` is monotonic, in seconds.
    """

    def __init__(self, settings: UserAgentSettings, token: Callable[[], str]) -> None:
        super().__init__(settings, token)
        self._streams: dict[Flow, StreamFramer] = {}

    def pass_on(self, decide: PassOn) -> None:
        """Be an edge besides (see `forwarding`): `decide` is asked of every message before anything else is done with it."""
        self._reception.pass_on = decide

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """One datagram, or the next chunk of a stream."""
        if flow.transport == "udp":
            self._reception.message(data, flow, now)
            return
        framer = self._streams.get(flow)
        if framer is None:
            if len(self._streams) >= self._context.settings.max_stream_flows:
                self._context.outputs.append(CloseFlow(flow))
                return
            framer = self._streams[flow] = StreamFramer(self._reception.limits)
        try:
            messages = framer.feed(data)
        except ParseError:
            messages = []
        for message in messages:
            if message:
                self._reception.message(message, flow, now)
            else:
                self._context.outputs.append(Send(flow, _PONG))
        if framer.error is not None:
            self._reception.unreadable(framer.error, flow)
            self._context.outputs.append(CloseFlow(flow))
            self.flow_failed(flow, now)

    def flow_failed(self, flow: Flow, now: float) -> None:
        """The flow cannot be used: sending failed or the connection closed. What waits for it fails with 503."""
        self._streams.pop(flow, None)
        self._context.layer.flow_failed(flow, now)

    def framing(self, flow: Flow) -> tuple[int, int]:
        """Of a stream: messages that came whole so far, and bytes of one that is not whole yet; for limits on slow peers."""
        framer = self._streams.get(flow)
        return (0, 0) if framer is None else (framer.messages, framer.pending)

    def next_timer(self) -> float | None:
        """When to call `handle_timer`, or None."""
        return self._context.timers.next()

    def handle_timer(self, now: float) -> None:
        """Fire every timer that is due."""
        timers = self._context.timers
        while (due := timers.pop_due(now)) is not None:
            owner, name = due
            if isinstance(owner, Transaction):
                self._context.layer.feed(owner, name, now)  # type: ignore[arg-type]
            elif isinstance(owner, Unacknowledged):
                self._established.retransmit(owner, now)
            elif isinstance(owner, AnswerLimit):
                self._answer_limit(owner.session, now)
            elif isinstance(owner, Alarm):
                owner.ring(now)

    def drain(self) -> list[Output]:
        """All outputs since the last drain, in order."""
        outputs = self._context.outputs[:]
        self._context.outputs.clear()
        return outputs

    def counts(self) -> Counts:
        """How much is held now."""
        context = self._context
        transactions = len(context.layer.clients) + len(context.layer.servers)
        return Counts(len(context.sessions), transactions, len(context.timers), len(self._streams), len(self._notifier.subscriptions))

    def dialog(self, session: str) -> Dialog | None:
        """The dialog of a session, to read; None when there is none (yet)."""
        found = self._context.sessions.get(session)
        return found.dialog if found is not None else None

    def dialog_ids(self, session: str) -> DialogIds | None:
        """What a session's dialog is known by, also while our INVITE only rings (then its latest branch); None when it is over."""
        found = self._context.sessions.get(session)
        if found is None:
            return None
        dialog = found.dialog or next((early.dialog for early in reversed((found.early or {}).values())), None)
        if dialog is not None:
            return DialogIds(dialog.call_id, dialog.local_tag, dialog.remote_tag)
        return None if found.client is None else DialogIds(found.client.request.call_id, found.id, "")

    def allows(self, session: str, method: str) -> bool:
        """Whether the far end of an answered session has said that it takes this method (Allow)."""
        found = self._context.sessions.get(session)
        return found is not None and found.state in (SessionState.UP, SessionState.ANSWERED) and method in found.peer.allow

    def session_timer(self, session: str) -> tuple[int, bool] | None:
        """Interval in seconds of a session's timer (RFC 4028), and whether we refresh; None when there is none."""
        found = self._context.sessions.get(session)
        return None if found is None or found.timer is None else (found.timer.interval, found.timer.ours)

    def save(self, session: str) -> SavedSession | None:
        """What `resume` needs to take the session up in another process; None when it is over."""
        found = self._context.sessions.get(session)
        return self._resuming.save(found) if found is not None else None

    def resume(self, saved: SavedSession, *, credentials: Credentials | None = None, now: float) -> str:
        """Take up a session that another user agent had (after a restart), in whatever state; returns its name, the same as before.

        A session timer starts anew at `now`. Raises ParseError when what was saved is not whole.
        """
        return self._resuming.resume(saved, credentials, now)

    def part(
        self, saved: SavedSession, *, status: int = 503, reason: str | None = None, credentials: Credentials | None = None, now: float
    ) -> None:
        """End at the far end what was saved and is not to be taken up: BYE, CANCEL, or refuse with `status`. Raises ParseError."""
        self._resuming.part(saved, status, reason, credentials, now)

    def _answer_limit(self, session: Session, now: float) -> None:
        if session.state is SessionState.INCOMING:
            self._incoming.answer_limit(session, now)
        elif session.state in (SessionState.CALLING, SessionState.CANCELLING):
            self._outgoing.give_up(session, now)
        else:
            self._established.answer_limit(session, now)
