"""What call control needs of the world around it; adapters and io provide these, tests provide small fakes."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from carillon_contracts.call import TraceLine
from carillon_contracts.config import DoorPhone
from carillon_contracts.envelope import EventData
from carillon_kit.clock import Clock
from carillon_kit.ids import Ids
from carillon_media.domain.backlog import Backlog
from carillon_media.domain.causes import RingResult
from carillon_media.domain.diversion import Diverted
from carillon_media.domain.facts import CallFacts, Contact
from carillon_media.domain.families import Families
from carillon_media.domain.media_sources import MediaSources
from carillon_media.domain.plain import Writer
from carillon_media.domain.secrecy import SrtpSetting, TrunkSrtp
from carillon_media.domain.snapshots import SavedCall, SavedLeg
from carillon_media.domain.steps import Outcome, Prompt, Step
from carillon_rtp.values import (
    SPEAKER,
    IpVersion,
    MediaAddress,
    Party,
    RecordedSides,
    Remote,
    Restored,
    SessionState,
    Statistics,
    TapMode,
    Tone,
)
from carillon_sip.commands import Invite, RequestOut
from carillon_sip.digest import Credentials
from carillon_sip.flow import Flow
from carillon_sip.resuming import SavedSession

Fields = Sequence[tuple[str, str]]


class SipPort(Protocol):
    """The SIP stack. Commands for a session that is over are ignored."""

    def respond(self, transaction: str, status: int, *, reason: str | None = None, headers: Fields = (), body: bytes = b"") -> None:
        """Answer a request outside a dialog, or one within a session."""

    def ring(self, session: str, status: int, body: bytes = b"") -> None:
        """Provisional response."""

    def answer(self, session: str, body: bytes, headers: Fields = ()) -> None:
        """200."""

    def tell(self, session: str, headers: Fields) -> None:
        """UPDATE with these headers and no offer, or where the far end does not take UPDATE a re-INVITE that changes nothing."""

    def request(self, request: RequestOut) -> str:
        """A request of ours, outside a dialog or within one; returns its transaction, under which the one answer or time-out comes."""
        ...

    def allows(self, session: str, method: str) -> bool:
        """Whether the far end of an answered session has said that it takes this method."""
        ...

    def reject(self, session: str, status: int, headers: Fields = ()) -> None:
        """Final refusal."""

    def invite(self, invite: Invite) -> str:
        """A new call; returns its session."""

    def ack(self, session: str) -> None:
        """ACK for the 2xx to our INVITE."""

    def cancel(self, session: str, reason: str) -> None:
        """Give up; `reason` is a Reason header's value, or empty."""

    def bye(self, session: str, reason: str) -> None:
        """Hang up; `reason` as for `cancel`."""

    def accept_reinvite(self, session: str, body: bytes) -> None:
        """200 to a re-INVITE."""

    def reject_reinvite(self, session: str, status: int) -> None:
        """Refuse a re-INVITE."""

    def accept_refer(self, refer: str) -> None:
        """202 to a REFER, and its first progress: 100."""

    def decline_refer(self, refer: str, status: int) -> None:
        """Refuse a REFER."""

    def notify_refer(self, refer: str, status: int) -> None:
        """Tell the phone that sent the REFER how its transfer goes (RFC 3515 section 2.4.4); from 200 on it is the end."""

    def save(self, session: str) -> SavedSession | None:
        """What `resume` needs in another process; None: it is over."""

    def resume(self, saved: SavedSession, credentials: Credentials | None = None) -> str:
        """Take up a session of a process that died; returns its name, the same. Raises ParseError."""

    def part(self, saved: SavedSession, status: int, reason: str, credentials: Credentials | None = None) -> None:
        """End at the far end what is not to be taken up: BYE, CANCEL or a refusal. Raises ParseError."""

    def own_address(self, flow: Flow) -> tuple[str, int]:
        """Host and port that the far end of this flow reaches us at, for Contact."""

    def heard(self, session: str) -> bool | None:
        """Whether anything at all, be it 100, has come to our INVITE; None: the session is over."""


class PlanePort(Protocol):
    """The media plane; every method raises `carillon_rtp.client.PlaneError` when the plane refuses or is away."""

    @property
    def ip_versions(self) -> Sequence[int]:
        """Of which ports can be."""
        ...

    async def open(self, session: str, *, port: int | None = None, urgent: bool = False, ip_version: IpVersion = 4) -> MediaAddress: ...
    async def set_remote(self, session: str, remote: Remote) -> None: ...
    async def restore(self, sessions: Sequence[Restored], bridges: Sequence[tuple[str, str]] = ()) -> list[MediaAddress]: ...
    async def bridge(self, a: str, b: str) -> None: ...
    async def unbridge(self, session: str) -> None: ...
    async def play(self, session: str, play_id: str, files: Sequence[Path], *, loop: bool = False, barge_in: bool = False) -> None: ...
    async def stop_play(self, session: str) -> None: ...
    async def record(
        self,
        session: str,
        recording_id: str,
        path: Path,
        *,
        max_ms: int = 0,
        silence_ms: int = 0,
        finish_digits: str = "",
        sides: RecordedSides = "said",
        tone_ms: int = 0,
    ) -> None: ...
    async def pause_record(self, session: str) -> None: ...
    async def resume_record(self, session: str) -> None: ...
    async def send_digits(
        self, session: str, digits_id: str, digits: str, *, on_ms: int = 100, tones: bool = False, after: bool = False
    ) -> None: ...
    async def detect(self, session: str, tones: Collection[Tone]) -> None: ...
    async def open_room(
        self,
        room: str,
        *,
        entry_sound: Path | None = None,
        exit_sound: Path | None = None,
        music: Path | None = None,
        tell_talkers: bool = True,
    ) -> None: ...
    async def play_room(self, room: str, play_id: str, files: Sequence[Path], *, loop: bool = False) -> None: ...
    async def close_room(self, room: str) -> None: ...
    async def record_room(self, room: str, recording_id: str, path: Path) -> None: ...
    async def stop_record_room(self, room: str) -> None: ...
    async def join(self, session: str, room: str, party: Party = SPEAKER, *, silent: bool = False) -> None: ...
    async def leave(self, session: str, *, silent: bool = False) -> None: ...
    async def tap(self, session: str, target: str, mode: TapMode) -> None: ...
    async def untap(self, session: str) -> None: ...
    async def stop_record(self, session: str) -> None: ...
    async def close(self, session: str) -> Statistics: ...
    async def close_all(self, sessions: Sequence[str]) -> None: ...
    async def session_statistics(self, session: str) -> Statistics: ...
    async def statistics_of(self, sessions: Sequence[str]) -> list[Statistics | None]: ...
    async def list_sessions(self) -> list[SessionState]: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What an application decided."""

    step: Step
    cursor: bytes
    trace: tuple[TraceLine, ...]
    config_seq: int
    details: Mapping[str, Any]
    #: All that the decision was made of, as the application wrote it, for deciding it again.
    inputs: Mapping[str, Any] | None = None


class NoDecision(Exception):
    """The application is not known, did not answer in time, or what it answered cannot be done; `passing`: it was not there."""

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


class Applications(Protocol):
    """Whoever decides what happens next in a call."""

    async def ask(self, application: str, facts: CallFacts, cursor: bytes, outcome: Outcome) -> Answer:
        """Ask; raises NoDecision within its deadline."""

    async def signalled(self, application: str, facts: CallFacts, cursor: bytes) -> bool:
        """Whether the wait of this cursor is to end; answers when it is, or after some seconds. Raises NoDecision."""


class Entry(NamedTuple):
    """One line of a call's log; seq 0 for a private fact."""

    kind: Literal["event", "private"]
    seq: int
    data: bytes


class CallLog(Protocol):
    """The journal: what is appended is on the disk when `append` returns, and is published in the end."""

    async def append(self, tenant: str, call_id: str, entries: Sequence[Entry]) -> None:
        """Keep these in order; raises `LogFailed`: none of them counts."""

    def note(self, tenant: str, call_id: str, entries: Sequence[Entry]) -> None:
        """Keep private facts as soon as may be, in order with what is appended; nobody waits for it."""


class SnapshotPort(Protocol):
    """What a call must remember so that another process can take it up, as private entries of its log."""

    def call(self, call_id: str, saved: SavedCall, writer: Writer) -> Entry:
        """The call itself."""

    def leg(self, call_id: str, saved: SavedLeg, writer: Writer) -> Entry:
        """One of its legs."""


class LogFailed(Exception):
    """The journal cannot take more: no call can be accepted."""


class PromptPort(Protocol):
    """Prompts as files."""

    async def files(self, tenant: str, prompts: Sequence[Prompt], call_id: str, *, wide: bool = False) -> list[Path]:
        """Files to play one after another; `wide`: to a wide-band codec. Raises OSError."""

    def ringback(self) -> Path:
        """One period of the ringing tone."""

    def room_sounds(self) -> tuple[Path, Path]:
        """What a conference room hears when somebody comes, and goes."""

    async def music(self, tenant: str, playlist_id: str) -> list[Path]:
        """A playlist, or the tenant's hold music; never empty. Raises OSError."""

    async def hold_music(
        self, tenant: str, user_id: str, call_id: str, heard: float, *, wide: bool = False, playlist_id: str = ""
    ) -> list[Path]:
        """What a party hears, again and again, that this user holds (empty: the tenant), or the playlist; `heard`: seconds of it that it
        has heard before. Raises OSError."""


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """A recording as it lies in the spool: its object name, size in bytes, and length in ms."""

    object: str
    bytes: int
    duration_ms: int


class Spool(Protocol):
    """Recordings on this node's disk until the object store has them."""

    def path_for(self, recording_id: str) -> Path:
        """Where a recording is written."""

    async def weigh(self, recording_id: str, *, still_open: bool = False) -> RecordedFile:
        """Sync the file, mend its header, name it by content; raises OSError or ValueError. `still_open`: somebody may still write to
        it; what he writes from now on is not part of the recording."""

    def release(self, recording_id: str, object_name: str) -> None:
        """The event that names the object is journalled: upload it, then delete it."""

    def discard(self, recording_id: str) -> None:
        """Nobody wants it."""


class RoomFiles(Protocol):
    """Recordings of conference rooms on this node's disk, each with facts that another process can go on from."""

    def begin(self, recording_id: str, facts: bytes) -> Path:
        """Where it is to be written. Raises OSError."""

    def facts(self, recording_id: str) -> bytes | None:
        """What `begin` was given; None: it is finished."""

    def leftovers(self) -> list[str]:
        """Recordings that are not finished."""

    def switch(self, name: str, on: bool | None) -> None:
        """Keep whether somebody wants the room of this name recorded; None: no more. Raises OSError."""

    def switched(self, name: str) -> bool | None:
        """What `switch` was given last."""

    async def finish(self, recording_id: str) -> RecordedFile | None:
        """Make it what is kept, and upload it soon; None: nothing was recorded. Raises OSError or ValueError."""


class Directory(Protocol):
    """How users and trunks can be reached now; see `domain.facts.Reach`."""

    def contacts_of_user(self, tenant: str, user_id: str) -> Sequence[Contact]: ...
    def contact_of_trunk(self, tenant: str, trunk_id: str, number: str, call_id: str = "") -> Contact | None: ...
    def name_of(self, tenant: str, user_id: str) -> str:
        """What a user's name is shown as; empty: not known."""

    def contact_name(self, tenant: str, user_id: str, number: str) -> str:
        """What a user's contacts call who has this number; empty: none has it."""

    def taken_slots(self, tenant: str) -> Collection[str]: ...
    def talks(self, tenant: str, user_id: str) -> bool: ...
    def door_phone(self, tenant: str, user_id: str) -> DoorPhone | None: ...
    def park_digits(self, tenant: str) -> tuple[str, str]: ...
    def takes_faxes(self, tenant: str, number: str) -> bool: ...
    def may_pick_up(self, tenant: str, user_id: str, rung_user_id: str) -> bool:
        """Whether a user may take what rings at another's phone."""

    def calls_for_help(self, facts: CallFacts) -> bool:
        """Whether a user dialled an emergency number."""

    def fallback(self, facts: CallFacts) -> tuple[Step | None, int]:
        """What media does alone at a call's beginning (None: nothing), and the configuration version that says so."""


class TrunkPort(Protocol):
    """What legs to carriers need beside the SIP stack; legs to devices pass by."""

    def begin(self, leg: str, contact: Contact) -> bool:
        """Count a leg that is about to go out; False: one of the trunk's limits is reached."""

    def watch(self, contact: Contact, session: str, silent: Callable[[], None]) -> None:
        """Call `silent` if the carrier, or a phone that has another flow, has said nothing at all after its time."""

    def again(self, leg: str, tenant: str, trunk_id: str) -> Credentials | None:
        """Count a leg that a process before has begun; what it proves itself with, if it must."""

    def srtp(self, tenant: str, trunk_id: str) -> TrunkSrtp:
        """What the trunk says of SRTP; `by_transport` for none."""
        ...

    def media_networks(self, tenant: str, trunk_id: str) -> tuple[str, ...]:
        """Where the trunk's audio may come from besides; none for a trunk that is not there."""

    def end(self, leg: str) -> None:
        """The leg is over."""

    def diversions(self, facts: CallFacts, result: RingResult | None) -> tuple[Diverted, ...]:
        """Who sent the call on, first first; `result`: what became of the users rung before."""


class Announcer(Protocol):
    """Registration events on their way to the bus; bounded and in the background."""

    def announce(self, tenant: str, subject: str, event: EventData, at: datetime) -> None: ...


class QuietLogPort(Protocol):
    """Warnings that must not flood."""

    def warning(self, event: str, **fields: object) -> None:
        """One a second for each event."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The world around calls."""

    sip: SipPort
    plane: PlanePort
    applications: Applications
    log: CallLog
    prompts: PromptPort
    spool: Spool
    directory: Directory
    trunks: TrunkPort
    clock: Clock
    ids: Ids
    node: str
    quiet: QuietLogPort
    snapshots: SnapshotPort
    #: Names this run of the machine: its monotonic clock goes on as long as this stays the same.
    boot: str
    srtp: SrtpSetting = "optional"
    sources: MediaSources = field(default_factory=MediaSources)
    #: RFC 3389 is agreed to where it is offered.
    comfort_noise: bool = False
    #: How many calls are in set-up.
    backlog: Backlog = field(default_factory=Backlog)
    #: Hosts whose audio is of another IP version than their SIP.
    families: Families = field(default_factory=Families)
    #: Calls that are set up again on a new plane at once: each command has its answer long before its deadline, however many calls wait.
    restoring: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(100))
