"""Supervisors on other people's calls: listen, whisper, barge.

A tapped call is mixed in a room without a name, laid over its bridge: the target and its peer hear one another and those supervisors
they are to hear, the supervisors hear both. When the last supervisor leaves, the room goes and the bridge is relayed again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import get_args

from carillon_rtp.core import Core
from carillon_rtp.protocol import BadRequest, PlaneError
from carillon_rtp.rooms import Member
from carillon_rtp.values import Party, Tap, TapMode

TARGET, PEER, TO_TARGET, TO_PEER, TO_BOTH = 1, 2, 4, 8, 16  # channels: who says it, or whom it is said to


class Taps:
    """The taps of one core's sessions, by supervisor."""

    def __init__(self, core: Core, sessions: Mapping[str, Member]) -> None:
        self._core = core
        self._sessions = sessions
        self._taps: dict[str, Tap] = {}

    def of(self, session: Member) -> Tap | None:
        return self._taps.get(session.name)

    def tap(self, session: Member, target: Member, mode: TapMode) -> None:
        """Raises BadRequest, NoCoder; then nothing has changed."""
        self._check(session, target, mode)
        before = self._taps.get(session.name)
        if before is not None and before.target != target.name:
            self.untap(session)
            before = None
        self._taps[session.name] = Tap(target.name, mode)
        try:
            self._wire(target)
        except PlaneError:
            if before is None:
                self.untap(session)
            raise

    def _check(self, session: Member, target: Member, mode: str) -> None:
        if mode not in get_args(TapMode):
            raise BadRequest("bad_request", f"mode is one of {', '.join(get_args(TapMode))}")
        if session is target or session.peer is not None:
            raise BadRequest("bad_request", f"{session.name} is in a call itself")
        if session.room is not None or target.room is not None:
            raise BadRequest("bad_request", f"{session.name} or {target.name} is in a room")
        if target.name in self._taps:
            raise BadRequest("bad_request", f"{target.name} taps a call itself")

    def untap(self, session: Member) -> None:
        tap = self._taps.pop(session.name, None)
        target = self._sessions.get(tap.target) if tap else None
        if session.tapped is not None and not session.gone:
            self._core.leave(session.handle, silent=True)
        session.tapped = None
        if target is not None and not self._supervisors(target):
            self._dissolve(target)

    def forget(self, session: Member) -> None:
        """Before a session closes: its tap, and those of whoever taps it."""
        if session.name in self._taps:
            self.untap(session)
        for name in [name for name, tap in self._taps.items() if tap.target == session.name]:
            self.untap(self._sessions[name])

    @contextlib.contextmanager
    def apart(self, *sessions: Member) -> Iterator[None]:
        """While bridges change nothing is mixed; afterwards the taps follow their targets."""
        concerned = [*sessions, *(self._sessions[one.peer] for one in sessions if one.peer)]
        tapped = [one for one in concerned if one.tapped is not None]
        for one in tapped:
            self._dissolve(one)
        yield
        for one in concerned:
            if not one.gone and self._supervisors(one):
                self._wire(one)

    def _supervisors(self, target: Member) -> list[str]:
        call = {target.name, target.peer}
        return [name for name, tap in self._taps.items() if tap.target in call]

    def _wire(self, target: Member) -> None:
        """Everybody of this call into its room, as their taps say."""
        peer = self._sessions[target.peer] if target.peer else None
        room = target.tapped
        if room is None:
            room = self._core.open_room(entry_sound=None, exit_sound=None, music=None, tell_talkers=False)
        parties = [(target, Party(says=TARGET, hears=PEER | TO_TARGET | TO_BOTH))]
        if peer is not None:
            parties.append((peer, Party(says=PEER, hears=TARGET | TO_PEER | TO_BOTH)))
        for name in self._supervisors(target):
            parties.append((self._sessions[name], _supervisor(self._taps[name], target)))
        for member, party in parties:
            member.tapped = room
            self._core.join(member.handle, room, party, silent=True)

    def _dissolve(self, member: Member) -> None:
        room = member.tapped
        if room is None:
            return
        self._core.close_room(room)
        for session in self._sessions.values():
            if session.tapped == room:
                session.tapped = None


def _supervisor(tap: Tap, target: Member) -> Party:
    whisper = TO_TARGET if tap.target == target.name else TO_PEER
    says = {"listen": 0, "whisper": whisper, "barge": TO_BOTH}[tap.mode]
    return Party(says=says, hears=TARGET | PEER | TO_BOTH)
