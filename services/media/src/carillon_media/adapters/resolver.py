"""Names of trunks as IP addresses, looked up ahead of calls.

Invariant: a name keeps its last address while it cannot be looked up; an IP address is its own.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence

from carillon_kit.logs import get_logger

_log = get_logger(__name__)
LOOKUP_SECONDS = 5.0
AGAIN_SECONDS = 60.0
POLL_SECONDS = 1.0


class CachedResolver:
    """`handlers.reach.Resolver`. `hosts` gives the names wanted; run `run` as a task."""

    def __init__(self, hosts: Callable[[], Sequence[str]]) -> None:
        self._hosts = hosts
        self._addresses: dict[str, str] = {}
        self._due: dict[str, float] = {}

    def address(self, host: str) -> str | None:
        """IP address, or None while it is not known."""
        return host if _is_ip(host) else self._addresses.get(host)

    def names(self, ip: str) -> Iterable[str]:
        """The address, and the names that have it."""
        return [ip, *(name for name, address in self._addresses.items() if address == ip)]

    async def run(self) -> None:
        """Look names up when they are new and every minute."""
        loop = asyncio.get_running_loop()
        while True:
            wanted = [host for host in self._hosts() if not _is_ip(host)]
            for name in set(self._addresses) - set(wanted):
                del self._addresses[name]
            for name in wanted:
                if self._due.get(name, 0.0) <= loop.time():
                    self._due[name] = loop.time() + AGAIN_SECONDS
                    await self._look_up(name)
            await asyncio.sleep(POLL_SECONDS)

    async def _look_up(self, name: str) -> None:
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_DGRAM)
        except OSError as error:
            _log.warning("a trunk's name is not known", host=name, error=str(error))
            return
        if found:
            self._addresses[name] = str(found[0][4][0])


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
