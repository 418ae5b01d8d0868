"""Tests of plans: a call from X to Y at T must reach Z."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from carillon_contracts.config import Announcement, Destination, PlanTest
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.assumed import Assumed
from carillon_routing.domain.assumed_facts import Day, on_a_day
from carillon_routing.domain.facts import Advance, CallFacts, Gather, HangUp, Play, RingResult
from carillon_routing.domain.simulate import reached, simulate, with_modes
from carillon_routing.domain.walk import REASONS, name_of


@dataclass(frozen=True, slots=True)
class RanTest:
    """What became of a plan's test: where its call came by, and what it missed (empty: nothing)."""

    test_id: str
    reached: tuple[str, ...]
    missed: str

    @property
    def passed(self) -> bool:
        """The call reaches what it must."""
        return not self.missed


def run_tests(active: TenantConfig, config: TenantConfig, plan_id: str) -> Iterator[RanTest | None]:
    """The tests of a plan, and of other plans those that pass in `active` and do not in `config`; None between two, for a breath."""
    for test in config.plan_tests.values():
        ran = run_test(config, test)
        if test.plan_id == plan_id or (not ran.passed and config is not active and run_test(active, test).passed):
            yield ran
        else:
            yield None


def run_test(config: TenantConfig, test: PlanTest) -> RanTest:
    """The call in the state of the world that the test says."""
    # The clock of the call goes on through a change of the wall clock.
    at = datetime.fromisoformat(test.at).replace(tzinfo=ZoneInfo(config.tenant.time_zone)).astimezone(UTC)
    name, user_id = f"plan_test/{test.id}", test.caller_user_id
    if user_id:
        call = CallFacts(config.tenant_id, name, "from_user", test.dialled, config.extension_of(user_id), caller_user_id=user_id)
    else:
        call = CallFacts(config.tenant_id, name, "inbound", test.dialled, test.caller)
    results: dict[str, RingResult] = {
        **dict.fromkeys(test.busy_user_ids, "busy"),
        **dict.fromkeys(test.absent_user_ids, "no_answer"),
        **dict.fromkeys(test.unreachable_user_ids, "unreachable"),
        **{each.user_id or each.external_number or "": each.result for each in test.results},
    }
    modes = {each.schedule_id: each.mode for each in test.modes if each.schedule_id in config.schedules}
    day = on_a_day(config, Day(busy=frozenset(test.busy_user_ids)))
    turns = simulate(with_modes(config, modes) if modes else config, call, at, Assumed(results, test.keys, test.queue_result), day)
    came_by = reached(turns)
    return RanTest(test.id, came_by, _missed(turns, came_by, test))


def _missed(turns: Sequence[Advance], came_by: Sequence[str], test: PlanTest) -> str:
    """The first that was missed; empty: nothing."""
    if missed := _missed_destination(turns, came_by, test.reaches):
        return missed
    ahead = iter(came_by)
    return next((each for each in test.comes_by if each not in ahead), "")


def _missed_destination(turns: Sequence[Advance], came_by: Sequence[str], wanted: Destination) -> str:
    if wanted.announcement is not None:
        return "" if any(_heard(turn, wanted.announcement) for turn in turns) else f"announcement {_named(wanted.announcement)}"
    if wanted.hang_up is not None:
        last = turns[-1].step
        ends = isinstance(last, HangUp) and last.cause == REASONS[wanted.hang_up].cause
        return "" if ends else f"hang_up {REASONS[wanted.hang_up].cause}"
    name = name_of(wanted)
    return "" if name in came_by else name


def _heard(turn: Advance, wanted: Announcement) -> bool:
    if not isinstance(turn.step, Play | Gather):
        return False
    if wanted.audio_id:
        return any(phrase.audio_id == wanted.audio_id for phrase in turn.step.phrases)
    return any(wanted.text in phrase.text for phrase in turn.step.phrases)


def _named(announcement: Announcement) -> str:
    return announcement.audio_id or announcement.text
