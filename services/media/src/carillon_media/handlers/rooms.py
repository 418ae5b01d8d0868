"""The conference rooms of this node: who is in which, the mixing told to the media plane, keys and requests carried out.

Invariant: a member of a room is a call that is up; a call that is over is out of its room; requests for another tenant's room find none.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from carillon_contracts.conference import (
    ConferenceClosed,
    ConferenceOpened,
    ConferencePartyJoined,
    ConferencePartyLeft,
    ConferenceRecordingSwitched,
)
from carillon_contracts.envelope import EventData
from carillon_kit.logs import get_logger
from carillon_media.domain import conference, inputs
from carillon_media.domain.conference import Member, Room
from carillon_media.domain.steps import Conference, Speech
from carillon_media.handlers import media_acts
from carillon_media.handlers.room_tapes import PREFIX, RoomTapes
from carillon_media.handlers.timers import Timers
from carillon_media.ports import Parts
from carillon_rtp.protocol import PlaneError
from carillon_rtp.values import MUTED, SPEAKER, PartyTalking

if TYPE_CHECKING:
    from carillon_media.handlers.actor import CallActor

_log = get_logger(__name__)
_JOINED = {"fr": "{} est arrivé", "en": "{} has joined", "de": "{} ist dabei", "nl": "{} neemt deel", "it": "{} è entrato"}
_LEFT = {"fr": "{} est parti", "en": "{} has left", "de": "{} hat die Konferenz verlassen", "nl": "{} is vertrokken", "it": "{} è uscito"}
RECORDED = {
    "fr": "Cette conférence est enregistrée.",
    "en": "This conference is recorded.",
    "de": "Diese Konferenz wird aufgenommen.",
    "nl": "Deze conferentie wordt opgenomen.",
    "it": "Questa conferenza viene registrata.",
}
_NOT_RECORDED = {
    "fr": "L'enregistrement est terminé.",
    "en": "The recording has ended.",
    "de": "Die Aufnahme ist beendet.",
    "nl": "De opname is beëindigd.",
    "it": "La registrazione è terminata.",
}
Key = tuple[str, str]


class Rooms:
    """Rooms by tenant and id."""

    def __init__(self, parts: Parts, spawn: Callable[[Awaitable[None]], None]) -> None:
        self._parts = parts
        self._spawn = spawn
        self._rooms: dict[Key, Room] = {}
        self._steps: dict[Key, Conference] = {}
        self._members: dict[str, tuple[CallActor, str, Key]] = {}
        self._pressed: dict[str, str] = {}
        self._timers = Timers(parts.clock, self._time_is_over)
        self._news: set[asyncio.Event] = set()
        self._locks: dict[Key, asyncio.Lock] = {}
        #: What happens in rooms: tenant, meeting, event.
        self.announce: Callable[[str, str, str, EventData], None] = lambda tenant, meeting_id, fact, event: None
        #: None: rooms are not recorded.
        self.tapes: RoomTapes | None = None

    # -- questions ----------------------------------------------------------------------------------------------------

    def of(self, tenant: str) -> list[Room]:
        """The tenant's rooms that are in use."""
        return [room for room in self._rooms.values() if room.tenant == tenant]

    def find(self, tenant: str, room_id: str) -> Room | None:
        """The tenant's room if it is in use."""
        return self._rooms.get((tenant, room_id))

    def watch(self) -> asyncio.Event:
        """Set whenever something changes in a room; hand it back to `unwatch`."""
        news = asyncio.Event()
        self._news.add(news)
        return news

    def unwatch(self, news: asyncio.Event) -> None:
        """No more."""
        self._news.discard(news)

    # -- calls --------------------------------------------------------------------------------------------------------

    async def enter(self, actor: "CallActor", leg_id: str, step: Conference, *, silent: bool) -> None:
        """Let the call's caller in, or say why not."""
        key = (actor.call.facts.tenant, step.room_id)
        async with self._locks.setdefault(key, asyncio.Lock()):
            room = self._rooms.get(key) or self._new(key, step, again=silent)
            member = self._member(actor, leg_id, step)
            if reason := conference.refusal(room, member):
                actor.post(inputs.RoomLeft(reason))
                return
            try:
                await actor.ports.agree(actor.legs[leg_id])
                await actor.ports.tell(actor.legs[leg_id])
                await self._open(key, step)
            except (PlaneError, OSError) as error:
                self._parts.quiet.warning("a conference cannot be mixed", room=step.room_id, error=str(error))
                actor.post(inputs.RoomLeft("failed"))
                return
            # Others may have left, or the room was closed, meanwhile.
            room = self._rooms.get(key) or self._new(key, step, again=silent)
            opened_before = room.open
            new, first = member.key not in room.members, key not in self._rooms
            room = self._keep(key, conference.entered(room, member))
            self._members[member.key] = (actor, leg_id, key)
            if first:
                self._told(room, "opened", ConferenceOpened(**_of(room), display_name=room.display_name))
            if new:
                who = {"party": member.name, "number": member.number, "creator": member.creator}
                self._told(room, "party_joined", ConferencePartyJoined(**_of(room), call_id=member.key, **who, parties=len(room.members)))
            if room.recorded and self.tapes is not None:
                await self.tapes.begin(_name(key), room, step.retention_days)
            for each in room.members if room.open != opened_before else (member.key,):
                await self._mix(key, each, silent=silent or step.announcement == "")
            actor.post(inputs.RoomEntered(room.meeting_id))
            said = [(_JOINED, member.name)] if step.announcement == "name" else []
            if new and not silent:
                await self._say(key, step.language, *said, *([(RECORDED, "")] if room.recorded and room.tells else []))

    async def leave(self, actor: "CallActor") -> None:
        """The call is out of its room, for whatever reason."""
        found = self._members.pop(actor.call.facts.call_id, None)
        self._pressed.pop(actor.call.facts.call_id, None)
        if found is None:
            return
        _, leg_id, key = found
        step = self._steps.get(key)
        leg = actor.legs.get(leg_id)
        if leg is not None:
            await media_acts.attempt(actor, self._parts.plane.leave(leg.plane, silent=step is None or step.announcement == ""))
        # Others may have left, or the room was closed, meanwhile.
        room = self._rooms.get(key)
        member = room.members.get(actor.call.facts.call_id) if room is not None else None
        if room is not None:
            room = self._keep(key, conference.left(room, actor.call.facts.call_id, self._parts.clock.monotonic()))
        if room is not None and member is not None:
            who = {"party": member.name, "number": member.number}
            self._told(room, "party_left", ConferencePartyLeft(**_of(room), call_id=member.key, **who, parties=len(room.members)))
        if member is not None and step is not None and step.announcement == "name":
            await self._say(key, step.language, (_LEFT, member.name))

    def holds(self, actor: "CallActor") -> bool:
        """Whether the call is in a room."""
        return actor.call.facts.call_id in self._members

    async def press(self, actor: "CallActor", digit: str) -> None:
        """A key of a member."""
        call_id = actor.call.facts.call_id
        found = self._members.get(call_id)
        room = self._rooms.get(found[2]) if found is not None else None
        if found is None or room is None or call_id not in room.members:
            return
        code = conference.code_of(self._pressed.get(call_id, "") + digit, room.members[call_id].creator)
        self._pressed[call_id] = "" if code else digit
        tenant, room_id = found[2]
        match code:
            case conference.KEY_MUTE:
                await self.mute(tenant, room_id, call_id, not room.members[call_id].muted)
            case conference.KEY_LEAVE:
                actor.post(inputs.RoomLeft("left"))
            case conference.KEY_LOCK:
                self.lock(tenant, room_id, not room.locked)
            case conference.KEY_MUTE_ALL:
                await self.mute_all(tenant, room_id)
            case conference.KEY_PUT_OUT:
                self.put_out(tenant, room_id, conference.last_participant(room))
            case conference.KEY_CLOSE:
                self.close(tenant, room_id)

    def talking(self, event: PartyTalking) -> None:
        """The plane heard somebody begin or end to speak."""
        call_id = event.session.rpartition("/")[0]
        found = self._members.get(call_id)
        if found is not None and found[2] in self._rooms:
            self._keep(found[2], conference.changed(self._rooms[found[2]], call_id, talking=event.talking))

    # -- requests -----------------------------------------------------------------------------------------------------

    async def mute(self, tenant: str, room_id: str, call_id: str, muted: bool) -> bool:
        """Whether there is such a member."""
        room = self.find(tenant, room_id)
        if room is None or call_id not in room.members:
            return False
        self._keep((tenant, room_id), conference.changed(room, call_id, muted=muted))
        await self._mix((tenant, room_id), call_id, silent=True)
        return True

    async def mute_all(self, tenant: str, room_id: str) -> None:
        """Everybody but the creators; once more: nobody."""
        room = self.find(tenant, room_id)
        if room is not None:
            for call_id in self._keep((tenant, room_id), conference.muted_all(room)).members:
                await self._mix((tenant, room_id), call_id, silent=True)

    def lock(self, tenant: str, room_id: str, locked: bool) -> bool:
        """Nobody but creators comes in; False: the room is not in use."""
        room = self.find(tenant, room_id)
        if room is None:
            return False
        self._keep((tenant, room_id), replace(room, locked=locked))
        return True

    async def record(self, tenant: str, room_id: str, by: str, *, on: bool) -> Literal["done", "already", "unknown", "failed"]:
        """Begin or end the room's recording, and tell all who are in it."""
        key = (tenant, room_id)
        async with self._locks.setdefault(key, asyncio.Lock()) if key in self._rooms else contextlib.nullcontext():
            room, step = self._rooms.get(key), self._steps.get(key)
            if room is None or step is None:
                return "unknown"
            if room.recorded == on:
                return "already"
            if self.tapes is None or not await (self._taped(key, room, step) if on else self.tapes.end(_name(key))):
                return "failed"
            if key not in self._rooms:
                return "unknown"  # It was closed meanwhile, and its recording ended with it.
            room = self._keep(key, replace(self._rooms[key], recorded=on, tells=on))
            self.tapes.switch(_name(key), on)
            self._told(room, "recording_switched", ConferenceRecordingSwitched(**_of(room), on=on, requested_by=by))
            if not on:
                await self._say(key, step.language, (_NOT_RECORDED, ""))
            return "done"

    async def _taped(self, key: Key, room: Room, step: Conference) -> bool:
        """Begin a recording and say so; False: there is none, or it may go on and cannot be ended, which the room shows then."""
        tapes = self.tapes
        if tapes is None or not await tapes.begin(_name(key), room, step.retention_days):
            return False
        if key not in self._rooms or await self._say(key, step.language, (RECORDED, "")):
            return True
        _log.error("a conference is not recorded, because it cannot be said", tenant=key[0], room=key[1])
        if not await tapes.end(_name(key)) and key in self._rooms:
            self._keep(key, replace(self._rooms[key], recorded=True, tells=True))
        return False

    def put_out(self, tenant: str, room_id: str, call_id: str) -> bool:
        """Whether there was such a member."""
        room = self.find(tenant, room_id)
        found = self._members.get(call_id)
        if room is None or found is None or call_id not in room.members:
            return False
        found[0].post(inputs.RoomLeft("kicked"))
        return True

    def close(self, tenant: str, room_id: str, *, reason: Literal["idle", "closed"] = "closed") -> bool:
        """Everybody is put out; False: the room is not in use."""
        room = self._rooms.pop((tenant, room_id), None)
        if room is None:
            return False
        self._steps.pop((tenant, room_id), None)
        self._timers.cancel(_name((tenant, room_id)))
        for call_id in room.members:
            # Who is leaving is in the room until the plane has let go of it.
            if found := self._members.get(call_id):
                found[0].post(inputs.RoomLeft("closed"))
        self._told(room, "closed", ConferenceClosed(**_of(room), reason=reason))
        if self.tapes is not None:
            self.tapes.switch(_name((tenant, room_id)), None)
        self._spawn(self._close(room))
        self._tell()
        return True

    # -- inside -------------------------------------------------------------------------------------------------------

    def _new(self, key: Key, step: Conference, *, again: bool) -> Room:
        """`again`: its members were in it already, when another process had it; what they were told of its recording stays so."""
        self._steps[key] = step
        switched = self.tapes.switched(_name(key)) if self.tapes is not None and again else None
        if self.tapes is not None and not again:
            self.tapes.switch(_name(key), None)
        most = min(step.max_parties or 200, 200)
        idle = float(step.idle_seconds or 120)
        meeting_id = str(self._parts.ids.uuid7())
        recorded = step.record if switched is None else switched
        named = (key[0], key[1], meeting_id, step.display_name, most, idle, step.wait_for_creator)
        return Room(*named, recorded=recorded, tells=switched or False)

    def _member(self, actor: "CallActor", leg_id: str, step: Conference) -> Member:
        number = actor.call.legs[leg_id].number
        name = step.party_name or actor.call.facts.caller_name or number
        return Member(actor.call.facts.call_id, name, number, step.creator, self._parts.clock.monotonic())

    def _keep(self, key: Key, room: Room) -> Room:
        self._rooms[key] = room
        at = conference.closes_at(room)
        if at is None:
            self._timers.cancel(_name(key))
        else:
            self._timers.set(_name(key), at)
        self._tell()
        return room

    def _tell(self) -> None:
        for news in self._news:
            news.set()

    def _time_is_over(self, name: str) -> None:
        tenant, _, room_id = name.partition("/")
        self.close(tenant, room_id, reason="idle")

    def _told(self, room: Room, fact: str, event: EventData) -> None:
        self.announce(room.tenant, room.meeting_id, fact, event)

    def recorded(self, recording_id: str) -> bool:
        """The plane has ended a recording; False: it is none of a room's."""
        if self.tapes is None or not recording_id.startswith(PREFIX):
            return False
        self._spawn(self.tapes.ended(recording_id))
        return True

    def plane_died(self) -> None:
        """Recordings are over."""
        if self.tapes is not None:
            self._spawn(self.tapes.plane_died())

    async def _open(self, key: Key, step: Conference) -> None:
        entry, exit_sound = self._parts.prompts.room_sounds()
        music = await self._music(key, step)
        await self._parts.plane.open_room(_name(key), entry_sound=entry, exit_sound=exit_sound, music=music)

    async def _music(self, key: Key, step: Conference) -> Path:
        return (await self._parts.prompts.music(key[0], step.music_id))[0]

    async def _mix(self, key: Key, call_id: str, *, silent: bool) -> None:
        """Tell the plane how a member takes part; while the room waits for its creator the others hear music only."""
        found, room, step = self._members.get(call_id), self._rooms.get(key), self._steps.get(key)
        if found is None or room is None or step is None or call_id not in room.members:
            return  # It left, or the room was closed, while the plane was asked something else.
        actor, leg_id, _ = found
        leg = actor.legs.get(leg_id)
        if leg is None:
            return
        plane = self._parts.plane
        try:
            if not room.open:
                await plane.play(leg.plane, f"wait-{room.meeting_id}", [await self._music(key, step)], loop=True)
                return
            await plane.stop_play(leg.plane)
            await plane.join(leg.plane, _name(key), MUTED if room.members[call_id].muted else SPEAKER, silent=silent)
        except (PlaneError, OSError) as error:
            self._parts.quiet.warning("a party cannot be mixed", room=key[1], error=str(error))
            actor.post(inputs.RoomLeft("failed"))

    async def _say(self, key: Key, language: str, *phrases: tuple[Mapping[str, str], str]) -> bool:
        """Sentences by language, each with a name for its gap; False: they cannot be said."""
        if not phrases:
            return True
        spoken = language if language.split("-")[0] in _JOINED else "en"
        said = [Speech(sentences[spoken.split("-")[0]].format(name), spoken) for sentences, name in phrases]
        try:
            files = await self._parts.prompts.files(key[0], said, "")
            await self._parts.plane.play_room(_name(key), f"say-{self._parts.ids.token(6)}", files)
        except (PlaneError, OSError) as error:
            _log.debug("a room is not told something", room=key[1], error=str(error))
            return False
        return True

    async def _close(self, room: Room) -> None:
        try:
            await self._parts.plane.close_room(_name((room.tenant, room.room_id)))
        except PlaneError as error:
            _log.debug("media plane", room=room.room_id, error=str(error))


def _of(room: Room) -> dict[str, str]:
    return {"room_id": room.room_id, "meeting_id": room.meeting_id}


def _name(key: Key) -> str:
    """As the plane and timers know it; tenants' ids have no slash."""
    return "/".join(key)
