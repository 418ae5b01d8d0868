"""What a simulated call finds out beside configuration and clock: as on a quiet day, or as the world is said to be."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pydantic import JsonValue

from carillon_contracts.config import Department
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.asks import (
    AnsweredToday,
    Ask,
    Attend,
    BusyUsers,
    CallsOnTrunks,
    CancelCallBacks,
    ChangeUser,
    CountTry,
    Draw,
    Fetch,
    FreePlace,
    HavePhone,
    LastAgent,
    LastCaller,
    LoggedIn,
    Mail,
    OrderCallBack,
    TakePlace,
)
from carillon_routing.domain.branches import counter_of

FindOut = Callable[[Ask], JsonValue]
#: What begins the counter of a limit of a tenant, department or trunk, and of a split.
_LIMIT, _SPLIT = "limit ", "split "


@dataclass(frozen=True, slots=True)
class Day:
    """What is not said is as on a quiet day: the first call at every counter, nobody talks, all members are logged in at hunt groups, every
    change and e-mail is taken; what only the outside can tell is not known."""

    busy: frozenset[str] = frozenset()
    logged_out: frozenset[str] = frozenset()
    #: Calls that hold a place, and starts lately, by counter (`counters_of`).
    limits: Mapping[str, tuple[int, int]] = field(default_factory=lambda: MappingProxyType({}))
    #: Calls that came by before, by `shares_of`.
    shares: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    #: By user.
    answered_today: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    trunk_calls: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    #: By address as the configuration has it: `{"status": int, "body": {text: text}}`.
    web: Mapping[str, JsonValue] = field(default_factory=lambda: MappingProxyType({}))
    last_agent: str = ""
    last_caller: str = ""
    mails_fail: bool = False
    #: Codes and PINs that were given wrongly in a row before this call.
    wrong_codes: int = 0


def on_a_day(config: TenantConfig, day: Day) -> FindOut:
    """For one call: tries of codes are counted on."""
    wrong: dict[tuple[str, str], int] = {}
    drawn: dict[str, int] = {}

    def find_out(ask: Ask) -> JsonValue:
        match ask:
            case BusyUsers(user_ids):
                return [user_id for user_id in user_ids if user_id in day.busy]
            case LoggedIn(group_id):
                group = config.hunt_groups.get(group_id)
                return [member.user_id for member in group.members if member.user_id not in day.logged_out] if group is not None else []
            case Draw(counter):
                name = counter.removeprefix(_SPLIT)
                drawn[name] = drawn.get(name, day.shares.get(name, 0) - 1) + 1
                return drawn[name]
            case TakePlace(counter, max_calls, max_starts):
                calls, starts = day.limits.get(counter.removeprefix(_LIMIT), (0, 0))
                taken = (not max_calls or calls < max_calls) and (not max_starts or starts < max_starts)
                return {"taken": taken, "calls": calls, "starts": starts}
            case AnsweredToday(user_ids):
                return {user_id: day.answered_today.get(user_id, 0) for user_id in user_ids}
            case CallsOnTrunks(trunk_ids) if day.trunk_calls:
                return {trunk_id: day.trunk_calls.get(trunk_id, 0) for trunk_id in trunk_ids}
            case Fetch(url):
                return _answer(day.web, url)
            case LastAgent():
                return day.last_agent
            case LastCaller():
                return day.last_caller
            case Mail():
                return not day.mails_fail
            case CountTry(user_id, kind, right, limit):
                before = wrong.get((user_id, kind), day.wrong_codes)
                accepted = right and before < limit
                wrong[user_id, kind] = 0 if accepted else before + (not right)
                return {"accepted": accepted, "wrong": wrong[user_id, kind]}
            case ChangeUser() | HavePhone() | Attend() | FreePlace() | OrderCallBack():
                return True
            case CancelCallBacks():
                return 0
            case _:
                return None

    return find_out


def _answer(web: Mapping[str, JsonValue], url: str) -> JsonValue:
    """A sticky agent's address is asked with the caller's number behind it."""
    asked = url if url in web else url.rpartition("caller=")[0].removesuffix("?").removesuffix("&")
    return web.get(asked)


def counters_of(config: TenantConfig) -> Iterator[str]:
    """Names of what `Day.limits` may hold: `plan/node` or the node's own counter; `tenant/acme`, `department/sales in`, `trunk/t out`."""
    for plan in config.plans.values():
        yield from (counter_of(f"plan/{plan.id} node {node.id}", node.limit) for node in plan.nodes if node.limit is not None)
    for name in (f"tenant/{config.tenant_id}", *(f"department/{each}" for each in config.all(Department))):
        yield from (name, f"{name} in", f"{name} out")
    yield from (f"trunk/{each} {way}" for each in config.trunks for way in ("in", "out"))


def shares_of(config: TenantConfig) -> Iterator[str]:
    """Names of what `Day.shares` may hold: `plan/p node a`, `ring_group/g` (round robin)."""
    for plan in config.plans.values():
        yield from (f"plan/{plan.id} node {node.id}" for node in plan.nodes if node.split is not None)
    yield from (f"ring_group/{each}" for each in config.ring_groups)


def addresses_of(config: TenantConfig) -> Iterator[str]:
    """Of what `Day.web` may hold."""
    for plan in config.plans.values():
        for node in plan.nodes:
            if node.webhook is not None:
                yield node.webhook.url
            if node.sticky_agent is not None:
                yield from (source.url for source in node.sticky_agent.sources if source.url)
