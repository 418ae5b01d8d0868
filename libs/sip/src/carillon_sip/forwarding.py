"""Messages passed on by an edge that keeps a phone's flow for others (RFC 5626 section 5.3), without state (RFC 3261 section 16.11).

What is known of a message to be passed on is in the message: `flow tokens` in Route and in the Via of ours. Who makes and opens tokens is
the caller's business; here are the messages rewritten.

Invariant: a message grows by one Via and two Record-Routes at most; nothing is remembered; nothing but ParseError is raised.
"""

from collections.abc import Sequence
from hashlib import sha256

from carillon_sip.errors import ParseError
from carillon_sip.flow import Flow
from carillon_sip.header_names import canonical_name
from carillon_sip.message import Request, Response
from carillon_sip.reply import received
from carillon_sip.uri import NameAddr, split_outside_quotes

#: RFC 3261 section 16.6 step 3: what a request without Max-Forwards gets.
_MAX_FORWARDS = 70
#: Requests that make a dialog are recorded, so that what follows takes the same way.
_RECORDED = frozenset({"INVITE", "SUBSCRIBE", "REFER"})
_PARAMETER = "back"
_BRANCH = "z9hG4bKfw"


class TooManyHops(Exception):
    """Max-Forwards is used up: 483."""


def tokens_of_routes(request: Request) -> list[str]:
    """The user part of each Route, where an edge finds its flow token. Raises ParseError."""
    return [NameAddr.parse(route).uri.user for route in request.headers.all("route")] if "route" in request.headers else []


def token_of_via(response: Response) -> str:
    """The token that we left in our Via; "" if the topmost Via is not one that we left. Raises ParseError."""
    via = response.via_top
    return (via.parameter(_PARAMETER) or "") if via.branch.startswith(_BRANCH) else ""


def forward_request(
    request: Request, came_over: Flow, goes_over: Flow, *, routes_of_ours: int, back: str, record_routes: Sequence[str]
) -> bytes:
    """The request as it goes on: our Routes taken out, our Via on top, recorded when it begins a dialog.

    `back` is the token of the flow that it came over; `record_routes` lead both ends back to us, two where the transport changes: the one
    for the far end first (RFC 5658 section 3). The branch is made of the one that came, so that a CANCEL, an ACK and a retransmission get
    the same (section 16.11). Raises ParseError and TooManyHops.
    """
    forwards = request.max_forwards
    if forwards == 0:
        raise TooManyHops
    top = request.via_top
    seed = f"{top.branch}|{top.host}|{top.port}|{request.call_id}|{request.from_tag}|{request.cseq.number}|{goes_over.remote}"
    via = (
        f"Via: {goes_over.via};branch={_BRANCH}{sha256(seed.encode('utf-8', 'surrogateescape')).hexdigest()[:32]};{_PARAMETER}={back};rport"
    )
    lines = [via, *_received(request, came_over)]
    if request.method in _RECORDED and not request.to_tag:
        lines += [f"Record-Route: {route}" for route in record_routes]
    rest = _rest(request.headers.lines, {"via", "route", "max-forwards"})
    routes = request.headers.all("route")[routes_of_ours:]
    lines += [f"Route: {route}" for route in routes]
    lines.append(f"Max-Forwards: {(_MAX_FORWARDS if forwards is None else min(forwards, _MAX_FORWARDS)) - 1}")
    head = "\r\n".join([f"{request.method} {request.uri} SIP/2.0", *lines, *rest, f"Content-Length: {len(request.body)}", "", ""])
    return head.encode("utf-8", "surrogateescape") + request.body


def forward_response(response: Response) -> bytes:
    """The response as it goes on: our Via taken off. Raises ParseError when no other is left."""
    vias = _split(response.headers.raw("via"))[1:]
    if not vias:
        raise ParseError("nobody is left to pass the response to")
    lines = [f"Via: {via}" for via in vias]
    rest = _rest(response.headers.lines, {"via"})
    start = f"SIP/2.0 {response.status} {response.reason}"
    head = "\r\n".join([start, *lines, *rest, f"Content-Length: {len(response.body)}", "", ""])
    return head.encode("utf-8", "surrogateescape") + response.body


def _received(request: Request, came_over: Flow) -> list[str]:
    top, *others = _split(request.headers.raw("via"))
    return [f"Via: {received(request, top, came_over)}", *(f"Via: {via}" for via in others)]


def _split(values: list[str]) -> list[str]:
    return [part.strip() for value in values for part in (split_outside_quotes(value, ",") if "," in value else (value,)) if part.strip()]


def _rest(lines: list[str], without: set[str]) -> list[str]:
    """Header lines but those named and Content-Length, each unfolded."""
    kept: list[str] = []
    skipped = False
    for line in lines:
        if line[:1] in (" ", "\t"):
            if not skipped and kept:
                kept[-1] = f"{kept[-1]} {line.strip()}"
            continue
        name = canonical_name(line.partition(":")[0])
        skipped = name in without or name == "content-length"
        if not skipped:
            kept.append(line)
    return kept
