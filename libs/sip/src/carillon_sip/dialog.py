"""Dialogs (RFC 3261 section 12): what both ends remember of each other, and requests made from it.

Invariant: a dialog is known by Call-ID, local and remote tag; its local CSeq only grows; its route set never changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from carillon_sip.errors import ParseError
from carillon_sip.flow import Flow
from carillon_sip.message import Request, Response
from carillon_sip.outgoing import OutgoingRequest
from carillon_sip.uri import address_uri


@dataclass(slots=True)
class Dialog:
    """`local`, `remote` are From/To values with tags; `route_set` Route values, nearest first; `remote_cseq` None: nothing came yet."""

    call_id: str
    local_tag: str
    remote_tag: str
    local: str
    remote: str
    remote_target: str
    route_set: tuple[str, ...]
    local_cseq: int
    remote_cseq: int | None = None
    #: What `resuming` made of it last.
    saved: object = field(default=None, compare=False, repr=False)

    @classmethod
    def of_callee(cls, request: Request, local_tag: str) -> "Dialog":
        """The UAS's side of an INVITE (section 12.1.1); raises ParseError when its Contact is missing, or it or the next Route is wrong."""
        headers = request.headers
        return cls(
            call_id=request.call_id,
            local_tag=local_tag,
            remote_tag=request.from_tag,
            local=f"{headers.get('to')};tag={local_tag}",
            remote=headers.get("from") or "",
            remote_target=target_of(request),
            # "The route set MUST be set to the list of URIs in the Record-Route header field from the request, taken in order"
            route_set=_routes(headers.all("record-route")),
            local_cseq=0,
            remote_cseq=request.cseq.number,
        )

    @classmethod
    def of_caller(cls, invite: OutgoingRequest, local_tag: str, response: Response) -> "Dialog":
        """The UAC's side, from a 2xx (section 12.1.2); raises ParseError when its Contact is missing or wrong."""
        return cls(
            call_id=invite.call_id,
            local_tag=local_tag,
            remote_tag=response.to_tag,
            local=invite.from_,
            remote=response.headers.get("to") or "",
            remote_target=target_of(response),
            # "taken in reverse order"
            route_set=_routes(response.headers.all("record-route")[::-1]),
            local_cseq=invite.cseq,
        )

    def request(self, method: str, flow: Flow, branch: str, fields: str = "", body: bytes = b"") -> OutgoingRequest:
        """The next request within the dialog (section 12.2.1.1); counts CSeq up."""
        return self._request(method, self.next_cseq(), flow, branch, fields, body)

    def next_cseq(self) -> int:
        """Count our CSeq up."""
        self.local_cseq += 1
        return self.local_cseq

    def acknowledge(self, cseq: int, flow: Flow, branch: str, fields: str = "", body: bytes = b"") -> OutgoingRequest:
        """ACK for a 2xx to the INVITE of that CSeq (section 13.2.2.4)."""
        return self._request("ACK", cseq, flow, branch, fields, body)

    def _request(self, method: str, cseq: int, flow: Flow, branch: str, fields: str, body: bytes) -> OutgoingRequest:
        uri, routes = self.remote_target, self.route_set
        if routes and ";lr" not in routes[0].lower():
            # A strict router: "place the first URI from the route set into the Request-URI ... the remote target URI last".
            uri, routes = address_uri(routes[0]), (*routes[1:], f"<{uri}>")
        return OutgoingRequest(method, uri, flow, branch, self.local, self.remote, self.call_id, cseq, routes, fields, body)

    def accepts(self, cseq: int) -> bool:
        """Whether a request of this CSeq is in order (section 12.2.2), and if so remember it."""
        if self.remote_cseq is not None and cseq <= self.remote_cseq:
            return False
        self.remote_cseq = cseq
        return True

    def refresh_target(self, message: Request | Response) -> None:
        """Take the Contact of a target refresh (re-INVITE, UPDATE and their 2xx) when there is one."""
        if "contact" in message.headers:
            self.remote_target = target_of(message)


def _routes(values: Sequence[str]) -> tuple[str, ...]:
    """A route set. The next hop of it is read now: one that is no address must not come up when a timer sends a BYE."""
    if values:
        address_uri(values[0])
    return tuple(values)


def target_of(message: Request | Response) -> str:
    """The one Contact's URI as text; raises ParseError."""
    value = message.headers.get("contact")
    if value is None:
        raise ParseError("no Contact")
    return address_uri(value)
