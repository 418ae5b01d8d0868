"""Events of a call, published by media on `carillon.<tenant>.call.<callid>.<fact>` with a gap-free `seq` from 1.

Always: the first event is `CallStarted`; each leg that was offered has exactly one `LegEnded`; the last event of a call, and the only
one of its type, is `CallEnded`. Leg ids are `a` for the caller and `b1`, `b2`, ... for who is called, in the order of being offered.
The devices of a user for whom
a call is made are `a`, `a2`, `a3`, ...: whichever answers is the caller. A leg that goes on in another call ends with
cause `transferred`, one whose phone named another destination with `deflected`.
Causes are ITU-T Q.850's names in snake case (`normal_clearing`, `user_busy`, `no_answer`, `call_rejected`, `unallocated_number`, ...) and
`answered_elsewhere`, `took_over`, `caller_gave_up`, `node_failure`, `rtp_timeout`.
"""

from typing import Any, ClassVar, Literal

from carillon_contracts.envelope import EventData, Frozen

Party = Literal["caller", "callee", "system"]
ControlAction = Literal[
    "hang_up",
    "hold",
    "resume",
    "transfer",
    "send_digits",
    "play",
    "start_recording",
    "stop_recording",
    "answer",
    "park",
    "open_door",
    "pause_recording",
    "resume_recording",
]
SuperviseModeName = Literal["listen", "whisper", "barge"]
Direction = Literal["inbound", "from_user"]
#: A calling and an answering fax machine (ITU-T T.30), busy and ringing, and that a failure is told (special information, E.180).
ToneName = Literal["cng", "ced", "busy", "ringback", "sit"]
RingResultName = Literal["answered", "no_answer", "busy", "unreachable", "congested", "rejected"]


class CallStarted(EventData):
    """An INVITE was accepted as a call; leg `a` exists from here on."""

    TYPE: ClassVar[str] = "call.started.v1"
    direction: Direction
    #: E.164, extension, or empty when withheld.
    caller: str
    caller_name: str = ""
    #: The user that calls; None from a trunk.
    caller_user_id: str | None = None
    dialled: str
    trunk_id: str | None = None
    #: Of the SIP dialog of leg `a`, for finding it in a capture.
    sip_call_id: str = ""
    node: str = ""
    #: Who had the call made for the user, when the user did not dial; empty: the user dialled.
    requested_by: str = ""


class TraceLine(Frozen):
    """One condition of a decision: what was looked at, whether it matched, why, and where it leads."""

    subject: str
    matched: bool
    reason: str
    next: str = ""


class RoutingDecided(EventData):
    """An application answered a step; `configseq` of the envelope is the configuration that decided."""

    TYPE: ClassVar[str] = "call.routing_decided.v1"
    #: `routing`, `voicemail`, or `media` when media decided alone because nobody answered.
    application: str
    #: `ring`, `play`, `gather`, `record`, `delegate`, `hang_up`, `park`, `pick_up`, `supervise`, `page`.
    step: str
    #: The step's fields as the contract's JSON (proto field names); spoken texts shortened. `queues`: where the call stands in queues.
    details: dict[str, Any] = {}
    trace: tuple[TraceLine, ...] = ()
    #: All that the decision was made of, as its application wrote it, for deciding it again; None: it cannot be repeated.
    inputs: dict[str, Any] | None = None


class LegOffered(EventData):
    """A device or trunk is being called."""

    TYPE: ClassVar[str] = "call.leg_offered.v1"
    #: User id, or `trunk:<id>`.
    party: str
    #: Extension or E.164 that was rung.
    number: str = ""
    contact: str = ""
    target_id: str = ""


class LegRinging(EventData):
    """The first 180 or 183 of the leg."""

    TYPE: ClassVar[str] = "call.leg_ringing.v1"
    sip_status: int = 180


class LegAnswered(EventData):
    """A called leg was answered, or leg `a` was answered by the system (a mailbox or menu) or by connecting it."""

    TYPE: ClassVar[str] = "call.leg_answered.v1"
    codec: str = ""


class CallBridged(EventData):
    """Both legs hear each other from now on."""

    TYPE: ClassVar[str] = "call.bridged.v1"
    legs: tuple[str, str]


class LegHeld(EventData):
    """The leg put the other side on hold."""

    TYPE: ClassVar[str] = "call.leg_held.v1"


class LegResumed(EventData):
    """The leg took the other side back."""

    TYPE: ClassVar[str] = "call.leg_resumed.v1"


class LegTransferred(EventData):
    """The leg sends the one that it talks to to a destination; what becomes of it is `TransferEnded`."""

    TYPE: ClassVar[str] = "call.leg_transferred.v1"
    #: The leg that is sent away and stays in the call.
    kept: str
    #: As dialled.
    destination: str
    #: `phone`, or who asked by API.
    requested_by: str
    #: The user in whose name it is sent there.
    party: str = ""
    #: Who is sent away: number, empty when withheld.
    kept_number: str = ""


class LegDeflected(EventData):
    """The leg's phone refused and named another destination (302), which is called in its user's name; the leg's end follows."""

    TYPE: ClassVar[str] = "call.leg_deflected.v1"
    #: As dialled.
    destination: str
    #: The user in whose name it is called.
    party: str = ""
    #: Who is sent there: number, empty when withheld.
    kept_number: str = ""


class TransferEnded(EventData):
    """A leg's transfer was answered, came back to the leg's user, or was given up because a side left."""

    TYPE: ClassVar[str] = "call.transfer_ended.v1"
    result: Literal["answered", "returned", "given_up"]
    #: What the leg's phone was told: 200, or why it came back.
    sip_status: int = 0


class CallTransferred(EventData):
    """The leg joined its two calls: their other sides talk with each other in one of them, the other one ends. Once in each call."""

    TYPE: ClassVar[str] = "call.transferred.v1"
    other_call_id: str
    #: The leg of this call that goes on in the other call, or that came from there.
    moved: str
    #: Whether the talk goes on in this call.
    goes_on: bool


class CallParked(EventData):
    """The call waits in a slot until somebody takes it back."""

    TYPE: ClassVar[str] = "call.parked.v1"
    #: What is dialled to take it back.
    slot: str
    #: The user who parked it; empty: whoever waits there came by itself.
    parked_by: str = ""


class ParkEnded(EventData):
    """The call is in its slot no more: taken back, not taken back in time, or given up because who waited left."""

    TYPE: ClassVar[str] = "call.park_ended.v1"
    slot: str
    result: Literal["retrieved", "timed_out", "given_up"]
    #: The user who took it back.
    by: str = ""


class CallPickedUp(EventData):
    """A user took the call that rang at another's phone; the leg of the event is the user's."""

    TYPE: ClassVar[str] = "call.picked_up.v1"
    by: str
    #: The leg that rang.
    rung: str
    #: The user at whose phone it rang.
    rung_party: str = ""
    #: The call by which the user asked for it; empty: an INVITE with Replaces.
    other_call_id: str = ""


class CallTookOver(EventData):
    """The caller of this call took another one over and goes on there; this call ends."""

    TYPE: ClassVar[str] = "call.took_over.v1"
    other_call_id: str
    how: Literal["picked_up", "retrieved"]


class CallSupervised(EventData):
    """A supervisor takes part in a talk, in another way than before, or no more. Once in the supervisor's call and once in the talk."""

    TYPE: ClassVar[str] = "call.supervised.v1"
    supervisor: str
    supervised: str
    mode: Literal["listen", "whisper", "barge", "ended"]
    #: The supervisor's call where this is the talk, the talk where it is the supervisor's call.
    other_call_id: str


class PageEnded(EventData):
    """Nobody listens to a page any more."""

    TYPE: ClassVar[str] = "call.page_ended.v1"
    #: Phones that answered.
    reached: int


class DoorOpened(EventData):
    """A door phone (the leg of the event) was told to open."""

    TYPE: ClassVar[str] = "call.door_opened.v1"
    #: The user who pressed the code, or who asked by API.
    by: str


class CallControlled(EventData):
    """Somebody with the right to do so asked something of the call, and it is done; digits and texts are not here."""

    TYPE: ClassVar[str] = "call.controlled.v1"
    action: ControlAction
    #: Subject of the token.
    requested_by: str
    details: dict[str, str] = {}


class LegReplaced(EventData):
    """Another phone of the leg's user has taken its talk over (INVITE with Replaces, RFC 3891); the leg's end follows."""

    TYPE: ClassVar[str] = "call.leg_replaced.v1"
    #: The leg that talks in its place.
    replaced_by: str


class CallResumed(EventData):
    """The process that looked after the call died and another one has taken it up; its audio went on meanwhile."""

    TYPE: ClassVar[str] = "call.resumed.v1"
    #: Milliseconds without either, by the wall clock.
    away_ms: int = 0


class ExtendedQuality(Frozen):
    """What the far end's last extended report (RTCP XR, RFC 3611) says of the audio that it heard; None: not told, or unavailable there."""

    #: 0 to 100.
    r_factor: int | None = None
    mos_listening: float | None = None
    mos_conversational: float | None = None
    #: Shares of packets, 0 to 1: lost on the way, too late for its jitter buffer, either of them within bursts.
    loss: float | None = None
    discarded: float | None = None
    burst_density: float | None = None
    #: Mean lengths of bursts and of what lies between them, and the jitter buffer's delay.
    burst_ms: int | None = None
    gap_ms: int | None = None
    buffer_ms: int | None = None
    jitter_most_ms: float | None = None


class LegQuality(Frozen):
    """How the leg's audio did, as the media plane saw it when the leg ended. `remote_*`: what the far end said (RTCP) of ours."""

    codec: str = ""
    #: The suite of SRTP; empty: RTP.
    srtp: str = ""
    packets_received: int = 0
    packets_sent: int = 0
    #: Of what should have come, as RFC 3550 counts.
    lost: int = 0
    jitter_ms: float = 0.0
    #: None: the far end sent no report that tells.
    round_trip_ms: float | None = None
    #: Of what we received, 1 to 4.5 by the E-model on the narrow-band scale; None: nothing came.
    mos: float | None = None
    remote_lost: int | None = None
    remote_jitter_ms: float | None = None
    remote_mos: float | None = None
    #: None: the far end sends none.
    extended: ExtendedQuality | None = None


class LegEnded(EventData):
    """The leg is over; exactly once per leg."""

    TYPE: ClassVar[str] = "call.leg_ended.v1"
    cause: str
    sip_status: int = 0
    by: Party
    #: None: there was no audio, or the media plane did not say in time.
    quality: LegQuality | None = None


class RingEnded(EventData):
    """A ring step is over."""

    TYPE: ClassVar[str] = "call.ring_ended.v1"
    result: RingResultName
    targets: dict[str, RingResultName] = {}


class ToneDetected(EventData):
    """The leg, which leads out of the house, says a tone; the envelope's time is when it was recognised. Once for each kind and leg."""

    TYPE: ClassVar[str] = "call.tone_detected.v1"
    tone: ToneName


class PlayEnded(EventData):
    """A play step is over; also when the caller hung up during it."""

    TYPE: ClassVar[str] = "call.play_ended.v1"
    duration_ms: int = 0


class DigitsGathered(EventData):
    """A gather step is over; secret digits are never here (`digits` is then None)."""

    TYPE: ClassVar[str] = "call.digits_gathered.v1"
    digits: str | None
    timed_out: bool


class WaitEnded(EventData):
    """A wait step is over; the digit is one that leaves; `tone`: a fax machine's, which leads to the number's fax destination."""

    TYPE: ClassVar[str] = "call.wait_ended.v1"
    end: Literal["timed_out", "signalled", "digit", "tone"]
    digit: str = ""


class RecordingStarted(EventData):
    """A record step began; its beep comes next."""

    TYPE: ClassVar[str] = "call.recording_started.v1"
    labels: dict[str, str] = {}


class RecordingFinished(EventData):
    """A record step is over and kept something; the audio is (or soon will be) in the object store under its content hash."""

    TYPE: ClassVar[str] = "call.recording_finished.v1"
    #: `sha256-<hex>` of a WAV file, 8 kHz mono A-law or mu-law or 16 bit.
    object: str
    duration_ms: int
    bytes: int
    #: `silence`, `length`, `digit`, `hang_up`, `stopped` (by request), `node_failure`.
    ended_by: str
    labels: dict[str, str] = {}


class ConferenceJoined(EventData):
    """The leg is in a conference room; `meeting_id` is the same for all who are in it together."""

    TYPE: ClassVar[str] = "call.conference_joined.v1"
    room_id: str
    meeting_id: str
    display_name: str = ""
    #: What the others are told: a name, or the number.
    party: str = ""
    number: str = ""
    creator: bool = False
    labels: dict[str, str] = {}


class ConferenceLeft(EventData):
    """The leg is out of the conference room."""

    TYPE: ClassVar[str] = "call.conference_left.v1"
    room_id: str
    meeting_id: str
    #: `left` by itself, `kicked`: put out, `closed`: the room was; otherwise the room failed.
    result: Literal["left", "kicked", "closed", "full", "locked", "failed"]


class CallEnded(EventData):
    """The last event of a call."""

    TYPE: ClassVar[str] = "call.ended.v1"
    cause: str
    by: Party
    #: Milliseconds by a monotonic clock since leg `a` was answered; 0 if it never was.
    talk_ms: int = 0
    #: Milliseconds by a monotonic clock since the call started.
    total_ms: int = 0


CallEvent = (
    CallStarted
    | RoutingDecided
    | LegOffered
    | LegRinging
    | LegAnswered
    | CallBridged
    | LegHeld
    | LegResumed
    | LegTransferred
    | LegDeflected
    | TransferEnded
    | CallTransferred
    | CallParked
    | ParkEnded
    | CallPickedUp
    | CallTookOver
    | CallSupervised
    | PageEnded
    | DoorOpened
    | CallControlled
    | CallResumed
    | LegReplaced
    | LegEnded
    | RingEnded
    | PlayEnded
    | ToneDetected
    | DigitsGathered
    | WaitEnded
    | ConferenceJoined
    | ConferenceLeft
    | RecordingStarted
    | RecordingFinished
    | CallEnded
)
#: By CloudEvents type: `carillon.call.leg_answered.v1`.
CALL_EVENTS: dict[str, type[EventData]] = {
    f"carillon.{kind.TYPE}": kind
    for kind in (
        CallStarted,
        RoutingDecided,
        LegOffered,
        LegRinging,
        LegAnswered,
        CallBridged,
        LegHeld,
        LegResumed,
        LegTransferred,
        LegDeflected,
        TransferEnded,
        CallTransferred,
        CallParked,
        ParkEnded,
        CallPickedUp,
        CallTookOver,
        CallSupervised,
        PageEnded,
        DoorOpened,
        CallControlled,
        CallResumed,
        LegReplaced,
        LegEnded,
        RingEnded,
        PlayEnded,
        ToneDetected,
        DigitsGathered,
        WaitEnded,
        ConferenceJoined,
        ConferenceLeft,
        RecordingStarted,
        RecordingFinished,
        CallEnded,
    )
}
