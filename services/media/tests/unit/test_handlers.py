"""Small parts of the shell, on fakes."""

import asyncio
import wave
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import RFC_4122

import pytest

from carillon_kit.clock import ManualClock
from carillon_kit.object_store import MemoryObjectStore, object_name
from carillon_kit.testing import eventually
from carillon_media.adapters.pooled_ids import PooledIds
from carillon_media.adapters.spool import FileSpool
from carillon_media.domain import inputs
from carillon_media.domain.state import Leg, Playing, Talking
from carillon_media.domain.steps import Ring, RingOutcome
from carillon_media.handlers.quiet import QuietLog
from carillon_media.handlers.silence import SilenceWatch
from carillon_rtp.values import Remote, Statistics

T0 = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Lines:
    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, object]]] = []

    def warning(self, event: str, **fields: object) -> None:
        self.seen.append((event, fields))


def test_a_flood_of_warnings_is_one_line_a_second() -> None:
    clock, lines = ManualClock(T0), Lines()
    quiet = QuietLog(lines, clock)
    for _ in range(100):
        quiet.warning("no port", call_id="c")
    quiet.warning("other")
    clock.advance(1)
    quiet.warning("no port", call_id="d")
    assert lines.seen == [("no port", {"call_id": "c"}), ("other", {}), ("no port", {"call_id": "d", "left_out": 99})]


class Plane:
    """Tells how long ago each session was heard."""

    def __init__(self, **ages: int | None) -> None:
        self.ages = ages

    async def session_statistics(self, session: str) -> Statistics:
        return Statistics(last_packet_ms=self.ages[session])


def call(phase: Any, *, held: bool = False) -> Any:
    posted: list[inputs.Input] = []
    remote = Remote("127.0.0.1", 4000)
    legs = {
        name: SimpleNamespace(leg_id=name, plane=name, media=SimpleNamespace(remote=remote), bridged_with=other)
        for name, other in (("a", "b1"), ("b1", "a"))
    }
    machine = SimpleNamespace(
        facts=SimpleNamespace(call_id="c1"),
        legs={"a": Leg("a", "anne", "101", "answered", held), "b1": Leg("b1", "bob", "102", "answered")},
        state=SimpleNamespace(phase=phase),
    )
    return SimpleNamespace(call=machine, legs=legs, post=posted.append, posted=posted)


TALKING = Talking("b1", Ring(()), RingOutcome("answered", ()))


def watch(actor: Any, clock: ManualClock, **ages: int | None) -> SilenceWatch:
    board: Any = SimpleNamespace(calls={"c1": actor})
    plane: Any = Plane(**ages)
    return SilenceWatch(board, plane, clock, 300)


async def test_a_leg_that_fell_silent_has_left() -> None:
    actor = call(TALKING)
    await watch(actor, ManualClock(T0), a=20, b1=301_000).look()
    assert actor.posted == [inputs.LegLeft("b1", "media")]


async def test_a_leg_that_never_sent_anything_counts_from_the_first_look() -> None:
    actor, clock = call(TALKING), ManualClock(T0)
    one = watch(actor, clock, a=20, b1=None)
    await one.look()
    clock.advance(299)
    await one.look()
    assert actor.posted == []
    clock.advance(2)
    await one.look()
    assert actor.posted == [inputs.LegLeft("b1", "media")]


@pytest.mark.parametrize("actor", [call(TALKING, held=True), call(Playing("p", 0.0))])
async def test_calls_on_hold_and_callers_who_listen_are_left_alone(actor: Any) -> None:
    await watch(actor, ManualClock(T0), a=999_000, b1=999_000).look()
    assert actor.posted == []


def recording(path: Path, milliseconds: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = bytes([0xD5]) * 8 * milliseconds
    head = b"RIFF\0\0\0\0WAVEfmt " + bytes([18, 0, 0, 0, 6, 0, 1, 0]) + (8000).to_bytes(4, "little") * 2 + bytes([1, 0, 8, 0, 0, 0])
    path.write_bytes(head + b"fact" + bytes([4, 0, 0, 0]) + bytes(4) + b"data" + bytes(4) + samples)


class Flaky(MemoryObjectStore):
    def __init__(self) -> None:
        super().__init__()
        self.failures = 2

    async def put(self, data: bytes, content_type: str) -> str:
        if self.failures:
            self.failures -= 1
            raise OSError("away")
        return await super().put(data, content_type)


async def test_a_recording_is_mended_named_and_uploaded_until_the_store_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carillon_media.adapters.spool.RETRY_SECONDS", (0.01,))
    store = Flaky()
    spool = FileSpool(tmp_path, store)
    recording(spool.path_for("c1-rec-1"), 1500)
    file = await spool.weigh("c1-rec-1")
    assert file.duration_ms == 1500
    spool.release("c1-rec-1", file.object)
    uploads = asyncio.ensure_future(FileSpool(tmp_path, store).upload_for_ever())  # as after a restart
    await eventually(lambda: not list(tmp_path.rglob("*.wav")))
    uploads.cancel()
    audio = await store.get(file.object)
    assert (len(audio), object_name(audio)) == (file.bytes, file.object)


async def test_what_is_written_after_the_weighing_is_no_part_of_a_recording_that_is_still_open(tmp_path: Path) -> None:
    store = MemoryObjectStore()
    spool = FileSpool(tmp_path, store)
    path = spool.path_for("c1-rec-1")
    recording(path, 1500)
    with path.open("ab") as media_plane:
        file = await spool.weigh("c1-rec-1", still_open=True)
        media_plane.write(bytes(320))
    spool.release("c1-rec-1", file.object)
    uploads = asyncio.ensure_future(spool.upload_for_ever())
    await eventually(lambda: not list(tmp_path.rglob("*.wav")))
    uploads.cancel()
    assert len(await store.get(file.object)) == file.bytes


async def test_what_is_no_recording_cannot_be_weighed(tmp_path: Path) -> None:
    spool = FileSpool(tmp_path, MemoryObjectStore())
    with pytest.raises(OSError):
        await spool.weigh("missing")
    with wave.open(str(spool.path_for("foreign")), "wb") as other:
        other.setparams((1, 2, 8000, 0, "NONE", ""))
    with pytest.raises(ValueError):
        await spool.weigh("foreign")
    assert list(spool.leftovers()) == ["foreign"]


def test_pooled_identifiers_sort_and_never_repeat() -> None:
    ids = PooledIds()
    made = [ids.uuid7() for _ in range(2000)]
    assert made == sorted(set(made))
    assert {one.version for one in made} == {7}
    assert {one.variant for one in made} == {RFC_4122}
    tokens = [ids.token(10) for _ in range(2000)]
    assert len(set(tokens)) == 2000
    assert {len(token) for token in tokens} == {20}
    assert len(ids.token(5000)) == 10_000
