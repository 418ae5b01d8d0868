"""What the nodes of an installation know of each other's calls, and which call a phone is about that dials a feature.

Invariant: of several calls that fit, the one that began first is meant, on whatever node it is, as it is on one node alone.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from carillon_contracts.emergency_numbers import countries_of, is_emergency
from carillon_contracts.feature_codes import picks_up_for, recognise, rung_at
from carillon_contracts.tenant_config import TenantConfig
from carillon_sip.dialog_info import WatchedDialog


@dataclass(frozen=True, slots=True)
class NodeLeg:
    """A leg of a call of a node; `session`: our tag in its dialog."""

    session: str
    party: str
    number: str = ""


@dataclass(frozen=True, slots=True)
class NodeCall:
    """A call of a node as the others know it. `since`: its beginning, seconds since 1970."""

    call_id: str
    tenant: str
    since: float
    dialled: str = ""
    legs: tuple[NodeLeg, ...] = ()
    #: The sessions of the two that talk.
    pair: tuple[str, ...] = ()
    #: Parties that ring, that have answered, and the two that talk.
    ringing: tuple[str, ...] = ()
    answered: tuple[str, ...] = ()
    talking: tuple[str, ...] = ()
    slot: str = ""
    #: By user or slot (`lamps.slot_name`), as those see it who watch.
    dialogs: tuple[tuple[str, tuple[WatchedDialog, ...]], ...] = ()

    @property
    def sessions(self) -> tuple[str, ...]:
        """Of all its legs."""
        return tuple(leg.session for leg in self.legs)

    def leg(self, session: str) -> NodeLeg | None:
        """The one of this session."""
        return next((leg for leg in self.legs if leg.session == session), None)

    def other_than(self, session: str) -> NodeLeg | None:
        """Whom it talks to; None: nobody."""
        return next((self.leg(each) for each in self.pair if each != session), None) if session in self.pair else None


@dataclass(frozen=True, slots=True)
class NodeNews:
    """One message of a node to the others. `whole`: calls that are not named are over; `hello`: it has just begun and knows nothing.

    `api`: where its gRPC is reached. `end`: calls of others that are to end, because their own phone has asked this node for it.
    `unlock`: SIP users that may try again everywhere, because `by` said so.
    """

    node: str
    calls: tuple[NodeCall, ...] = ()
    gone: tuple[str, ...] = ()
    whole: bool = False
    hello: bool = False
    api: str = ""
    end: tuple[str, ...] = ()
    unlock: tuple[str, ...] = ()
    by: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The call that is meant: one that rings at one of `ringing`, in which `talking` talks, or that is parked in `slot`."""

    ringing: Collection[str] = ()
    talking: str = ""
    slot: str = ""

    def is_(self, call: NodeCall) -> bool:
        """Whether this one fits."""
        if self.slot:
            return call.slot == self.slot
        return self.talking in call.talking if self.talking else any(party in self.ringing for party in call.ringing)


def wanted(config: TenantConfig, user_id: str, dialled: str) -> Wanted | None:
    """What the user wants who dials this; None: no call that is there already. Whether the user may is routing's to say."""
    coded = recognise(config, dialled) if not is_emergency(dialled, countries_of(config, (user_id,))) else None
    match coded.feature if coded is not None else "":
        case "park" if coded is not None and coded.slot:
            return Wanted(slot=coded.argument)
        case "pick_up_group":
            return Wanted(ringing=set(picks_up_for(config, user_id)))
        case "pick_up" if coded is not None:
            return Wanted(ringing=set(rung_at(config, coded.argument)))
        case "listen" | "whisper" | "barge" if coded is not None:
            found = config.extensions.get(coded.argument)
            talking = found.destination.user_id if found is not None else None
            return Wanted(talking=talking) if talking else None
        case _:
            return None


def oldest(wish: Wanted, calls: Iterable[NodeCall]) -> NodeCall | None:
    """The one that is meant; None: there is none."""
    return min((call for call in calls if wish.is_(call)), key=lambda call: (call.since, call.call_id), default=None)
