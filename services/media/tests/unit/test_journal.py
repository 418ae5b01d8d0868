"""The journal: what was acknowledged is there after any end of the process; what is damaged is reported."""

import asyncio
import errno
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carillon_media.adapters.journal import Journal, JournalError, JournalOverloaded, JournalRecord


def event(call: str, seq: int, data: bytes = b"{}", tenant: str = "dupont") -> JournalRecord:
    return JournalRecord("event", tenant, call, seq, data)


async def written(folder: Path, *records: JournalRecord, segment_bytes: int = 1 << 20) -> None:
    journal, _ = Journal.open(folder, segment_bytes=segment_bytes)
    for record in records:
        await journal.append([record])
    await journal.close()


def reopened(folder: Path) -> tuple[list[JournalRecord], Journal]:
    journal, records = Journal.open(folder)
    return records, journal


def segments(folder: Path, kind: str = "journal") -> list[Path]:
    return sorted(folder.glob(f"*.{kind}"))


async def test_what_was_appended_is_there_after_the_next_open_in_order(tmp_path: Path) -> None:
    records = [event("c1", 1), event("c2", 1), JournalRecord("private", "dupont", "c1", 0, b"\x00\xff"), event("c1", 2)]
    await written(tmp_path, *records)
    found, journal = reopened(tmp_path)
    assert found == records
    assert journal.damages == ()
    await journal.close()


async def test_waiting_appends_share_a_sync(tmp_path: Path) -> None:
    journal, _ = Journal.open(tmp_path)
    await asyncio.gather(*(journal.append([event(f"c{n}", 1)]) for n in range(200)))
    assert journal.records == 200
    assert journal.batches <= 3
    await journal.close()


async def test_append_returns_only_after_the_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fdatasync

    def sync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", sync)
    journal, _ = Journal.open(tmp_path, segment_bytes=4096)
    await journal.append([event("c1", 1, b"x" * 500)])
    assert synced
    assert synced[-1] > 500
    await journal.close()


async def test_a_forgotten_call_does_not_come_back_and_others_do(tmp_path: Path) -> None:
    journal, _ = Journal.open(tmp_path)
    await journal.append([event("c1", 1), event("c2", 1)])
    await journal.forget([("dupont", "c1"), ("dupont", "unknown")])
    await journal.append([event("c2", 2)])
    await journal.close()
    found, journal = reopened(tmp_path)
    assert found == [event("c2", 1), event("c2", 2)]
    await journal.close()


async def test_the_same_call_id_in_another_tenant_is_another_call(tmp_path: Path) -> None:
    journal, _ = Journal.open(tmp_path)
    await journal.append([event("c1", 1), event("c1", 1, tenant="martin")])
    await journal.forget([("martin", "c1")])
    await journal.close()
    found, journal = reopened(tmp_path)
    assert found == [event("c1", 1)]
    await journal.close()


async def test_segments_are_begun_when_full_and_deleted_when_no_call_in_them_is_remembered(tmp_path: Path) -> None:
    journal, _ = Journal.open(tmp_path, segment_bytes=1000)
    for n in range(10):
        await journal.append([event(f"c{n}", 1, b"x" * 400)])
    assert len(segments(tmp_path)) == 5
    await journal.forget([("dupont", f"c{n}") for n in range(8)])
    assert len(segments(tmp_path)) == 1
    await journal.close()
    found, journal = reopened(tmp_path)
    assert [record.call_id for record in found] == ["c8", "c9"]
    await journal.forget([("dupont", "c8"), ("dupont", "c9")])
    assert segments(tmp_path) == []
    assert segments(tmp_path, "forgotten") == []
    await journal.close()


async def test_a_long_call_does_not_hold_the_disk_of_others(tmp_path: Path) -> None:
    journal, _ = Journal.open(tmp_path, segment_bytes=200_000)
    long_call = [event("long", seq, b"y" * 100) for seq in (1, 2)]
    await journal.append([long_call[0]])
    for n in range(300):
        await journal.append([event(f"c{n}", 1, b"x" * 1000)])
        if n == 50:
            await journal.append([long_call[1]])
    await journal.forget([("dupont", f"c{n}") for n in range(300)])
    await journal.close()
    assert sum(path.stat().st_size for path in segments(tmp_path)) < 1000
    found, journal = reopened(tmp_path)
    assert found == long_call
    await journal.close()


async def test_a_torn_tail_is_cut_and_appending_goes_on(tmp_path: Path) -> None:
    await written(tmp_path, event("c1", 1), event("c1", 2))
    (path,) = segments(tmp_path)
    os.truncate(path, path.stat().st_size - 3)
    found, journal = reopened(tmp_path)
    assert found == [event("c1", 1)]
    assert [damage.torn for damage in journal.damages] == [True]
    await journal.append([event("c1", 2)])
    await journal.close()
    found, journal = reopened(tmp_path)
    assert found == [event("c1", 1), event("c1", 2)]
    assert journal.damages == ()
    await journal.close()


async def test_space_taken_ahead_is_no_damage(tmp_path: Path) -> None:
    await written(tmp_path, event("c1", 1))
    (path,) = segments(tmp_path)
    os.truncate(path, 4 << 20)
    found, journal = reopened(tmp_path)
    assert found == [event("c1", 1)]
    assert journal.damages == ()
    await journal.close()


async def test_a_damaged_middle_is_quarantined_and_reported_and_the_rest_is_salvaged(tmp_path: Path) -> None:
    await written(tmp_path, *(event("c1", seq, b"data %d" % seq) for seq in range(1, 6)))
    (path,) = segments(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"data 3")] ^= 1
    path.write_bytes(raw)
    found, journal = reopened(tmp_path)
    assert [record.seq for record in found] == [1, 2, 4, 5]
    (damage,) = journal.damages
    assert not damage.torn
    assert b"data 3"[1:] in damage.kept.read_bytes()
    await journal.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_flipped_bit_costs_at_most_the_record_it_hit_and_is_never_silent(tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "flip"
    for leftover in [*folder.glob("*.*"), *folder.glob("quarantine/*")]:
        if leftover.is_file():
            leftover.unlink()
    records = [event("c1", seq, b"x" * seq * 7) for seq in range(1, 8)]
    asyncio.run(written(folder, *records))
    (path,) = segments(folder)
    raw = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    path.write_bytes(raw)
    found, journal = reopened(folder)
    assert len(found) >= len(records) - 1
    assert [record for record in records if record in found] == found
    assert sum(damage.length for damage in journal.damages) > 0
    asyncio.run(journal.close())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_no_bytes_make_open_fail(tmp_path: Path, raw: bytes) -> None:
    folder = tmp_path / "any"
    folder.mkdir(exist_ok=True)
    (folder / "0000000001.journal").write_bytes(raw)
    found, journal = reopened(folder)
    assert found == []
    asyncio.run(journal.close())


async def test_a_full_disk_is_a_clear_error_and_loses_nothing_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, _ = Journal.open(tmp_path)
    await journal.append([event("c1", 1)])
    real = os.write

    def full(descriptor: int, data: memoryview) -> int:
        if len(data) > 20:
            return real(descriptor, data[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(JournalError, match="the disk is full"):
        await journal.append([event("c1", 2)])
    monkeypatch.setattr(os, "write", real)
    await journal.append([event("c1", 3)])
    await journal.close()
    found, journal = reopened(tmp_path)
    assert found == [event("c1", 1), event("c1", 3)]
    assert journal.damages == ()
    await journal.close()


async def test_a_folder_has_one_user(tmp_path: Path) -> None:
    journal, _ = Journal.open(tmp_path)
    with pytest.raises(JournalError, match="in use"):
        Journal.open(tmp_path)
    await journal.close()


async def test_a_stuck_disk_refuses_appends_rather_than_filling_memory(tmp_path: Path) -> None:
    journal, _ = Journal.open(tmp_path, max_pending_bytes=1000)
    first = asyncio.ensure_future(journal.append([event("c1", 1, b"x" * 800)]))
    await asyncio.sleep(0)
    with pytest.raises(JournalOverloaded):
        await journal.append([event("c2", 1, b"x" * 800)])
    await first
    await journal.append([event("c2", 1, b"x" * 800)])
    await journal.close()


async def test_a_record_that_is_too_large_is_refused(tmp_path: Path) -> None:
    journal, _ = Journal.open(tmp_path)
    with pytest.raises(ValueError, match="too large"):
        await journal.append([event("c1", 1, b"x" * (1 << 20) + b"x")])
    await journal.close()


async def test_reading_a_segment_gives_the_calls_asked_for(tmp_path: Path) -> None:
    journal, _ = Journal.open(tmp_path)
    await journal.append([event("c1", 1), event("c2", 1), event("c1", 2)])
    (number,) = journal.segments()
    assert await journal.read(number, frozenset({("dupont", "c1")})) == [event("c1", 1), event("c1", 2)]
    assert await journal.read(number + 1, frozenset({("dupont", "c1")})) == []
    await journal.close()


CHILD = """
import asyncio, os, random, sys
from carillon_media.adapters.journal import Journal, JournalRecord
folder, seed = sys.argv[1], int(sys.argv[2])
chance = random.Random(seed)

async def call(journal, name):
    for seq in range(1, 13):
        await journal.append([JournalRecord("event", "t", name, seq, b"d" * chance.randrange(400))])
        os.write(1, f"+ {name} {seq}\\n".encode())
    if chance.random() < 0.6:
        await journal.forget([("t", name)])
        os.write(1, f"- {name}\\n".encode())

async def main():
    journal, _ = Journal.open(folder, segment_bytes=8192)
    number = 0
    while True:
        await asyncio.gather(*(call(journal, f"{seed}-{number + n}") for n in range(8)))
        number += 8

asyncio.run(main())
"""


@pytest.mark.feature("M-13")
def test_after_kill_9_everything_acknowledged_is_there_and_everything_forgotten_is_not(tmp_path: Path) -> None:
    chance = random.Random(7)
    appended: dict[str, int] = {}
    forgotten: set[str] = set()
    for seed in range(5):
        with subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path), str(seed)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(chance.randrange(20, 1500))]
            child.kill()
            lines += child.stdout.read().splitlines(keepends=True)
        for line in lines:
            sign, name, *seq = line.decode().split()
            if sign == "+":
                appended[name] = int(seq[0])
            else:
                forgotten.add(name)
        found, journal = reopened(tmp_path)
        there: dict[str, list[int]] = {}
        for record in found:
            there.setdefault(record.call_id, []).append(record.seq)
        for name, last in appended.items():
            seqs = there.get(name, [])
            assert seqs == list(range(1, len(seqs) + 1)), "a gap"
            if name in forgotten:
                assert seqs == []
            elif last < 12 or seqs:  # at 12 its forgetting may have reached the disk, unacknowledged
                assert len(seqs) >= last
        assert not [damage for damage in journal.damages if not damage.torn]
        asyncio.run(journal.close())
    assert forgotten
    assert len(appended) > len(forgotten)


@pytest.mark.feature("P-8")
async def test_turned_over_it_keeps_no_byte_of_what_is_forgotten_before_or_after(tmp_path: Path) -> None:
    journal, _ = Journal.open(tmp_path)
    for call in ("gone", "going", "staying"):
        await journal.append([event(call, seq, f"secret of {call}".encode()) for seq in (1, 2)])
    await journal.forget([("dupont", "gone")])
    assert b"secret of gone" in b"".join(path.read_bytes() for path in segments(tmp_path))
    await journal.turn_over()
    assert b"secret of gone" not in b"".join(path.read_bytes() for path in segments(tmp_path))
    await journal.append([event("going", 3, b"after")])
    ends = len(segments(tmp_path))
    written = segments(tmp_path)[0].stat().st_ino
    await journal.forget([("dupont", "going")])
    assert segments(tmp_path)[0].stat().st_ino == written, "a file is written anew once for all that ends meanwhile"
    await journal.purge()
    assert len(segments(tmp_path)) == ends
    assert segments(tmp_path)[-1].read_bytes().count(b"after") == 1, "what is written now is not touched"
    left = b"".join(path.read_bytes() for path in segments(tmp_path)[:1])
    assert b"secret of going" not in left
    assert left.count(b"secret of staying") == 2
    await journal.close()
    found, journal = reopened(tmp_path)
    assert [(record.call_id, record.seq) for record in found] == [("staying", 1), ("staying", 2)]
    await journal.turn_over()
    await journal.close()
    assert len(reopened(tmp_path)[0]) == 2
