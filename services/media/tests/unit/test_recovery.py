"""What the journal of a dead process still owes."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from carillon_contracts import call as events
from carillon_media.domain.recovery import Begun, PastEvent, Salvaged, owed
from carillon_media.domain.snapshots import SavedCall
from carillon_media.handlers import recovery

T0 = datetime(2026, 3, 2, 9, tzinfo=UTC)


def past(*lines: str, **data: Any) -> list[PastEvent]:
    """`leg_answered a +3`: fact, leg, seconds since the start."""
    found = []
    for seq, line in enumerate(lines, 1):
        kind, *rest = line.split()
        leg, seconds = (*rest, "", "0")[:2] if len(rest) != 1 else (rest[0], "0")
        found.append(PastEvent(seq, kind, T0 + timedelta(seconds=float(seconds)), leg or None, data.get(kind, {})))
    return found


def written(found: list[Any]) -> list[tuple[int, str, str | None]]:
    return [(item.seq, item.event.fact(), item.leg_id) for item in found]


@pytest.mark.feature("P-10")
def test_a_call_that_was_up_gets_its_endings_and_the_time_it_talked() -> None:
    story = past("started a +0", "leg_offered b1 +1", "leg_offered b2 +1", "leg_ended b2 +3", "leg_answered b1 +3", "leg_answered a +3")
    found = owed(story, [], T0 + timedelta(seconds=63.5))
    assert written(found) == [(7, "leg_ended", "a"), (8, "leg_ended", "b1"), (9, "ended", None)]
    ended = found[-1].event
    assert isinstance(ended, events.CallEnded)
    assert (ended.cause, ended.by, ended.talk_ms, ended.total_ms) == ("node_failure", "system", 60_500, 63_500)


def test_a_call_that_ended_owes_nothing() -> None:
    assert owed(past("started a", "leg_ended a", "ended"), [], T0) == []


def test_legs_ended_before_the_crash_are_not_ended_again() -> None:
    assert written(owed(past("started a", "leg_ended a"), [], T0)) == [(3, "ended", None)]


def test_a_clock_that_says_earlier_does_not_make_durations_negative() -> None:
    ended = owed(past("started a +0", "leg_answered a +5"), [], T0 - timedelta(hours=1))[-1].event
    assert isinstance(ended, events.CallEnded)
    assert (ended.talk_ms, ended.total_ms) == (0, 5000)


BEGUN = Begun("c1-rec-1", "a", 1000, {"mailbox_id": "main"})


def test_a_message_that_was_being_left_is_saved() -> None:
    found = owed(past("started a", "leg_answered a", "recording_started a"), [Salvaged(BEGUN, "sha256-aa", 4000, 32_058)], T0)
    assert written(found) == [(4, "recording_finished", "a"), (5, "leg_ended", "a"), (6, "ended", None)]
    finished = found[0].event
    assert isinstance(finished, events.RecordingFinished)
    assert (finished.object, finished.ended_by, finished.labels) == ("sha256-aa", "node_failure", {"mailbox_id": "main"})


def test_too_short_a_message_is_not() -> None:
    assert "recording_finished" not in [kind for _, kind, _ in written(owed(past("started a"), [Salvaged(BEGUN, "x", 999, 1)], T0))]


def test_a_message_that_was_promised_already_is_not_promised_twice() -> None:
    story = past("started a", "recording_finished a", recording_finished={"object": "sha256-aa"})
    assert written(owed(story, [Salvaged(BEGUN, "sha256-aa", 4000, 1)], T0)) == [(3, "leg_ended", "a"), (4, "ended", None)]


@pytest.mark.feature("M-13")
def test_what_another_version_has_kept_is_said_once_and_its_calls_are_not_half_taken_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each call one snapshot that cannot be read, and one that can."""
    state: Any = None
    saved, lines = SavedCall(state, "boot"), []
    monkeypatch.setattr(recovery, "_log", SimpleNamespace(warning=lambda event, **fields: lines.append(fields)))
    snapshots: Any = SimpleNamespace(open=lambda call_id, record: saved if record == b"now" else _unreadable())
    calls = [f"c{number}" for number in range(5)]
    records = [SimpleNamespace(kind="private", tenant="acme", call_id=call, data=data) for data in (b"before", b"now") for call in calls]
    whole = SimpleNamespace(kind="private", tenant="acme", call_id="whole", data=b"now")
    found = {past.call_id: past.call for past in recovery.fold([*records, whole], snapshots)}
    assert found == {**dict.fromkeys(calls), "whole": saved}
    assert [(line["snapshots"], line["calls"]) for line in lines] == [(5, 5)]


def _unreadable() -> Any:
    raise ValueError("its classes had other fields")
