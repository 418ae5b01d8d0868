"""Flow: the pair of addresses over which SIP messages travel (RFC 5626 section 3).

A flow is a value: it names a UDP address pair or one TCP connection, and holds no socket. Replies and in-dialog
requests are sent over the flow that the shell hands in, so NAT bindings and connections are used again.
"""

from typing import Literal, NamedTuple

Address = tuple[str, int]
Transport = Literal["udp", "tcp"]


class Flow(NamedTuple):
    """Where a message came from or goes to; `local` and `remote` are (IP, port). Hashable, compared by value."""

    transport: Transport
    local: Address
    remote: Address

    @property
    def reliable(self) -> bool:
        """Whether the transport retransmits by itself, so that timers A, E, G are not used (RFC 3261 section 17)."""
        return self.transport != "udp"

    @property
    def via(self) -> str:
        """The sent-protocol and sent-by of a Via header for requests over this flow."""
        return f"SIP/2.0/{self.transport.upper()} {host_port(self.local)}"


def host_port(address: Address) -> str:
    """`ip:port`, with IPv6 in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
