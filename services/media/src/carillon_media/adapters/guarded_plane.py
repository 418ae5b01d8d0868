"""The media plane, told of no address that we do not send to: the last look at what a session description says.

Invariant: the plane never gets a remote that `Addresses` refuses, nor a media port of ours or of another node (`is_peers`: its address),
but for the sessions that nodes have with each other: these are named so by us alone.
"""

from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING, cast

from carillon_media.domain.addresses import Addresses
from carillon_media.domain.media_sources import BETWEEN_NODES
from carillon_media.ports import PlanePort
from carillon_rtp.client import PlaneClient, RefusedTarget
from carillon_rtp.values import IpVersion, MediaAddress, Remote, Restored, SessionState


class GuardedPlane:
    """A `ports.PlanePort` around the plane's client; `own_ports` are those that the plane gives to sessions."""

    def __init__(
        self, plane: PlaneClient, addresses: Addresses, own_ports: Container[int] = (), is_peers: Callable[[str], bool] = lambda ip: False
    ) -> None:
        self._is_peers = is_peers
        self._plane = plane
        self._addresses = addresses
        self._own_ports = own_ports
        self._own_hosts: set[str] = set()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """Everything else goes to the plane as it is."""
            return getattr(self._plane, name)

    async def open(self, session: str, *, port: int | None = None, urgent: bool = False, ip_version: IpVersion = 4) -> MediaAddress:
        """As the plane does."""
        address = await self._plane.open(session, port=port, urgent=urgent, ip_version=ip_version)
        self._own_hosts.add(address.ip)
        return address

    async def list_sessions(self) -> list[SessionState]:
        """As the plane does; those that a process before has opened are ours as well."""
        states = await self._plane.list_sessions()
        self._own_hosts.update(state.address.ip for state in states)
        return states

    async def set_remote(self, session: str, remote: Remote) -> None:
        """As the plane does. Raises RefusedTarget."""
        self._check(session, remote)
        await self._plane.set_remote(session, remote)

    async def restore(self, sessions: Sequence[Restored], bridges: Sequence[tuple[str, str]] = ()) -> list[MediaAddress]:
        """As the plane does. Raises RefusedTarget before anything is asked."""
        for session in sessions:
            if session.remote is not None:
                self._check(session.session, session.remote)
        addresses = await self._plane.restore(sessions, bridges)
        self._own_hosts.update(address.ip for address in addresses)
        return addresses

    def _check(self, session: str, remote: Remote) -> None:
        ports = {remote.port, remote.rtcp_port or remote.port}
        nodes = session.startswith(BETWEEN_NODES)
        ours = not nodes and (remote.ip in self._own_hosts or self._is_peers(remote.ip)) and any(port in self._own_ports for port in ports)
        if ours or not all(self._addresses.allows(remote.ip, port) for port in ports):
            raise RefusedTarget("refused_target", f"nothing is sent to {remote.ip}:{remote.port}")


def guarded(plane: PlaneClient, addresses: Addresses, own_ports: Container[int], is_peers: Callable[[str], bool]) -> PlanePort:
    """The plane behind the guard."""
    return cast(PlanePort, GuardedPlane(plane, addresses, own_ports, is_peers))
