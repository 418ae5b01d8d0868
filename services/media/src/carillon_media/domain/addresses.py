"""Where we send at all, whatever a message says: the last look before a packet leaves (Via, Contact, Record-Route, SDP, names of trunks).

Invariant: never to ourselves, to no multicast, broadcast, link-local or unspecified address, to no network that the settings refuse, and to
loopback only where we listen on loopback ourselves.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: Addresses whose answer is remembered.
_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class Reach:
    """What is allowed beyond the rule: loopback, and what is refused besides: networks."""

    loopback: bool
    refused: tuple[Network, ...] = ()


#: An IP address as `ipaddress` reads it; those of one's phones and carriers come again and again. Raises ValueError.
address_of = lru_cache(maxsize=8192)(ipaddress.ip_address)


class Addresses:
    """Answers are remembered by address; `own` are (IP, port) where we listen, for datagrams and for streams: a port of the one kind says
    nothing of the other, and may be anybody's."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._known: dict[str, bool] = {}
        self._own: dict[bool, frozenset[tuple[str, int]]] = {False: frozenset(), True: frozenset()}

    def listening_at(self, datagrams: Iterable[tuple[str, int]], streams: Iterable[tuple[str, int]]) -> None:
        """Our own addresses, in place of those before."""
        self._own = {False: frozenset(datagrams), True: frozenset(streams)}

    def allows(self, ip: str, port: int, *, stream: bool = False) -> bool:
        """Whether something may be sent there, by UDP or by a stream."""
        known = self._known.get(ip)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[ip] = self._look(ip)
        return known and port > 0 and (ip, port) not in self._own[stream]

    def _look(self, ip: str) -> bool:
        try:
            address = plain(address_of(ip.partition("%")[0]))
        except ValueError:
            return False
        if address.is_multicast or address.is_unspecified or address.is_link_local:
            return False
        if isinstance(address, ipaddress.IPv4Address) and (address.packed[0] == 0 or address.packed[0] >= 240):
            return False
        if address.is_loopback and not self._reach.loopback:
            return False
        return not inside(address, self._reach.refused)


def networks(text: str) -> tuple[Network, ...]:
    """`10.0.0.0/8, 2001:db8::/32` or single addresses, separated by commas or spaces. Raises ValueError."""
    return tuple(ipaddress.ip_network(part, strict=False) for part in text.replace(",", " ").split())


def is_inside(ip: str, where: Sequence[Network]) -> bool:
    """Whether the address lies in one of the networks."""
    try:
        return inside(plain(address_of(ip.partition("%")[0])), where)
    except ValueError:
        return False


def inside(address: _Address, where: Sequence[Network]) -> bool:
    """As `is_inside`."""
    return any(address.version == network.version and address in network for network in where)


def plain(address: _Address) -> _Address:
    """IPv4 in IPv6's clothes (`::ffff:192.0.2.1`) as IPv4."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped
