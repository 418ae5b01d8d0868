"""What who waits in a queue hears: welcome, news in turn, place and time, and once that nobody stands before any more."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import ManualClock
from carillon_routing.domain.advance import decided
from carillon_routing.domain.cursor import Cursor, QueueWait, decode
from carillon_routing.domain.facts import CallFacts, HangUp, Ring, Wait
from carillon_routing.domain.queue_steps import QueueOver, QueueSeen
from carillon_routing.domain.queued import queued
from carillon_routing.domain.queues import commands as c
from carillon_routing.domain.queues.decide import decide
from carillon_routing.domain.queues.events import CallerRanked
from carillon_routing.domain.queues.floor import Floor, fold
from carillon_routing.domain.queues.speech import heard
from carillon_routing.handlers.floors import FloorsWhenUp
from carillon_routing.handlers.queue_calls import QueueCalls
from carillon_routing.testing import small_company, with_plan

pytestmark = pytest.mark.feature("R-10")
SAID: dict[str, Any] = {
    "welcome": [{"text": "Bonjour"}],
    "first_in_line": [{"text": "A vous"}],
    "periodic": [{"text": "Merci"}, {"text": "Patience"}],
}
CALL = CallFacts("acme", "c2", "inbound", "+41215550100", "+41791112233")


def company(**announcements: Any) -> Any:
    return small_company(queues=[{"id": "sales", "announcements": announcements}])


def texts(turn: int, place: int = 3, seconds: float = 0.0, *, first: bool = False, **announcements: Any) -> list[str]:
    queue = company(**announcements).queues["sales"]
    return [phrase.text for phrase in heard(queue, place, seconds, turn, "", "fr", first=first)]


def test_the_welcome_is_heard_once_and_the_news_in_turn() -> None:
    assert [texts(turn, **SAID) for turn in range(4)] == [["Bonjour"], ["Merci"], ["Patience"], ["Merci"]]


def test_who_is_first_now_hears_it_before_the_news() -> None:
    assert texts(4, 1, first=True, **SAID) == ["A vous", "Patience"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "à une minute"), (60, "à une minute"), (61, "à 2 minutes"), (1e9, "à 60 minutes")],
)
def test_place_and_time_are_said_each_time(seconds: float, said: str) -> None:
    for turn in (0, 1):
        place, time = texts(turn, 3, seconds, position=True, estimated_wait=True)
        assert place == "Vous êtes en position 3."
        assert time.endswith(f"{said}.")


class Waiting:
    """A caller as routing sees one wait after the other; the cursor goes through its bytes."""

    def __init__(self, **announcements: Any) -> None:
        self.config = company(**announcements)
        self.cursor = Cursor(self.config.seq, QueueWait("sales"))

    def at(self, position: int) -> list[str]:
        advance = queued(self.config, CALL, self.cursor, QueueSeen("waits", position=position))
        assert isinstance(advance.step, Wait)
        self.cursor = decode(advance.cursor)
        return [phrase.text for phrase in advance.step.phrases]

    @property
    def wait(self) -> QueueWait:
        assert isinstance(self.cursor.wait, QueueWait)
        return self.cursor.wait


FIRST = {"first_in_line": [{"text": "A vous"}]}


def test_who_becomes_first_hears_it_once_however_late() -> None:
    waiting = Waiting(**FIRST)
    assert [waiting.at(position) for position in (3, 2, 2, 1, 1, 2, 1)] == [[], [], [], ["A vous"], [], [], []]


def test_who_comes_to_an_empty_queue_hears_it_after_the_welcome() -> None:
    waiting = Waiting(**FIRST, welcome=[{"text": "Bonjour"}])
    assert [waiting.at(1) for _ in range(3)] == [["Bonjour"], ["A vous"], []]


def hall(*calls: str) -> Floor:
    config, floor = company(), Floor()
    for n, call_id in enumerate(calls):
        floor = fold(floor, decide(floor, c.Join(call_id, "sales", float(n), 0, ""), config, 10.0 + n))
    return floor


class OneFloor(FloorsWhenUp):
    """That stands as it is."""

    def __init__(self, floor: Floor) -> None:
        super().__init__(expected=True)
        self.floor = floor

    def get(self) -> Any:
        return self

    async def until(self, tenant: str, condition: Callable[[Floor], bool], seconds: float) -> bool:
        return condition(self.floor)


async def test_a_wait_ends_when_nobody_stands_before_any_more_and_there_is_something_to_say() -> None:
    behind, alone = QueueCalls(OneFloor(hall("c1", "c2")), ManualClock()), QueueCalls(OneFloor(hall("c2")), ManualClock())
    waiting, silent = Waiting(**FIRST), Waiting()
    waiting.at(2)
    silent.at(2)
    assert not await behind.signalled(CALL, waiting.wait)
    assert await alone.signalled(CALL, waiting.wait)
    assert not await alone.signalled(CALL, silent.wait), "nothing is to be said"
    assert waiting.at(1) == ["A vous"]
    assert not await alone.signalled(CALL, waiting.wait), "it was said"


# -- put into another queue ---------------------------------------------------------------------------------------------


def two_queues(**support: Any) -> TenantConfig:
    """Plan p sends to sales, with a way on; `support`: of the other queue."""
    told = {"welcome": [{"text": "Ventes"}], "every_seconds": 20}
    queues = [
        {"id": "sales", "announcements": told, "hold_music_id": "jazz", "waited_too_long": {"user_id": "anna"}},
        {"id": "support", "announcements": {"welcome": [{"text": "Support"}], "position": True}, "hold_music_id": "rock", **support},
    ]
    nodes = ({"id": "q", "queue": {"queue_id": "sales", "ways": {"otherwise": "end"}}}, {"id": "end", "hang_up": {"reason": "busy"}})
    return with_plan(*nodes, queues=queues)


def test_who_was_put_into_another_queue_is_welcomed_there_and_hears_its_music_and_place() -> None:
    config = two_queues()
    cursor = Cursor(config.seq, QueueWait("sales", turn=4, offers=2, first=2), ("p", "q"))
    first = queued(config, CALL, cursor, QueueSeen("waits", position=3, queue_id="support"))
    assert isinstance(first.step, Wait)
    assert [phrase.text for phrase in first.step.phrases] == ["Support", "Vous êtes en position 3."]
    assert first.step.music_id == "rock"
    moved = decode(first.cursor)
    assert moved.wait == QueueWait("support", turn=1)
    second = queued(config, CALL, moved, QueueSeen("waits", position=2))
    assert isinstance(second.step, Wait)
    assert [phrase.text for phrase in second.step.phrases] == ["Vous êtes en position 2."]
    here = queued(config, CALL, cursor, QueueSeen("waits", position=3))
    assert isinstance(here.step, Wait)
    assert here.step.music_id == "jazz"
    rung = queued(config, CALL, moved, QueueSeen("rings", offered=("none",)))
    assert isinstance(rung.step, Ring)
    assert (rung.step.music, rung.step.music_id) == (True, "rock")


@pytest.mark.parametrize(("support", "to"), [({"waited_too_long": {"user_id": "ben"}}, "ben"), ({}, "")])
def test_who_was_put_into_another_queue_leaves_by_its_way_and_else_by_the_plans(support: dict[str, Any], to: str) -> None:
    config = two_queues(**support)
    cursor = Cursor(config.seq, QueueWait("support"), ("p", "q"))
    found = decided(config, CALL, cursor, QueueOver("waited_too_long"), datetime(2026, 1, 6, tzinfo=UTC), lambda ask: None)
    if to:
        assert isinstance(found.step, Ring)
        assert [target.target_id for target in found.step.targets] == [f"user:{to}"]
    else:
        assert isinstance(found.step, HangUp)
        assert found.step.cause == 17


async def test_the_wait_of_who_is_put_into_another_queue_ends_at_once() -> None:
    moved = fold(hall("c1", "c2"), [CallerRanked(at=20.0, call_id="c2", queue_id="support", priority=0)])
    here = QueueCalls(OneFloor(moved), ManualClock())
    assert await here.signalled(CALL, QueueWait("sales"))
    assert not await here.signalled(CALL, QueueWait("support"))
