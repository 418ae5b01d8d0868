"""The commands of a user agent that concern calls and plain requests.

Invariant: commands for a session or transaction that is already over are ignored, because such races are normal;
commands that were never possible raise WrongState.
"""

from carillon_sip.commands import Invite, RequestOut
from carillon_sip.context import Fields, body_lines
from carillon_sip.parts import Parts
from carillon_sip.session import SessionState


class CallCommands(Parts):
    """Answer, call, hang up, offer anew, ask."""

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
        context = self._context
        found = context.layer.by_name.get(transaction)
        if found is not None:
            fields = context.server_line + body_lines(headers, body, content_type or "application/octet-stream")
            context.layer.reply(found, status, now, reason=reason, fields=fields, body=body)

    def ring(self, session: str, status: int = 180, *, body: bytes = b"", headers: Fields = (), reliable: bool = False, now: float) -> None:
        """Send a provisional response (101..199) to the caller; a body is early media's SDP.

        It goes reliably (RFC 3262) when the caller requires it, or when it can and `reliable`: ProvisionalAcked follows.
        """
        if (found := self._context.sessions.get(session)) is not None:
            self._incoming.ring(found, status, body, headers, reliable, now)

    def answer(self, session: str, body: bytes, headers: Fields = (), *, now: float) -> None:
        """Send 200 with our SDP; repeated until the ACK comes (SessionAcked)."""
        if (found := self._context.sessions.get(session)) is not None:
            self._incoming.answer(found, body, headers, now)

    def reject(self, session: str, status: int, *, reason: str | None = None, headers: Fields = (), now: float) -> None:
        """Send a final response >= 300; the session is gone."""
        if (found := self._context.sessions.get(session)) is not None:
            self._incoming.reject(found, status, reason, headers, now)

    def invite(self, invite: Invite, *, now: float) -> str:
        """Place a call; returns the session. Raises ValueError when a value holds a line break."""
        return self._outgoing.invite(invite, now)

    def ack(self, session: str, body: bytes, headers: Fields = (), *, now: float) -> None:
        """Answer the offer of a 2xx to an INVITE that had no body."""
        if (found := self._context.sessions.get(session)) is not None:
            self._outgoing.acknowledge(found, body, headers, now)

    def prack(self, session: str, body: bytes, headers: Fields = (), *, now: float) -> None:
        """Answer the offer of a SessionProgress that `wants_answer` (RFC 3262 section 5)."""
        found = self._context.sessions.get(session)
        if found is not None and found.allows("prack"):
            self._reliable_client.answer(found, body, headers, now)

    def cancel(self, session: str, reason_header: str | None = None, *, now: float) -> None:
        """Give our INVITE up (RFC 3261 section 9.1): held back until the first provisional; BYE when it is answered already."""
        found = self._context.sessions.get(session)
        if found is not None and found.allows("cancel"):
            if found.state in (SessionState.CALLING, SessionState.CANCELLING):
                self._outgoing.cancel(found, reason_header, now)
            else:
                self._established.bye(found, reason_header, now)

    def bye(self, session: str, reason_header: str | None = None, *, now: float) -> None:
        """End an answered session. As callee, held back until the ACK came (RFC 3261 section 15)."""
        if (found := self._context.sessions.get(session)) is not None:
            self._established.bye(found, reason_header, now)

    def reinvite(self, session: str, body: bytes, headers: Fields = (), *, now: float) -> None:
        """Offer new media (ReinviteAnswered, ReinviteFailed)."""
        if (found := self._context.sessions.get(session)) is not None:
            self._established.reinvite(found, body, headers, now)

    def tell(self, session: str, headers: Fields, *, now: float) -> None:
        """Tell something new about who is connected, changing nothing else (RFC 4916): by UPDATE where the far end takes it, else by a
        re-INVITE with what was described last (ReinviteAnswered, ReinviteFailed)."""
        if (found := self._context.sessions.get(session)) is not None:
            self._established.tell(found, headers, now)

    def update(self, session: str, body: bytes = b"", headers: Fields = (), *, now: float) -> None:
        """Send UPDATE (RFC 3311): offer new media, or with no body refresh and tell a new identity (ReinviteAnswered, ReinviteFailed)."""
        if (found := self._context.sessions.get(session)) is not None:
            self._updates.update(found, body, headers, now)

    def accept_reinvite(self, session: str, body: bytes, headers: Fields = (), *, now: float) -> None:
        """Answer 200 to the far end's re-INVITE."""
        if (found := self._context.sessions.get(session)) is not None:
            self._established.accept_reinvite(found, body, headers, now)

    def reject_reinvite(self, session: str, status: int, *, now: float) -> None:
        """Refuse the far end's re-INVITE; the session goes on as it was."""
        if (found := self._context.sessions.get(session)) is not None:
            self._established.reject_reinvite(found, status, now)

    def request(self, request: RequestOut, *, now: float) -> str:
        """Send a request other than INVITE, ACK, CANCEL, BYE; returns the transaction."""
        return self._inquiries.ask(request, now)
