"""The media plane, told of no address that we do not send to: the last look at what a session description says.

Invariant: the plane never gets a remote that `Addresses` refuses, nor a media port of another node (`is_peers`: its address), but for the
sessions that nodes have with each other: these are named so by us alone. A media port of ours only as `Hairpins` has it.
"""

import contextlib
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from carillon_media.domain.addresses import Addresses
from carillon_media.domain.hairpins import Hairpins, Told
from carillon_media.domain.media_sources import BETWEEN_NODES
from carillon_media.ports import PlanePort
from carillon_rtp.client import NoSession, PlaneClient, RefusedTarget
from carillon_rtp.values import IpVersion, MediaAddress, Remote, Restored, SessionState, Statistics


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
        self._hairpins = Hairpins()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """Everything else goes to the plane as it is."""
            return getattr(self._plane, name)

    async def open(self, session: str, *, port: int | None = None, urgent: bool = False, ip_version: IpVersion = 4) -> MediaAddress:
        """As the plane does."""
        address = await self._plane.open(session, port=port, urgent=urgent, ip_version=ip_version)
        self._opened(session, address)
        return address

    async def close(self, session: str) -> Statistics:
        """As the plane does."""
        others = self._hairpins.closed(session)
        statistics = await self._plane.close(session)
        await self._tell_others(others)
        return statistics

    async def close_all(self, sessions: Sequence[str]) -> None:
        """As the plane does."""
        others = [each for session in sessions for each in self._hairpins.closed(session)]
        await self._plane.close_all(sessions)
        await self._tell_others(others)

    async def list_sessions(self) -> list[SessionState]:
        """As the plane does; those that a process before has opened are ours as well."""
        states = await self._plane.list_sessions()
        for state in states:
            self._opened(state.session, state.address)
        for state in states:
            if state.remote is not None:
                self._look(state.session, state.remote)
        return states

    async def set_remote(self, session: str, remote: Remote) -> None:
        """As the plane does; of a far end that is a session of ours, once that names this one too. Raises RefusedTarget."""
        told = self._checked(session, remote)
        await self._tell_others(each for each in told if each[0] != session)
        for _, own in (each for each in told if each[0] == session):
            await self._plane.set_remote(session, own)

    async def restore(self, sessions: Sequence[Restored], bridges: Sequence[tuple[str, str]] = ()) -> list[MediaAddress]:
        """As the plane does, and `set_remote`. Raises RefusedTarget before anything is asked."""
        others: list[Told] = []
        now: list[Restored] = []
        for session in sessions:
            told = self._checked(session.session, session.remote) if session.remote is not None else []
            others += (each for each in told if each[0] != session.session)
            now.append(replace(session, remote=next((own for name, own in told if name == session.session), None)))
        addresses = await self._plane.restore(now, bridges)
        for session, address in zip(sessions, addresses, strict=True):
            self._opened(session.session, address)
        await self._tell_others(others)
        return addresses

    def _opened(self, session: str, address: MediaAddress) -> None:
        self._own_hosts.add(address.ip)
        self._hairpins.opened(session, address)

    async def _tell_others(self, told: Iterable[Told]) -> None:
        """One that is gone needs to know nothing."""
        for session, remote in told:
            with contextlib.suppress(NoSession):
                await self._plane.set_remote(session, remote)

    def _checked(self, session: str, remote: Remote) -> list[Told]:
        """What the plane is to be told now. Raises RefusedTarget."""
        found = self._look(session, remote)
        if found is None:
            raise RefusedTarget("refused_target", f"nothing is sent to {remote.ip}:{remote.port}")
        return found

    def _look(self, session: str, remote: Remote) -> list[Told] | None:
        """As `_checked`; None: refused."""
        ports = {remote.port, remote.rtcp_port or remote.port}
        at_ours = not session.startswith(BETWEEN_NODES) and any(port in self._own_ports for port in ports)
        if not all(self._addresses.allows(remote.ip, port) for port in ports) or (at_ours and self._is_peers(remote.ip)):
            return None
        if at_ours and remote.ip in self._own_hosts:
            return self._hairpins.within(session, remote)
        return [*self._hairpins.elsewhere(session, remote), (session, remote)]


def guarded(plane: PlaneClient, addresses: Addresses, own_ports: Container[int], is_peers: Callable[[str], bool]) -> PlanePort:
    """The plane behind the guard."""
    return cast(PlanePort, GuardedPlane(plane, addresses, own_ports, is_peers))
