"""A service's process, from outside: start, signals, deaths, exit codes."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from carillon_kit.lifecycle import Tasks

PROGRAM = """
import asyncio, sys
from contextlib import asynccontextmanager
from carillon_kit.lifecycle import Tasks, run
from carillon_kit.settings import ServiceSettings

def say(text):
    print(text, flush=True)

@asynccontextmanager
async def app(settings):
{body}

run("test", ServiceSettings, app)
"""


class Program:
    """A process under test."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, body: str, **environment: str) -> subprocess.Popen[str]:
        program = PROGRAM.format(body=textwrap.indent(textwrap.dedent(body), "    "))
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("CARILLON_")}
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**inherited, "CARILLON_TOKEN_KEY": "k" * 32, **environment},
        )
        self.processes.append(process)
        return process


@pytest.fixture
def program() -> Iterator[Program]:
    program = Program()
    yield program
    for process in program.processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_with_0(program: Program, number: signal.Signals) -> None:
    process = program.start("say('up')\ntry:\n    yield\nfinally:\n    await asyncio.sleep(0)\n    say('down')")
    assert line(process) == "up"
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out.strip()) == (0, "down")
    assert '"event":"stopped"' in err


def test_a_failed_start_is_one_clear_line_and_1(program: Program) -> None:
    process = program.start("raise ConnectionError('NATS cannot be had')\nyield")
    _, err = process.communicate(timeout=10)
    assert process.returncode == 1
    (only,) = err.strip().splitlines()
    assert "start failed" in only
    assert "ConnectionError: NATS cannot be had" in only


def test_wrong_settings_are_one_clear_line_and_1(program: Program) -> None:
    process = program.start("yield", CARILLON_TOKEN_KEY="short", CARILLON_SHUTDOWN_SECONDS="soon")
    _, err = process.communicate(timeout=10)
    assert process.returncode == 1
    (only,) = err.strip().splitlines()
    assert "CARILLON_TOKEN_KEY" in only
    assert "CARILLON_SHUTDOWN_SECONDS" in only
    assert "short" not in only.replace("at least", "")


def test_a_signal_during_the_start_ends_it_with_0(program: Program) -> None:
    process = program.start("say('starting')\ntry:\n    await asyncio.sleep(60)\n    yield\nfinally:\n    say('given up')")
    assert line(process) == "starting"
    process.terminate()
    out, _ = process.communicate(timeout=10)
    assert (process.returncode, out.strip()) == (0, "given up")


def test_a_background_task_that_dies_takes_the_process_with_it_in_order(program: Program) -> None:
    process = program.start("""
        async def work():
            await asyncio.sleep(0.05)
            raise RuntimeError("out of luck")
        async with Tasks() as tasks:
            tasks.start(work(), "worker")
            yield
        say("down")
        """)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "background task died" in err
    assert "out of luck" in err


def test_a_task_group_that_dies_ends_it_with_1(program: Program) -> None:
    process = program.start("""
        async def work():
            raise RuntimeError("out of luck")
        async with asyncio.TaskGroup() as group:
            group.create_task(work())
            yield
        """)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "out of luck" in err


def test_an_end_that_takes_too_long_is_cut_with_1(program: Program) -> None:
    process = program.start("say('up')\nyield\nawait asyncio.sleep(60)", CARILLON_SHUTDOWN_SECONDS="0.1")
    assert line(process) == "up"
    process.terminate()
    _, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "stop took too long" in err


async def test_tasks_outside_of_a_process_raise_when_the_group_is_left() -> None:
    async def die() -> None:
        raise RuntimeError("out of luck")

    async def leave() -> None:
        async with Tasks() as tasks:
            await asyncio.wait([tasks.start(die(), "dying")])

    with pytest.raises(RuntimeError, match="out of luck"):
        await leave()


async def test_tasks_are_cancelled_and_awaited_when_the_group_is_left() -> None:
    ended: list[Any] = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async with Tasks() as tasks:
        tasks.start(wait(), "waiting")
        await asyncio.sleep(0)
    assert ended == [True]
