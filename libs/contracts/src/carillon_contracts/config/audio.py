"""Announcements and music as files, and which calls are recorded."""

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from carillon_contracts.config.destinations import Announcement
from carillon_contracts.config.values import Language, Resource, Shape

ObjectName = Annotated[str, StringConstraints(pattern=r"^sha256-[0-9a-f]{64}$")]


class Audio(Resource):
    """A file that media checked and converted; `object` is its telephone form, `wide_object` its wide-band one."""

    KIND: ClassVar[str] = "audio"
    PLURAL: ClassVar[str] = "audios"
    display_name: str = ""
    purpose: Literal["announcement", "music"] = "announcement"
    language: Language = ""
    object: ObjectName
    wide_object: ObjectName
    duration_ms: Annotated[int, Field(ge=1)]
    text: Annotated[str, StringConstraints(max_length=2000)] = ""
    rights_confirmed_by: Annotated[str, StringConstraints(min_length=1, max_length=254)]
    rights_confirmed_at: AwareDatetime


class PlaylistTrack(Shape):
    """One file of a playlist."""

    audio_id: Annotated[str, StringConstraints(min_length=1)]


class Playlist(Resource):
    """Files heard one after another, again and again."""

    KIND: ClassVar[str] = "playlist"
    PLURAL: ClassVar[str] = "playlists"
    display_name: str = ""
    tracks: Annotated[tuple[PlaylistTrack, ...], Field(min_length=1, max_length=100)]
    order: Literal["listed", "shuffled"] = "listed"
    resume: Literal["restart", "continue"] = "restart"


class RecordingPolicy(Resource):
    """Whether calls are recorded, how, and for how long recordings are kept (0 days: as the installation is set)."""

    KIND: ClassVar[str] = "recording_policy"
    PLURAL: ClassVar[str] = "recording_policies"
    display_name: str = ""
    mode: Literal["never", "on_demand", "always"] = "never"
    announcement: tuple[Announcement, ...] = ()
    tone: bool = False
    stereo: bool = False
    sides: Literal["both", "caller", "called"] = "both"
    retention_days: Annotated[int, Field(ge=0, le=3650)] = 0
    key: Annotated[str, StringConstraints(pattern=r"^[0-9*#]{1,6}$")] = "*1"
