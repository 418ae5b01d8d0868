"""Keys between phones that tell them differently: who is told what, and in which kind."""

from itertools import product

import pytest

from carillon_media.domain.keys import KeyKind, Ways, duration, kind_for, told_as, unsendable

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
