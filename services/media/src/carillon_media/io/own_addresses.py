"""Which address of ours a far end is told, by its transport and family.

Invariant: an IPv6 far end is never told an IPv4 address, nor the other way round, unless nothing else is known.
"""

import socket
from collections.abc import Mapping, Sequence

from carillon_sip.flow import DEFAULT_PORTS, Address, Transport

#: Far ends whose address of ours is remembered; more are looked up anew.
_REMEMBERED = 20_000
_EVERYWHERE = ("0.0.0.0", "::")


class OwnAddresses:
    """`advertise`: hosts to tell, comma-separated: one IPv4 address or name, one IPv6 address; empty: where we listen."""

    def __init__(self, advertise: str = "") -> None:
        self._advertised: dict[bool, str] = {}
        for host in filter(None, (part.strip().strip("[]") for part in advertise.split(","))):
            self._advertised[":" in host] = host
        self._bound: dict[Transport, list[Address]] = {}
        self._known: dict[tuple[Transport, str], Address] = {}

    def listening(self, transport: Transport, address: Address) -> None:
        """One more socket of ours."""
        self._bound.setdefault(transport, []).append(address)
        self._known.clear()

    @property
    def bound(self) -> Mapping[Transport, Sequence[Address]]:
        """Where we listen, by transport."""
        return self._bound

    def local(self, transport: Transport, remote_ip: str) -> Address:
        """Our address as the far end at `remote_ip` knows it: the advertised one, the bound one, or that of the route."""
        key = (transport, remote_ip)
        known = self._known.get(key)
        if known is None:
            if len(self._known) > _REMEMBERED:
                self._known.clear()
            known = self._known[key] = self._find(transport, remote_ip)
        return known

    def _find(self, transport: Transport, remote_ip: str) -> Address:
        v6 = ":" in remote_ip
        ours = next((a for a in self._bound.get(transport, ()) if (":" in a[0]) == v6), None)
        if ours is None:
            others = (a for addresses in self._bound.values() for a in addresses if (":" in a[0]) == v6)
            host, port = next(others, ("::" if v6 else "0.0.0.0", 0))[0], DEFAULT_PORTS[transport]
        else:
            host, port = ours
        if v6 in self._advertised:
            return self._advertised[v6], port
        return (route_to(remote_ip) if host in _EVERYWHERE else host), port


def route_to(remote_ip: str) -> str:
    """Our address on the way to `remote_ip`; connecting a UDP socket sends nothing."""
    v6 = ":" in remote_ip
    with socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((remote_ip, 9))
        except OSError:
            return "::1" if v6 else "127.0.0.1"
        host: str = probe.getsockname()[0]
        return host
