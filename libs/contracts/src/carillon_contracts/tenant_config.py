"""A tenant's configuration as the fold of its configuration events; every service that needs it holds one of these."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

from carillon_contracts.config import (
    RESOURCES,
    Agent,
    Audio,
    ConferenceRoom,
    ConfigChanged,
    Extension,
    HuntGroup,
    LookUpTable,
    Mailbox,
    Menu,
    Number,
    PagingGroup,
    ParkingLot,
    PickupGroup,
    Plan,
    PlanDraft,
    PlanTest,
    Playlist,
    Queue,
    RecordingPolicy,
    Resource,
    RingGroup,
    Schedule,
    SipCredential,
    Supervision,
    Tenant,
    Trunk,
    TrunkCredential,
    User,
)
from carillon_contracts.sorted_map import SortedMap

R = TypeVar("R", bound=Resource)
D = TypeVar("D")
_EMPTY: Mapping[str, Resource] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class TenantConfig:
    """Everything a tenant has at one configuration version. Immutable; versions share what did not change."""

    tenant_id: str
    #: The version: how many changes were folded; 0 before the tenant exists.
    seq: int = 0
    resources: Mapping[str, Mapping[str, Resource]] = field(default_factory=lambda: MappingProxyType({}))
    #: See `derived`.
    _derived: dict[str, tuple[object, object]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def all(self, kind: type[R]) -> Mapping[str, R]:
        """Every resource of a kind by id."""
        return self.resources.get(kind.KIND, _EMPTY)  # type: ignore[return-value]

    def get(self, kind: type[R], resource_id: str) -> R | None:
        """One resource, or None."""
        return self.all(kind).get(resource_id)

    def advanced(self, seq: int, resources: Mapping[str, Mapping[str, Resource]]) -> "TenantConfig":
        """Another version, with what is derived of kinds that did not change."""
        after = replace(self, seq=seq, resources=MappingProxyType({**self.resources, **resources}))
        after._derived.update(self._derived)
        return after

    def derived(self, name: str, kind: type[R], make: Callable[[Mapping[str, R]], D]) -> D:
        """`make` of every resource of the kind, worked out once as long as none of them changes; an index is made so."""
        every = self.all(kind)
        known = self._derived.get(name)
        if known is None or known[0] is not every:
            known = self._derived[name] = (every, make(every))
        return known[1]  # type: ignore[return-value]

    def differences(self, kind: type[R], before: "TenantConfig") -> tuple[Mapping[str, R], Mapping[str, R]]:
        """Resources of the kind by id that are new or were otherwise, and those that are gone or were so before; quick where one
        configuration comes of the other."""
        now, then = self.all(kind), before.all(kind)
        return ({}, {}) if now is then else SortedMap.of(now).differences(SortedMap.of(then))

    @property
    def tenant(self) -> Tenant:
        """The tenant itself; raises KeyError before it exists."""
        return self.all(Tenant)[self.tenant_id]

    @property
    def users(self) -> Mapping[str, User]:
        """Users by id."""
        return self.all(User)

    @property
    def extensions(self) -> Mapping[str, Extension]:
        """Extensions by their digits."""
        return self.all(Extension)

    @property
    def sip_credentials(self) -> Mapping[str, SipCredential]:
        """Credentials by SIP user name."""
        return self.all(SipCredential)

    @property
    def numbers(self) -> Mapping[str, Number]:
        """Numbers by E.164."""
        return self.all(Number)

    @property
    def schedules(self) -> Mapping[str, Schedule]:
        """Schedules by id."""
        return self.all(Schedule)

    @property
    def ring_groups(self) -> Mapping[str, RingGroup]:
        """Ring groups by id."""
        return self.all(RingGroup)

    @property
    def hunt_groups(self) -> Mapping[str, HuntGroup]:
        """Hunt groups by id."""
        return self.all(HuntGroup)

    @property
    def look_up_tables(self) -> Mapping[str, LookUpTable]:
        """Tables that plans look things up in, by id."""
        return self.all(LookUpTable)

    @property
    def menus(self) -> Mapping[str, Menu]:
        """Menus by id."""
        return self.all(Menu)

    @property
    def plans(self) -> Mapping[str, Plan]:
        """Plans by id."""
        return self.all(Plan)

    @property
    def plan_drafts(self) -> Mapping[str, PlanDraft]:
        """Drafts of plans by id."""
        return self.all(PlanDraft)

    @property
    def plan_tests(self) -> Mapping[str, PlanTest]:
        """What must hold of plans, by id."""
        return self.all(PlanTest)

    @property
    def queues(self) -> Mapping[str, Queue]:
        """Queues by id."""
        return self.all(Queue)

    @property
    def agents(self) -> Mapping[str, Agent]:
        """Agents by id."""
        return self.all(Agent)

    @property
    def mailboxes(self) -> Mapping[str, Mailbox]:
        """Mailboxes by id."""
        return self.all(Mailbox)

    @property
    def trunks(self) -> Mapping[str, Trunk]:
        """Trunks by id."""
        return self.all(Trunk)

    @property
    def trunk_credentials(self) -> Mapping[str, TrunkCredential]:
        """What trunks prove themselves with, by id."""
        return self.all(TrunkCredential)

    @property
    def pickup_groups(self) -> Mapping[str, PickupGroup]:
        """Pickup groups by id."""
        return self.all(PickupGroup)

    @property
    def parking_lots(self) -> Mapping[str, ParkingLot]:
        """Parking lots by id."""
        return self.all(ParkingLot)

    @property
    def paging_groups(self) -> Mapping[str, PagingGroup]:
        """Paging groups by id."""
        return self.all(PagingGroup)

    @property
    def supervisions(self) -> Mapping[str, Supervision]:
        """Rights to take part in others' calls, by id."""
        return self.all(Supervision)

    @property
    def audios(self) -> Mapping[str, Audio]:
        """Audio files by id."""
        return self.all(Audio)

    @property
    def playlists(self) -> Mapping[str, Playlist]:
        """Playlists by id."""
        return self.all(Playlist)

    @property
    def recording_policies(self) -> Mapping[str, RecordingPolicy]:
        """Recording policies by id."""
        return self.all(RecordingPolicy)

    @property
    def conference_rooms(self) -> Mapping[str, ConferenceRoom]:
        """Conference rooms by id."""
        return self.all(ConferenceRoom)

    def extension_of(self, user_id: str) -> str:
        """The lowest extension that leads to the user; empty if none."""
        return self.derived("lowest extensions", Extension, _lowest_extensions).get(user_id, "")


def _lowest_extensions(extensions: Mapping[str, Extension]) -> dict[str, str]:
    found: dict[str, str] = {}
    for extension in extensions.values():
        user_id = extension.destination.user_id
        if user_id is not None and extension.id < found.get(user_id, ":"):
            found[user_id] = extension.id
    return found


class ConfigGap(Exception):
    """An event does not follow the version at hand; `expected` is the next that would."""

    def __init__(self, tenant_id: str, expected: int, got: int) -> None:
        super().__init__(f"configuration of {tenant_id}: expected version {expected}, got {got}")
        self.expected = expected
        self.got = got


def evolve(config: TenantConfig, seq: int, change: ConfigChanged) -> TenantConfig:
    """Apply one change. An old event (seq <= config.seq) changes nothing; one from the future raises `ConfigGap`.

    A resource kind that this version of the software does not know is counted and otherwise ignored.
    """
    if seq <= config.seq:
        return config
    if seq != config.seq + 1:
        raise ConfigGap(config.tenant_id, config.seq + 1, seq)
    kind = RESOURCES.get(change.resource)
    if kind is None:
        return replace(config, seq=seq)
    of_kind = SortedMap.of(config.resources.get(change.resource, _EMPTY))
    if change.after is None:
        of_kind = of_kind.remove(change.resource_id)
    else:
        of_kind = of_kind.set(change.resource_id, kind.model_validate(change.after))
    return config.advanced(seq, {change.resource: of_kind})


class Folding:
    """Many changes in a row, each at the cost of reading it: `result` is what `evolve` with one after another would make."""

    def __init__(self, config: TenantConfig) -> None:
        self._config = config
        self._seq = config.seq
        self._last: dict[str, dict[str, Resource | None]] = {}

    def add(self, seq: int, change: ConfigChanged) -> None:
        """As `evolve`; raises `ConfigGap`."""
        if seq <= self._seq:
            return
        if seq != self._seq + 1:
            raise ConfigGap(self._config.tenant_id, self._seq + 1, seq)
        self._put(change, change.after)
        self._seq = seq

    def pass_over(self, seq: int) -> None:
        """As the function of that name."""
        self.add(seq, _UNREADABLE)

    def take_back(self, seq: int, change: ConfigChanged) -> None:
        """The opposite: the version before the change. They come in falling order, the first being the configuration's own."""
        if seq != self._seq:
            raise ConfigGap(self._config.tenant_id, self._seq, seq)
        self._seq = seq - 1
        self._put(change, change.before)

    def _put(self, change: ConfigChanged, fact: Mapping[str, object] | None) -> None:
        kind = RESOURCES.get(change.resource)
        if kind is not None:
            self._last.setdefault(change.resource, {})[change.resource_id] = None if fact is None else kind.model_validate(fact)

    def result(self) -> TenantConfig:
        """The configuration after all of them."""
        resources: dict[str, Mapping[str, Resource]] = {}
        for kind, last in self._last.items():
            put = {name: resource for name, resource in last.items() if resource is not None}
            resources[kind] = SortedMap.of(self._config.resources.get(kind, _EMPTY)).update(put, last.keys() - put.keys())
        return self._config.advanced(self._seq, resources)


_UNREADABLE = ConfigChanged(resource="", resource_id="", action="updated", actor="")


def pass_over(config: TenantConfig, seq: int) -> TenantConfig:
    """Count a change that this version of the software cannot read; the resource stays as it was. Raises `ConfigGap` like `evolve`."""
    return evolve(config, seq, _UNREADABLE)
