"""The SIP user agent: bytes, flows, commands and `now` in; bytes to send, events and the next timer out.

Invariant: nothing raises out of `receive`, `handle_timer` or `flow_failed`. Commands for a session or transaction that
is already over are ignored, because such races are normal; commands that were never possible raise WrongState.
"""

from collections.abc import Callable, Sequence

from carillon_sip.commands import Invite, RequestOut, UserAgentSettings
from carillon_sip.flow import Flow
from carillon_sip.outputs import Output

Fields = Sequence[tuple[str, str]]


class UserAgent:
    """One input (`receive`, a command, `handle_timer`, `flow_failed`), then `drain()` every output; arm a clock for `next_timer()`.

    `token` gives unguessable strings of 16 or more characters for tags, branches and Call-IDs. `now` is monotonic, in seconds.
    """

    def __init__(self, settings: UserAgentSettings, token: Callable[[], str]) -> None:
        raise NotImplementedError

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """One datagram, or the next chunk of a stream."""

    def flow_failed(self, flow: Flow, now: float) -> None:
        """The flow cannot be used: sending failed or the connection closed. What waits for it fails with 503."""

    def next_timer(self) -> float | None:
        """When to call `handle_timer`, or None."""

    def handle_timer(self, now: float) -> None:
        """Fire every timer that is due."""

    def drain(self) -> list[Output]:
        """All outputs since the last drain, in order."""
        raise NotImplementedError

    def respond(
        self,
        transaction: str,
        status: int,
        *,
        reason: str | None = None,
        headers: Fields = (),
        body: bytes = b"",
        content_type: str | None = None,
        now: float,
    ) -> None:
        """Answer a RequestReceived or SessionRequest."""

    def ring(self, session: str, status: int = 180, *, body: bytes = b"", headers: Fields = (), now: float) -> None:
        """Send a provisional response (101..199) to the caller; a body is early media's SDP."""

    def answer(self, session: str, body: bytes, headers: Fields = (), *, now: float) -> None:
        """Send 200 with our SDP; repeated until the ACK comes (SessionAcked)."""

    def reject(self, session: str, status: int, *, reason: str | None = None, headers: Fields = (), now: float) -> None:
        """Send a final response >= 300; the session is gone."""

    def invite(self, invite: Invite, *, now: float) -> str:
        """Place a call; returns the session."""
        raise NotImplementedError

    def ack(self, session: str, body: bytes, *, now: float) -> None:
        """Answer the offer of a 2xx to an INVITE that had no body."""

    def cancel(self, session: str, reason_header: str | None = None, *, now: float) -> None:
        """Give our INVITE up (RFC 3261 section 9.1): held back until the first provisional; BYE when it is answered already."""

    def bye(self, session: str, reason_header: str | None = None, *, now: float) -> None:
        """End an answered session. As callee, held back until the ACK came (RFC 3261 section 15)."""

    def reinvite(self, session: str, body: bytes, headers: Fields = (), *, now: float) -> None:
        """Offer new media (ReinviteAnswered, ReinviteFailed)."""

    def accept_reinvite(self, session: str, body: bytes, headers: Fields = (), *, now: float) -> None:
        """Answer 200 to the far end's re-INVITE."""

    def reject_reinvite(self, session: str, status: int, *, now: float) -> None:
        """Refuse the far end's re-INVITE; the session goes on as it was."""

    def request(self, request: RequestOut, *, now: float) -> str:
        """Send a request other than INVITE, ACK, CANCEL, BYE; returns the transaction."""
        raise NotImplementedError
