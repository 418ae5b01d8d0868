"""Which hosts' audio is of another IP version than their SIP, learnt from what they offer and take.

Invariant: the newest `MOST` are known; a host whose audio is of its SIP's version again is forgotten.
"""

from dataclasses import dataclass, field

from carillon_media.domain.addresses import address_of, plain
from carillon_rtp.values import IpVersion

MOST = 10_000


def version_of_host(host: str) -> IpVersion | None:
    """Of an IP address; None: it is a name."""
    try:
        return 6 if plain(address_of(host.partition("%")[0])).version == 6 else 4
    except ValueError:
        return None


@dataclass(slots=True)
class Families:
    """By the host that SIP comes from."""

    _other: dict[str, IpVersion] = field(default_factory=dict)

    def learn(self, host: str, version: IpVersion) -> None:
        """Its audio was of this version."""
        self._other.pop(host, None)
        if version_of_host(host) in (None, version):
            return
        if len(self._other) >= MOST:
            del self._other[next(iter(self._other))]
        self._other[host] = version

    def expected(self, host: str) -> IpVersion:
        """The version to offer there."""
        return self._other.get(host) or version_of_host(host) or 4
