"""Requests that we send: the parts that ACK and CANCEL are made from again (RFC 3261 sections 9.1 and 17.1.1.3).

Invariant: text that could end a header line never gets in (ValueError), so no header is smuggled in.
"""

from dataclasses import dataclass, replace

from carillon_sip.flow import Flow

BRANCH_COOKIE = "z9hG4bK"


@dataclass(slots=True)
class OutgoingRequest:
    """A request in parts; `from_`, `to` are header values with tags, `routes` Route values, `fields` ready lines each with CRLF."""

    method: str
    uri: str
    flow: Flow
    branch: str
    from_: str
    to: str
    call_id: str
    cseq: int
    routes: tuple[str, ...] = ()
    fields: str = ""
    body: bytes = b""
    max_forwards: int = 70

    def to_bytes(self) -> bytes:
        """The message as sent."""
        routes = "".join([f"Route: {route}\r\n" for route in self.routes]) if self.routes else ""
        head = (
            f"{self.method} {self.uri} SIP/2.0\r\nVia: {self.flow.via};branch={self.branch};rport\r\n{routes}"
            f"Max-Forwards: {self.max_forwards}\r\nFrom: {self.from_}\r\nTo: {self.to}\r\nCall-ID: {self.call_id}\r\n"
            f"CSeq: {self.cseq} {self.method}\r\n{self.fields}Content-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode("utf-8", "surrogateescape") + self.body

    def acknowledge(self, to: str) -> "OutgoingRequest":
        """ACK for a final response other than 2xx."""
        return replace(self, method="ACK", to=to, fields="", body=b"")

    def cancel(self, fields: str = "") -> "OutgoingRequest":
        """CANCEL: "The Request-URI, Call-ID, To, the numeric part of CSeq, and From ... MUST be identical"."""
        return replace(self, method="CANCEL", fields=fields, body=b"")
