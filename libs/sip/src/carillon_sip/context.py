"""What the parts of a user agent share: settings, tables, outputs, and the lines that go into many messages.

Invariant: only `forget` takes a session out of the table, and it makes the session OVER.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from carillon_sip.commands import UserAgentSettings
from carillon_sip.digest import Credentials, answer_challenges
from carillon_sip.flow import Flow, host_port
from carillon_sip.message import Response, header_line
from carillon_sip.outgoing import BRANCH_COOKIE, OutgoingRequest
from carillon_sip.outputs import EndedBy, Output, Send, SessionEnded
from carillon_sip.session import Session, SessionState
from carillon_sip.timers import Alarm, TimerQueue
from carillon_sip.transaction_layer import TransactionLayer
from carillon_sip.uri import escape_user

Fields = Sequence[tuple[str, str]]


class HasCredentials(Protocol):
    """What sends a request that may be challenged once."""

    credentials: Credentials | None
    challenged: bool


class Context:
    """Tables and outputs of one user agent."""

    def __init__(self, settings: UserAgentSettings, token: Callable[[], str]) -> None:
        self.settings = settings
        self.token = token
        self.outputs: list[Output] = []
        self.timers = TimerQueue()
        self.layer = TransactionLayer(settings.timing, self.timers, self.outputs)
        self.sessions: dict[str, Session] = {}
        self.server_line = header_line("Server", settings.user_agent) + "\r\n"
        self.agent_line = header_line("User-Agent", settings.user_agent) + "\r\n"
        self.allow_line = header_line("Allow", ", ".join(settings.methods)) + "\r\n"
        self.supported_line = lines((("Supported", ", ".join(settings.extensions)),)) if settings.extensions else ""
        self._contact_user = escape_user(settings.contact_user) + "@" if settings.contact_user else ""

    def branch(self) -> str:
        """A new branch (RFC 3261 section 8.1.1.7)."""
        return BRANCH_COOKIE + self.token()

    def contact_uri(self, flow: Flow) -> str:
        """Where the far end of the flow reaches us within a dialog."""
        transport = "" if flow.transport == "udp" else f";transport={flow.transport}"
        return f"sip:{self._contact_user}{host_port(flow.local)}{transport}"

    def send(self, request: OutgoingRequest) -> bytes:
        """Send a request that has no transaction (ACK for a 2xx); returns its bytes."""
        data = request.to_bytes()
        self.outputs.append(Send(request.flow, data))
        return data

    def alarm(self, at: float, fire: Callable[[float], None]) -> Alarm:
        """Have `fire(now)` called at that time."""
        alarm = Alarm(fire)
        self.timers.set(at, alarm, "alarm")
        return alarm

    def forget(self, session: Session) -> None:
        """The session is over."""
        session.state = SessionState.OVER
        self.sessions.pop(session.id, None)
        session.early = None
        if session.reliable is not None:
            session.reliable.stop()
        session.stop_timer()
        if session.unacknowledged is not None:
            session.unacknowledged.done = True
            session.unacknowledged = None

    def ended(self, session: Session, by: EndedBy, reason: str) -> None:
        """Forget an answered session and say so."""
        self.forget(session)
        self.outputs.append(SessionEnded(session.id, by, reason))

    def authorized(self, request: OutgoingRequest, response: Response, sender: HasCredentials) -> OutgoingRequest | None:
        """The request again with an answer to the response's challenge (RFC 3261 section 22.2), once; else None."""
        credentials = sender.credentials
        if credentials is None or sender.challenged or response.status not in (401, 407):
            return None
        challenge, field = (
            ("www-authenticate", "Authorization") if response.status == 401 else ("proxy-authenticate", "Proxy-Authorization")
        )
        value = answer_challenges(response.headers.raw(challenge), credentials, request.method, request.uri, self.token())
        if value is None:
            return None
        sender.challenged = True
        fields = f"{header_line(field, value)}\r\n{request.fields}"
        return replace(request, branch=self.branch(), cseq=request.cseq + 1, fields=fields)


def lines(fields: Fields) -> str:
    """Header lines, each with CRLF; raises ValueError when one holds a line break."""
    return "".join([f"{header_line(name, value)}\r\n" for name, value in fields])


def body_lines(fields: Fields, body: bytes, content_type: str = "application/sdp") -> str:
    """As `lines`, with a Content-Type when there is a body and the fields have none."""
    ready = lines(fields)
    if body and not any(name.lower() == "content-type" for name, _ in fields):
        ready += f"{header_line('Content-Type', content_type)}\r\n"
    return ready


def has(fields: Fields, name: str) -> bool:
    """Whether a field of that lower-case name is there."""
    return any(key.lower() == name for key, _ in fields)
