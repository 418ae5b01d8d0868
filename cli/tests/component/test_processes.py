import asyncio
import io
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from carillon_cli.errors import CliError
from carillon_cli.supervisor.lock import FolderLock, end_stale, find_stale, start_time, write_pids
from carillon_cli.supervisor.log import Log
from carillon_cli.supervisor.policy import RestartPolicy
from carillon_cli.supervisor.processes import Processes, ProcessSpec

pytestmark = pytest.mark.feature("P-4")
DEADLINE = 10


@pytest.fixture
async def processes(tmp_path: Path) -> AsyncIterator[Processes]:
    log = Log(tmp_path / "log", lambda: datetime.now(UTC), terminal=io.StringIO())
    found = Processes(log, RestartPolicy(delays=(0.0, 0.05)))
    yield found
    await found.stop()
    log.close()


def shell(name: str, script: str, **more: object) -> ProcessSpec:
    return ProcessSpec(name, ["/bin/sh", "-c", script], dict(os.environ), **more)  # type: ignore[arg-type]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.01)


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


async def test_what_is_killed_is_restarted_under_a_new_pid(processes: Processes) -> None:
    await processes.start(shell("cdr", "exec sleep 100"))
    first = processes.pids["cdr"]
    os.kill(first, signal.SIGKILL)
    await until(lambda: processes.pids.get("cdr", first) != first)
    assert start_time(processes.pids["cdr"]) is not None


async def test_the_death_of_one_leaves_the_other_alone(processes: Processes) -> None:
    await processes.start(shell("media", "exec sleep 100"))
    await processes.start(shell("media-plane", "exec sleep 100"))
    media, plane = processes.pids["media"], processes.pids["media-plane"]
    os.kill(media, signal.SIGKILL)
    await until(lambda: processes.pids.get("media", media) != media)
    assert processes.pids["media-plane"] == plane


async def test_a_restart_is_seen_even_when_a_grandchild_keeps_the_pipe_open(processes: Processes, tmp_path: Path) -> None:
    await processes.start(shell("postgres", f"sleep 100 & echo $! >> {tmp_path}/grandchildren; wait"))
    await until(lambda: len(lines(tmp_path / "grandchildren")) == 1)
    os.kill(processes.pids["postgres"], signal.SIGKILL)
    await until(lambda: len(lines(tmp_path / "grandchildren")) == 2)
    await processes.stop()
    for pid in map(int, lines(tmp_path / "grandchildren")):
        os.kill(pid, signal.SIGKILL)


async def test_groups_end_one_after_another(processes: Processes, tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = "trap 'sleep {pause}; echo {name} >> {told}; exit 0' TERM; echo up; while :; do sleep 0.02; done"
    for name, group, pause in (("postgres", 9, 0), ("cdr", 2, 0), ("media", 0, 0.2)):
        await processes.start(shell(name, script.format(name=name, told=told, pause=pause), stop_group=group))
    log = tmp_path / "log"
    await until(lambda: all(lines(log / f"{name}.log") for name in ("postgres", "cdr", "media")))
    await processes.stop()
    assert lines(told) == ["media", "cdr", "postgres"]
    assert processes.pids == {}


async def test_what_does_not_end_in_time_is_killed(processes: Processes, tmp_path: Path) -> None:
    await processes.start(shell("media", "trap '' TERM; echo up; while :; do sleep 0.02; done", stop_seconds=0.1))
    await until(lambda: bool(lines(tmp_path / "log" / "media.log")))
    pid = processes.pids["media"]
    await processes.stop()
    assert start_time(pid) is None


async def test_ready_is_what_the_process_says(processes: Processes) -> None:
    answers = iter([False, False, True])

    async def ready() -> bool:
        return next(answers)

    await processes.start(shell("cdr", "exec sleep 100", ready=ready))
    async with asyncio.timeout(DEADLINE):
        await processes.wait_ready("cdr")
    assert next(answers, None) is None


async def test_endless_output_without_line_ends_is_cut_not_kept(processes: Processes, tmp_path: Path) -> None:
    await processes.start(shell("cdr", "head -c 100000 /dev/zero | tr '\\0' x; echo; echo end; exec sleep 100"))
    await until(lambda: "end" in lines(tmp_path / "log" / "cdr.log"))


def test_a_folder_is_locked_once(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(CliError, match=f"already running in .*process {os.getpid()}"):
        FolderLock(tmp_path)
    lock.release()
    FolderLock(tmp_path).release()


def test_a_child_of_a_killed_supervisor_is_found_and_ended(tmp_path: Path) -> None:
    orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    write_pids(tmp_path, {"cdr": orphan.pid})
    (stale,) = find_stale(tmp_path)
    assert stale.pid == orphan.pid
    end_stale([stale], seconds=DEADLINE, pause=lambda seconds: None if orphan.poll() is not None else os.sched_yield())
    assert orphan.wait(DEADLINE) == -signal.SIGTERM
    assert find_stale(tmp_path) == []


def test_a_pid_that_belongs_to_another_process_now_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "processes.json").write_text(f'{{"cdr": {{"pid": {os.getpid()}, "started": 1}}}}')
    assert find_stale(tmp_path) == []


@pytest.mark.parametrize("content", ["", "[]", "{", '{"cdr": 1}'])
def test_a_damaged_note_of_children_is_no_note(tmp_path: Path, content: str) -> None:
    (tmp_path / "processes.json").write_text(content)
    assert find_stale(tmp_path) == []


async def test_what_a_child_writes_is_its_owners_alone(processes: Processes, tmp_path: Path) -> None:
    await processes.start(shell("voicemail", f"mkdir {tmp_path}/mail; touch {tmp_path}/mail/one; exec sleep 100"))
    await until(lambda: (tmp_path / "mail/one").exists())
    assert (tmp_path / "mail").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "mail/one").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o700
