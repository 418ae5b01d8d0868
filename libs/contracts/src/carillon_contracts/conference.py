"""Conferences' events, published by media on `carillon.<tenant>.conference.<meeting>.<fact>`.

A meeting is the time from a room's opening to its closing. They tell what happens; who was there for how long stands in the calls' own
events, which are never lost.
"""

from typing import ClassVar, Literal

from carillon_contracts.envelope import EventData


class ConferenceOpened(EventData):
    """Somebody has come into a room that nobody was in."""

    TYPE: ClassVar[str] = "conference.opened.v1"
    room_id: str
    meeting_id: str
    display_name: str = ""


class ConferencePartyJoined(EventData):
    """A call is in the room; `parties` are there now."""

    TYPE: ClassVar[str] = "conference.party_joined.v1"
    room_id: str
    meeting_id: str
    call_id: str
    party: str = ""
    number: str = ""
    creator: bool = False
    parties: int


class ConferencePartyLeft(EventData):
    """A call is out of the room; `parties` are left."""

    TYPE: ClassVar[str] = "conference.party_left.v1"
    room_id: str
    meeting_id: str
    call_id: str
    party: str = ""
    number: str = ""
    parties: int


class ConferenceClosed(EventData):
    """The room is not in use any more: `idle` for too long, or by a creator's key or the API (`closed`)."""

    TYPE: ClassVar[str] = "conference.closed.v1"
    room_id: str
    meeting_id: str
    reason: Literal["idle", "closed"]


class ConferenceRecorded(EventData):
    """What was said in the room is (or soon will be) in the object store."""

    TYPE: ClassVar[str] = "conference.recorded.v1"
    room_id: str
    meeting_id: str
    display_name: str = ""
    #: `sha256-<hex>` of an MP3 file.
    object: str
    duration_ms: int
    bytes: int
    #: 0: as the installation is set.
    retention_days: int = 0
    #: Which recording of its meeting it is.
    part: int = 1


class ConferenceRecordingSwitched(EventData):
    """Somebody wanted the room recorded from now on, or no more."""

    TYPE: ClassVar[str] = "conference.recording_switched.v1"
    room_id: str
    meeting_id: str
    on: bool
    requested_by: str


CONFERENCE_EVENTS = (
    ConferenceOpened,
    ConferencePartyJoined,
    ConferencePartyLeft,
    ConferenceClosed,
    ConferenceRecorded,
    ConferenceRecordingSwitched,
)
