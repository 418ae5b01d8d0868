"""What is known of a call when it arrives, and how its legs can be reached; nothing here changes while a call lasts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from carillon_contracts.config import DoorPhone
from carillon_media.domain.diversion import Diverted
from carillon_media.domain.trunk_lines import TrunkLine
from carillon_sip.flow import Flow

Direction = Literal["inbound", "from_user"]


@dataclass(frozen=True, slots=True)
class CallFacts:
    """Who calls whom; `carillon.common.v1.CallFacts` in our own words."""

    tenant: str
    call_id: str
    direction: Direction
    #: E.164 with its plus sign, an extension, or empty when withheld.
    caller: str
    caller_name: str
    caller_user_id: str | None
    dialled: str
    trunk_id: str | None
    started_at: datetime
    sip_call_id: str = ""
    node: str = ""
    #: Who sent the call on before it came to us, first first.
    diversions: tuple[Diverted, ...] = ()
    #: The user does not want to be shown; who decides where the call goes, and who helps, knows the number nevertheless.
    withheld: bool = False
    #: The caller named one phone (`+sip.instance`) of this user (RFC 5627): of the user's only that one rings. Empty: no one phone.
    device_user: str = ""
    device: str = ""
    #: The SIP credential that the calling phone proved; empty: a trunk, or nobody did.
    caller_credential: str = ""
    #: See `carillon_contracts.hops`.
    hops_spent: int = 0


@dataclass(frozen=True, slots=True)
class Contact:
    """One address that can be rung: a registered device, or a trunk with the number to dial."""

    #: Request URI.
    uri: str
    flow: Flow
    #: User id, or `trunk:<id>`.
    party: str
    #: Extension or E.164 that is rung.
    number: str
    #: SIP domain of our From header.
    domain: str
    #: A trunk is told who calls in P-Asserted-Identity.
    asserted: bool = False
    #: The trunk that it is a server of; None: a device.
    trunk: TrunkLine | None = None
    #: The trunk's other servers with the same number, or the phone's other flows, in the order of being tried.
    spare: tuple["Contact", ...] = ()
    #: A call for help: no limit counts.
    emergency: bool = False
    #: Proxies on the way to it (RFC 3327), as Route values.
    route: tuple[str, ...] = ()
    #: Which of the user's phones it is: its `+sip.instance`, "" where it has none.
    device: str = ""

    @property
    def is_trunk(self) -> bool:
        """Leads out of the house."""
        return self.party.startswith("trunk:")


class Reach(Protocol):
    """How targets can be reached at this moment; an argument of every input, so that the call machine stays a function."""

    def contacts_of_user(self, tenant: str, user_id: str) -> Sequence[Contact]:
        """Every registered device of the user; empty if none."""
        ...

    def contact_of_trunk(self, tenant: str, trunk_id: str, number: str, call_id: str = "") -> Contact | None:
        """The trunk with the number to dial; None if it is not known or its name does not resolve. Calls share equal servers."""
        ...

    def taken_slots(self, tenant: str) -> Collection[str]:
        """Slots in which calls are parked."""
        ...

    def talks(self, tenant: str, user_id: str) -> bool:
        """Whether a phone of the user is in a call."""
        ...

    def door_phone(self, tenant: str, user_id: str) -> DoorPhone | None:
        """How its door is opened; None: the user is none."""
        ...

    def park_digits(self, tenant: str) -> tuple[str, str]:
        """What parks the other side when it is pressed in a talk, and what it is then sent to; both empty: nothing does."""
        ...

    def takes_faxes(self, tenant: str, number: str) -> bool:
        """Whether a fax machine that calls the number is sent to another destination than a voice."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one call."""

    #: Seconds from its start to its forced end.
    max_call_seconds: float = 12 * 3600.0
    #: Steps of applications; more is a loop.
    max_steps: int = 200
    #: Times that phones may send one call elsewhere by 3xx; more is a loop.
    max_deflections: int = 5
    #: Devices rung in one ring step.
    max_ring_legs: int = 60
    #: Seconds a single target may ring, whatever its timetable says.
    max_ring_seconds: float = 300.0
    #: Seconds a call that is over waits for its recording's file.
    closing_seconds: float = 5.0
    #: Seconds that a play or a recording may take longer than it says before it is taken as ended.
    grace_seconds: float = 10.0
    #: Seconds in which tones are listened for, of each leg that leads out of the house; 0: never.
    tone_seconds: float = 15.0
