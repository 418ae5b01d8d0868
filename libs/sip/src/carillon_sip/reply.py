"""Replies from a template: the lines that every response copies from its request (RFC 3261 section 8.2.6).

Invariant: copied lines are those that came, except the top Via, which says where the request really came from.
"""

import re

from carillon_sip.flow import Flow
from carillon_sip.header_names import REASONS
from carillon_sip.message import Request
from carillon_sip.uri import split_outside_quotes

_OURS = re.compile(r";[ \t]*(?:rport|received)[ \t]*(?:=[^;]*)?(?=;|$)", re.IGNORECASE)


class ReplyHead:
    """The copied part of all responses to one request; `to_tag` is given when the request's To had none."""

    __slots__ = ("after", "before", "record_routes", "tagged", "to_tag")

    def __init__(self, request: Request, flow: Flow) -> None:
        index = request.headers.index()
        vias = index["via"]
        top, rest = vias[0], vias[1:]
        if "," in top:
            top, *more = [part.strip() for part in split_outside_quotes(top, ",")]
            rest = [*more, *rest]
        lines = "".join([f"Via: {via}\r\n" for via in rest]) if rest else ""
        self.before = (
            f"Via: {received(request, top, flow)}\r\n{lines}From: {index['from'][0]}\r\nCall-ID: {index['call-id'][0]}\r\n"
            f"CSeq: {index['cseq'][0]}\r\n"
        )
        self.after = f"To: {index['to'][0]}"
        self.tagged = bool(request.to_tag)
        self.to_tag = ""
        self.record_routes = index.get("record-route", ())

    def make(self, status: int, reason: str | None, fields: str, body: bytes = b"") -> bytes:
        """A whole response; `fields` are ready lines, each with CRLF."""
        tag = "" if self.tagged or status == 100 or not self.to_tag else f";tag={self.to_tag}"
        phrase = reason if reason is not None else REASONS.get(status, "")
        head = f"SIP/2.0 {status} {phrase}\r\n{self.before}{self.after}{tag}\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
        return head.encode("utf-8", "surrogateescape") + body


def received(request: Request, top: str, flow: Flow) -> str:
    """The top Via with `received` and `rport` as the source demands (RFC 3261 section 18.2.1, RFC 3581 section 4)."""
    via = request.via_top
    ip, port = flow.remote
    wants_port = via.wants_rport
    if wants_port:
        return f"{_OURS.sub('', top)};rport={port};received={ip}"
    return top if via.host.strip("[]") == ip else f"{_OURS.sub('', top)};received={ip}"


def reply_flow(request: Request, flow: Flow) -> Flow:
    """Where responses go: back over the flow; for UDP without rport to the port of the Via (RFC 3261 section 18.2.2)."""
    if flow.transport != "udp":
        return flow
    via = request.via_top
    if via.wants_rport:
        return flow
    port = via.port or 5060
    return flow if port == flow.remote[1] else Flow(flow.transport, flow.local, (flow.remote[0], port))
