"""Flow: the pair of addresses over which SIP messages travel (RFC 5626 section 3).

A flow is a value: it names a UDP address pair or one TCP connection, and holds no socket. Replies and in-dialog
requests are sent over the flow that the shell hands in, so NAT bindings and connections are used again.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Address = tuple[str, int]
Transport = Literal["udp", "tcp", "tls"]
#: Where a transport listens when nobody says another port (RFC 3261 section 19.1.2).
DEFAULT_PORTS: Mapping[Transport, int] = {"udp": 5060, "tcp": 5060, "tls": 5061}


class Flow(NamedTuple):
    """Where a message came from or goes to; `local` and `remote` are (IP, port). Hashable, compared by value.

    `server_name` is what the far end of a TLS connection that we open must prove by its certificate (RFC 5922 section 7.2);
    empty for the connections of others, so such a flow ends with its connection.
    """

    transport: Transport
    local: Address
    remote: Address
    server_name: str = ""

    @property
    def reliable(self) -> bool:
        """Whether the transport retransmits by itself, so that timers A, E, G are not used (RFC 3261 section 17)."""
        return self.transport != "udp"

    @property
    def via(self) -> str:
        """The sent-protocol and sent-by of a Via header for requests over this flow."""
        return f"SIP/2.0/{self.transport.upper()} {host_port(self.local)}"


def host_port(address: Address) -> str:
    """`ip:port`, with IPv6 in brackets and without the zone that means something on this machine only."""
    host, port = address
    if "%" in host:
        host = host.partition("%")[0]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
