"""The billing record of a call, published by cdr on `carillon.<tenant>.cdr.recorded`."""

from datetime import datetime
from typing import ClassVar, Literal

from carillon_contracts.call import LegQuality
from carillon_contracts.envelope import EventData, Frozen

RecordStatus = Literal["answered", "unanswered", "busy", "cancelled", "voicemail", "self_service", "rejected", "failed"]


class RecordLeg(Frozen):
    """One leg: the caller's is `a`."""

    leg_id: str
    party: str
    number: str = ""
    offered_at: datetime | None = None
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    cause: str = ""
    ended_by: str = ""
    quality: LegQuality | None = None


class RecordTransfer(Frozen):
    """A side of the call sent the other one elsewhere (`blind`), or joined two calls of its own (`attended`)."""

    at: datetime
    kind: Literal["blind", "attended"]
    #: The leg that did it, and whose it was.
    by_leg: str
    by: str
    #: As dialled; empty when attended.
    destination: str = ""
    #: `answered`, `returned`, `given_up`.
    result: str = ""
    #: The other call of an attended transfer, and whether the talk went on in this one.
    other_call_id: str = ""
    goes_on: bool = False


class RecordParking(Frozen):
    """The call waited in a parking slot."""

    at: datetime
    until: datetime | None = None
    slot: str
    #: Users: who parked it, and who took it back.
    parked_by: str = ""
    taken_by: str = ""
    #: `retrieved`, `timed_out`, `given_up`.
    result: str = ""


class RecordPickup(Frozen):
    """The call was taken at another phone than the one that rang."""

    at: datetime
    by: str
    #: At whose phone it rang.
    rung: str = ""


class RecordOffer(Frozen):
    """A waiting caller was offered to an agent, whose phones rang."""

    at: datetime
    agent_id: str
    #: `answered`, `no_answer`, `busy`, `unreachable`, `congested`, `rejected`; `given_up`: the caller hung up meanwhile.
    result: str


class RecordQueue(Frozen):
    """The call's way through a queue, from coming into it to leaving it."""

    queue_id: str
    entered_at: datetime
    #: At entry; 0: the call was never in line.
    position: int = 0
    priority: int = 0
    offers: tuple[RecordOffer, ...] = ()
    #: The agent.
    answered_by: str = ""
    answered_at: datetime | None = None
    left_at: datetime | None = None
    #: `answered`, `abandoned`, `full`, `waited_too_long`, `no_agents`, `left_by_key`, `removed`, `called_back`, `fax`, `moved` (to another
    #: queue).
    left_reason: str = ""
    #: Until an agent answered, or until it left.
    waited_seconds: float = 0.0


class CallRecorded(EventData):
    """Exactly one per call."""

    TYPE: ClassVar[str] = "cdr.recorded.v1"
    call_id: str
    tenant: str
    caller: str
    dialled: str
    answered_by: str = ""
    direction: Literal["inbound", "outbound", "internal"]
    status: RecordStatus
    started_at: datetime
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime
    talk_seconds: float = 0.0
    cause: str
    ended_by: str
    trunk_id: str = ""
    config_seq: int = 0
    legs: tuple[RecordLeg, ...] = ()
    transfers: tuple[RecordTransfer, ...] = ()
    parkings: tuple[RecordParking, ...] = ()
    pickup: RecordPickup | None = None
    #: In order.
    queues: tuple[RecordQueue, ...] = ()
    #: The call that the caller took over (pickup, unpark) and went on in; empty: none.
    took_over_call_id: str = ""
    #: What the call is charged to: the code that the caller gave.
    account_code: str = ""
