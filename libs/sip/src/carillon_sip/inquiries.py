"""Requests that the user makes with `request()`: outside a dialog, or within a session's (OPTIONS, REGISTER, MESSAGE, INFO, ...).

Invariant: each ends with exactly one final ResponseReceived or one RequestTimedOut.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from carillon_sip.commands import RequestOut
from carillon_sip.context import Context, body_lines
from carillon_sip.digest import Credentials
from carillon_sip.established import Established
from carillon_sip.message import Response, header_line
from carillon_sip.outgoing import OutgoingRequest
from carillon_sip.outputs import RequestTimedOut, ResponseReceived
from carillon_sip.session import Session
from carillon_sip.transaction import ClientTransaction, Failure

#: "The size of MESSAGE requests outside of a media session MUST NOT exceed 1300 bytes" over UDP (RFC 3428 section 8).
MAX_MESSAGE_BYTES = 1300


@dataclass(slots=True, eq=False)
class _Asked:
    """A request made with `request()`."""

    transaction: str
    credentials: Credentials | None
    challenged: bool = False
    session: Session | None = None


class Inquiries:
    """Requests of ours that have no machine of their own."""

    def __init__(self, context: Context, established: Established) -> None:
        self._context = context
        self._established = established
        self._asked = 0

    def ask(self, request: RequestOut, now: float) -> str:
        """Send it; returns the transaction."""
        if request.method in ("INVITE", "ACK", "CANCEL", "BYE"):
            raise ValueError(f"{request.method} has its own command")
        self._asked += 1
        asked = _Asked(f"c{self._asked}", request.credentials)
        if request.session is not None:
            session = self._context.sessions.get(request.session)
            out = self._established.request_within(session, request) if session is not None else None
            if session is not None and out is not None:
                asked = _Asked(out.branch, request.credentials or session.credentials, session=session)
        else:
            out = outside(self._context, request)
        if out is not None and request.method == "MESSAGE" and out.flow.transport == "udp" and len(out.to_bytes()) > MAX_MESSAGE_BYTES:
            raise ValueError(f"a MESSAGE over UDP has at most {MAX_MESSAGE_BYTES} bytes")
        if out is None:
            self._context.outputs.append(RequestTimedOut(asked.transaction, "transport"))
        else:
            self._start(out, asked, now)
        return asked.transaction

    def ask_again(self, session: Session, saved: Mapping[str, OutgoingRequest], now: float) -> None:
        """Send these once more as they were sent: who has had them answers what it answered."""
        for transaction, request in saved.items():
            self._start(replace(request), _Asked(transaction, session.credentials, session=session), now)

    def _start(self, request: OutgoingRequest, asked: _Asked, now: float) -> None:
        session = asked.session
        if session is not None:
            session.inquiries = session.inquiries or {}
            session.inquiries[asked.transaction] = request
        self._context.layer.start_client(request, self._heard, asked, now)

    def _heard(self, transaction: ClientTransaction, event: Response | Failure, now: float) -> None:
        asked = transaction.owner
        if asked.session is not None and asked.session.inquiries and (isinstance(event, Failure) or event.status >= 200):
            asked.session.inquiries.pop(asked.transaction, None)
        if isinstance(event, Failure):
            why = "timeout" if event is Failure.TIMEOUT else "transport"
            self._context.outputs.append(RequestTimedOut(asked.transaction, why))  # type: ignore[arg-type]
            return
        again = self._context.authorized(transaction.request, event, asked) if event.status >= 300 else None
        if again is None:
            self._context.outputs.append(ResponseReceived(asked.transaction, event))
        else:
            if asked.session is not None and asked.session.dialog is not None:
                again.cseq = asked.session.dialog.next_cseq()
            self._start(again, asked, now)


def outside(context: Context, request: RequestOut) -> OutgoingRequest:
    """A request outside any dialog, as it is sent; raises ValueError when it lacks an address."""
    if request.flow is None or request.from_ is None or request.to is None or not request.request_uri:
        raise ValueError("a request outside a dialog needs flow, request_uri, from_ and to")
    contact = f"{header_line('Contact', str(request.contact))}\r\n" if request.contact is not None else ""
    content_type = request.content_type or "application/octet-stream"
    return OutgoingRequest(
        method=request.method,
        uri=request.request_uri,
        flow=request.flow,
        branch=context.branch(),
        from_=str(request.from_.with_tag(request.from_.tag or context.token())),
        to=str(request.to),
        call_id=request.call_id or context.token(),
        cseq=request.cseq,
        fields=contact + context.agent_line + body_lines(request.headers, request.body, content_type),
        body=request.body,
        max_forwards=request.max_forwards,
    )
