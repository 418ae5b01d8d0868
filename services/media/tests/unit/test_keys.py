"""Keys between phones that tell them differently: who is told what, and in which kind."""

import asyncio
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from carillon_media.domain.keys import KeyKind, Ways, duration, kind_for, told_as, unsendable
from carillon_media.domain.outputs import PassKey
from carillon_media.handlers.keys import Keys
from carillon_media.handlers.legs import LegIo, key_counts
from carillon_rtp.values import Remote
from carillon_sip.commands import RequestOut
from carillon_sip.flow import Flow
from carillon_sip.message import Headers, Response
from carillon_sip.outputs import RequestTimedOut, ResponseReceived

pytestmark = pytest.mark.feature("M-7")
EVENTS, INFO, SENT_INFO = Ways(events=True), Ways(takes_info=True), Ways(has_sent_info=True)
TONES, TRUNK, REFUSED = (
    Ways(has_sent_tones=True, takes_info=True),
    Ways(takes_info=True, trunk=True),
    Ways(takes_info=True, refused_info=True),
)


@pytest.mark.parametrize(
    ("ways", "kind"),
    [
        (EVENTS, "events"),
        (Ways(events=True, has_sent_info=True), "events"),
        (INFO, "info"),
        (SENT_INFO, "info"),
        (Ways(has_sent_info=True, trunk=True), "info"),
        (TONES, "tones"),
        (TRUNK, "tones"),
        (REFUSED, "tones"),
        (Ways(has_sent_info=True, refused_info=True), "tones"),
        (Ways(), "tones"),
    ],
)
def test_what_a_phone_understands(ways: Ways, kind: KeyKind) -> None:
    assert kind_for(ways) == kind


@pytest.mark.parametrize(
    ("heard", "ways", "told"),
    [
        ("events", EVENTS, None),
        ("events", INFO, "info"),
        ("events", Ways(), "tones"),
        ("info", EVENTS, "events"),
        ("info", INFO, "info"),
        ("info", Ways(), "tones"),
        ("tones", EVENTS, "events"),
        ("tones", INFO, "info"),
        ("tones", Ways(), None),
    ],
)
def test_how_a_key_of_the_other_side_is_told(heard: KeyKind, ways: Ways, told: KeyKind | None) -> None:
    assert told_as(heard, ways) == told


def test_what_cannot_be_sent_is_refused_with_its_reason() -> None:
    for ways, manner in product((EVENTS, INFO, SENT_INFO, Ways()), ("auto", "events", "info", "tones")):
        possible = {"auto": True, "tones": True, "events": ways is EVENTS, "info": ways in (INFO, SENT_INFO)}[manner]
        assert (unsendable(manner, ways) == "") is possible  # type: ignore[arg-type]


def test_a_key_is_passed_on_as_long_as_it_was_held_within_bounds() -> None:
    assert [duration(held) for held in (0, 79, 200, 5000)] == [80, 80, 200, 1000]


class Desk:
    """The far end of one leg, and the board that says whose it is."""

    def __init__(self) -> None:
        self.sip, self.plane, self.quiet = self, self, self
        flow = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.7", 5060))
        self.caller, self.leg = LegIo("a", "other", flow, "one/a"), LegIo("b1", "session", flow, "one/b1")
        self.actor: Any = SimpleNamespace(
            parts=self, legs={"a": self.caller, "b1": self.leg}, call=SimpleNamespace(legs={}), post=self.post
        )
        self.keys = Keys(self)  # type: ignore[arg-type]
        self.kept = 0
        self.told: list[str] = []
        self.pressed: list[tuple[str, bool]] = []

    def leg_of(self, session: str) -> tuple[Any, str] | None:
        return None if self.actor is None else (self.actor, self.leg.leg_id)

    def allows(self, session: str, method: str) -> bool:
        return False

    def post(self, given: Any) -> None:
        self.kept += 1

    def spawn(self, coroutine: Any) -> None:
        self.task = asyncio.ensure_future(coroutine)

    def request(self, request: RequestOut) -> str:
        self.told.append(request.body.decode()[len("Signal=")])
        return f"c{len(self.told)}"

    async def send_digits(self, session: str, digits_id: str, digits: str, *, on_ms: int, tones: bool, after: bool) -> None:
        self.pressed.append((digits, tones))

    async def press(self, digits: str) -> None:
        await self.keys.press(self.actor, self.leg, f"digits-{digits}", digits, "info")

    async def passes(self, digit: str) -> None:
        """The caller has told it by INFO."""
        await self.keys.pass_on(self.actor, PassKey("b1", f"key-{digit}", digit, "info", 0, "a"))

    async def answers(self, status: int) -> None:
        """To the INFO that is under way."""
        transaction, response = f"c{len(self.told)}", Response(status, "", Headers([]))
        assert self.keys.responded(ResponseReceived(transaction, response) if status else RequestTimedOut(transaction, "timeout"))
        if status == 0 or status >= 200:
            await self.task


async def test_keys_by_info_go_on_where_their_far_end_goes_on() -> None:
    desk = Desk()
    await desk.press("12")
    assert desk.told == ["1"]
    desk.actor, desk.leg.leg_id = SimpleNamespace(parts=desk, legs={"x1": desk.leg}, post=desk.post), "x1"
    await desk.answers(200)
    assert desk.told == ["1", "2"]
    await desk.answers(200)
    await desk.press("3")
    assert desk.told == ["1", "2", "3"]


async def test_a_far_end_that_is_nobody_s_when_it_answers_is_told_the_keys_after() -> None:
    desk = Desk()
    actor = desk.actor
    await desk.press("12")
    desk.actor = None
    await desk.answers(200)
    desk.actor = actor
    await desk.press("3")
    assert desk.told == ["1", "3"]


@pytest.mark.parametrize("status", [415, 0])
async def test_who_refuses_info_hears_what_waits_and_all_after_as_tones(status: int) -> None:
    desk = Desk()
    await desk.press("12")
    await desk.answers(100)
    await desk.answers(status)
    assert (desk.told, desk.pressed) == (["1"], [("1", True), ("2", True)])
    assert desk.leg.keys.refuses_info


@pytest.mark.feature("M-13")
async def test_an_info_that_is_under_way_at_a_kill_is_answered_to_the_next_process_and_those_behind_it_go_on() -> None:
    for under_way, status, told, pressed in (
        (True, 200, ["1", "2"], []),
        (True, 415, ["1"], [("1", True), ("2", True)]),
        (True, 0, ["1"], [("2", True)]),  # its far end may have it
        (False, None, ["1", "2"], []),  # answered to the process that died
    ):
        desk = Desk()
        await desk.press("12")
        desk.keys = Keys(desk)  # type: ignore[arg-type]
        desk.keys.take_up(desk.actor, desk.leg, ["c1"] if under_way else [])
        if status is not None:
            await desk.answers(status)
        assert (desk.told, desk.pressed) == (told, pressed)


@pytest.mark.parametrize("twice", [True, False])
async def test_keys_by_info_beside_events_wait_until_it_is_known_whether_events_tell_them_too(
    monkeypatch: pytest.MonkeyPatch, twice: bool
) -> None:
    """Both sides have agreed to events: those of the one reach the other by themselves."""
    monkeypatch.setattr("carillon_media.handlers.keys.SAME_KEY_SECONDS", 0.0)
    desk = Desk()
    desk.caller.told = desk.leg.told = Remote("192.0.2.7", 4000, telephone_event=101)
    for at, digit in enumerate("56"):
        assert key_counts(desk.caller, digit, at / 10, by_info=True)
        await desk.passes(digit)
        assert not twice or not key_counts(desk.caller, digit, at / 10, by_info=False)
    assert desk.pressed == []
    await desk.task
    assert desk.pressed == ([] if twice else [("5", False), ("6", False)])
    await desk.passes("7")
    assert len(desk.pressed) == (0 if twice else 3)


async def test_keys_by_info_of_who_agreed_to_no_events_are_told_at_once() -> None:
    desk = Desk()
    desk.caller.told, desk.leg.told = Remote("192.0.2.7", 4000), Remote("192.0.2.7", 4000, telephone_event=101)
    await desk.passes("5")
    assert desk.pressed == [("5", False)]


async def test_who_tells_a_key_by_info_before_the_answer_is_told_none_so_until_then() -> None:
    """There is no session yet in which it could be asked."""
    desk = Desk()
    desk.leg.told = Remote("192.0.2.7", 4000)
    assert key_counts(desk.leg, "5", 0.0, by_info=True)
    for digit, desk.leg.answered in (("1", False), ("2", True)):
        await desk.keys.press(desk.actor, desk.leg, f"digits-{digit}", digit, "auto")
    assert (desk.pressed, desk.told) == ([("1", True)], ["2"])
