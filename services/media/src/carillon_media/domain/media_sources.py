"""From where a leg's audio may come: from where its session description says and from where its SIP comes, and from nowhere else.

A phone behind a NAT describes an address that nobody sees, and its packets come from that of its SIP. Only where SIP tells nothing of the
phone's own address (an edge or another node passed it on, or it came over the other IP version), and the description is of a private
network, is anybody's first packet believed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from carillon_media.domain.addresses import Network, address_of, is_inside, plain

ANYBODY = {4: ("0.0.0.0/0",), 6: ("::/0",)}
#: How media sessions are named that nodes have with each other.
BETWEEN_NODES = "nodes/"
#: What one leg may have, by the media plane's room for them.
MOST = 8


@dataclass(frozen=True, slots=True)
class MediaSources:
    """`trusted`: networks that any leg's audio may come from; `is_edge`: whether SIP from there was passed on for a phone elsewhere."""

    trusted: tuple[Network, ...] = ()
    is_edge: Callable[[str], bool] = lambda ip: False

    def of(self, described: str, sip: str, of_trunk: Sequence[str] = ()) -> tuple[str, ...]:
        """Networks beside the address `described` itself, for a leg whose SIP comes from `sip`."""
        try:
            address, here = plain(address_of(sip.partition("%")[0])), address_of(described)
        except ValueError:
            return ()
        telling = address.version == here.version and not self.is_edge(sip)
        if not telling and here.is_private and not of_trunk:
            return ANYBODY[here.version]
        found = [str(address)] if telling and address != here else []
        return (*found, *of_trunk, *(str(network) for network in self.trusted if network.version == here.version))[:MOST]


def edges(networks: Sequence[Network], is_node: Callable[[str], bool]) -> Callable[[str], bool]:
    """SIP edges by their networks, and other nodes."""
    return lambda ip: is_node(ip) or (bool(networks) and is_inside(ip, networks))
