"""Two sessions of this media plane that are each other's far end: a carrier between them hands their descriptions through as they are.

Always: a session is told to send to another one only while both have named each other and belong to different calls, and falls silent
when that ends, so that nobody who claims a port of ours in a description hears or is heard. What could then still go in a circle, two
calls put together at both ends, the plane bounds: no session takes more than 500 packets a second.
"""

from dataclasses import replace

from carillon_rtp.values import MediaAddress, Remote

Told = tuple[str, Remote]


class Hairpins:
    """What sessions have said of their far ends; gives what the plane has to be told of whom."""

    def __init__(self) -> None:
        self._at: dict[str, tuple[str, int]] = {}
        self._sessions: dict[tuple[str, int], str] = {}
        self._named: dict[str, Remote] = {}
        #: By session the one that it sends to, both ways.
        self._joined: dict[str, str] = {}

    def opened(self, session: str, address: MediaAddress) -> None:
        """A session has this address."""
        self._at[session] = address.ip, address.port
        self._sessions[address.ip, address.port] = session

    def elsewhere(self, session: str, remote: Remote) -> list[Told]:
        """Its far end is none of our sessions: whom it was joined with falls silent."""
        self._named[session] = remote
        return self._parted(session)

    def within(self, session: str, remote: Remote) -> list[Told] | None:
        """Its far end is at one of our ports; until the other side names it too, it is silent. None: that must not be."""
        other, here = self._sessions.get((remote.ip, remote.port)), self._at.get(session)
        if (
            other is None
            or here is None
            or _call_of(other) == _call_of(session)
            or remote.rtcp_port not in (None, remote.port, remote.port + 1)
        ):
            return None
        theirs = self._named.get(other)
        if theirs is not None and (theirs.ip, theirs.port) != here:
            return None
        before, self._named[session] = self._named.get(session), remote
        if theirs is None:
            moved = before is not None and (before.ip, before.port) != (remote.ip, remote.port)
            return [*self._parted(session), *([(session, _silent(before))] if before is not None and moved else [])]
        if self._joined.get(session) == other:
            return [(session, remote)]
        told = [*self._parted(session), (session, remote), (other, theirs)]
        self._joined |= {session: other, other: session}
        return told

    def closed(self, session: str) -> list[Told]:
        """It ends; its port may become another's."""
        told = self._parted(session)
        self._named.pop(session, None)
        address = self._at.pop(session, None)
        if address is not None and self._sessions.get(address) == session:
            del self._sessions[address]
        return told

    def _parted(self, session: str) -> list[Told]:
        other = self._joined.pop(session, "")
        if not other:
            return []
        self._joined.pop(other, None)
        return [(other, _silent(self._named[other]))]


def _silent(remote: Remote) -> Remote:
    return replace(remote, send=False, receive=False)


def _call_of(session: str) -> str:
    return session.rpartition("/")[0]
