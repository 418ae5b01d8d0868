"""What the media plane knows of a leg that ends comes into its event; what it does not say delays nothing for long."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from carillon_contracts.call import LegAnswered, LegEnded, LegQuality
from carillon_media.domain import outputs
from carillon_media.handlers import quality
from carillon_media.handlers.quality import with_quality
from carillon_rtp.protocol import PlaneUnavailable
from carillon_rtp.values import Remote, Statistics

pytestmark = pytest.mark.feature("M-7")
UNKNOWN = "c/b1"
SEEN = Statistics(packets_in=500, packets_out=498, lost=3, jitter_ms=1.26, round_trip_ms=20.04, mos=4.321, remote_lost=1)


class Plane:
    """Answers, refuses, or never answers."""

    def __init__(self, answer: Statistics | Exception | None) -> None:
        self.answer = answer

    async def statistics_of(self, sessions: Sequence[str]) -> list[Statistics | None]:
        if self.answer is None:
            await asyncio.Event().wait()
        if isinstance(self.answer, Statistics):
            return [self.answer if session != UNKNOWN else None for session in sessions]
        raise self.answer or AssertionError


def leg(name: str, *, told: bool = True) -> Any:
    return SimpleNamespace(
        plane=f"c/{name}", media=SimpleNamespace(codec="PCMA", srtp=""), told=Remote("192.0.2.1", 4000) if told else None
    )


BATCH: list[object] = [
    outputs.Journal(4, LegAnswered(), "a"),
    outputs.Journal(5, LegEnded(cause="normal_clearing", by="caller"), "a"),
    outputs.CloseLeg("a", "bye"),
    outputs.Journal(6, LegEnded(cause="no_answer", by="system"), "b1"),
]


async def after(answer: Statistics | Exception | None) -> list[object]:
    plane: Any = Plane(answer)
    return await with_quality(BATCH, {"a": leg("a"), "b1": leg("b1", told=False)}, plane)


async def test_the_end_of_a_leg_says_how_its_audio_did() -> None:
    first, ended, *rest = await after(SEEN)
    assert isinstance(ended, outputs.Journal)
    assert isinstance(ended.event, LegEnded)
    assert ended.event.quality == LegQuality(
        codec="PCMA", packets_received=500, packets_sent=498, lost=3, jitter_ms=1.3, round_trip_ms=20.0, mos=4.32, remote_lost=1
    )
    assert ended.event.cause == "normal_clearing"
    assert [first, *rest] == [BATCH[0], *BATCH[2:]]


async def test_a_leg_that_the_plane_does_not_know_takes_nothing_from_the_others() -> None:
    plane: Any = Plane(SEEN)
    _, ended, _, unknown = await with_quality(BATCH, {"a": leg("a"), "b1": leg("b1")}, plane)
    assert isinstance(ended, outputs.Journal)
    assert isinstance(ended.event, LegEnded)
    assert ended.event.quality is not None
    assert unknown == BATCH[3]


@pytest.mark.parametrize("answer", [PlaneUnavailable("unavailable", "away"), None])
async def test_a_plane_that_says_nothing_takes_nothing_away(answer: Exception | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "SECONDS", 0.01)
    assert await after(answer) == BATCH
