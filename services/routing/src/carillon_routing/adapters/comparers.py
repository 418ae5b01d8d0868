"""Processes that follow past calls side by side, so that the one that decides live calls stays free for them.

Always: each holds at most `_AHEAD` frames of calls; whatever is waited for has a deadline; all of them end with the comparison, however
that ends.
"""

import asyncio
import os
import pickle
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

from carillon_contracts.config import Plan
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.errors import Unavailable
from carillon_routing.adapters.comparing import LENGTH_BYTES, Begin, Calls, End, Frame, Some, framed
from carillon_routing.domain.comparison import Counts, Found, together

#: Fewer calls than this are not worth another process.
_CALLS_EACH = 2_000
_AHEAD = 2
#: Processes at most where nothing else is set: a container may see the cores of a whole machine, but not have its memory.
_USUALLY = 4
#: Resources in a frame: some milliseconds of work.
_SOME = 250
#: For an answer; the first one comes after the whole configuration was read.
SECONDS = 120.0


class _Process:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._source, self._sink = process, process.stdout, process.stdin
        self.owes = 0

    async def tell(self, frame: bytes) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                self._sink.write(frame)
                await self._sink.drain()
        except (TimeoutError, ConnectionError) as error:
            raise _lost() from error

    async def ask(self, frame: Frame) -> None:
        await self.tell(framed(frame))
        self.owes += 1

    async def answer(self) -> object:
        try:
            async with asyncio.timeout(SECONDS):
                size = int.from_bytes(await self._source.readexactly(LENGTH_BYTES), "big")
                body = await self._source.readexactly(size)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError) as error:
            raise _lost() from error
        self.owes -= 1
        return pickle.loads(body)

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()

    async def gone(self) -> None:
        await self._process.wait()


def _lost() -> Unavailable:
    return Unavailable("past calls cannot be compared: a process that follows them has ended or does not answer")


class Comparers:
    """`add` calls, then `end`; `counts` lag a little behind."""

    def __init__(self, processes: Sequence[_Process], samples: int) -> None:
        self._processes = processes
        self._samples = samples
        self._frames = self._place = 0
        self.counts = Counts()

    async def add(self, calls: list[tuple[str, list[bytes]]]) -> None:
        """Deal them out; waits while everybody has enough to do. Raises `Unavailable`."""
        process = self._processes[self._frames % len(self._processes)]
        while process.owes >= _AHEAD:
            await self._count(process)
        await process.ask(Calls(self._place, calls))
        self._frames += 1
        self._place += len(calls)

    async def end(self) -> Found:
        """What was found of all. Raises `Unavailable`."""
        parts = []
        for process in self._processes:
            await process.ask(End())
        for process in self._processes:
            while process.owes > 1:
                await self._count(process)
            found = await process.answer()
            assert isinstance(found, Found)
            parts.append(found)
        return await asyncio.to_thread(together, parts, self._samples)

    async def _count(self, process: _Process) -> None:
        answer = await process.answer()
        if isinstance(answer, Counts):
            self.counts += answer


def processes_for(calls: int, most: int, cores: int) -> int:
    """As many processes as so many calls are worth, at most `most` (0: one a core, but few: each holds the whole configuration)."""
    return max(1, min(most or min(cores, _USUALLY), calls // _CALLS_EACH))


@asynccontextmanager
async def comparers(config: TenantConfig, plan: Plan, samples: int, calls: int, most: int) -> AsyncIterator[Comparers]:
    """`processes_for` these calls. Raises `Unavailable`."""
    count = processes_for(calls, most, len(os.sched_getaffinity(0)))
    processes: list[_Process] = []
    try:
        for _ in range(count):
            processes.append(_Process(await _started()))
        for frame in _configuration(config):
            for each in processes:
                await each.tell(frame)
            await asyncio.sleep(0)
        for each in processes:
            await each.ask(Begin(config.tenant_id, config.seq, plan.model_dump_json().encode(), samples))
        yield Comparers(processes, samples)
    finally:
        for each in processes:
            each.kill()
        for each in processes:
            await each.gone()


async def _started() -> asyncio.subprocess.Process:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CARILLON_")}
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", "from carillon_routing.adapters.comparing import main; main()"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
        )
    except OSError as error:
        raise Unavailable(f"past calls cannot be compared: no process can be started that follows them ({error.strerror})") from error


def _configuration(config: TenantConfig) -> Iterator[bytes]:
    for kind, every in config.resources.items():
        resources = list(every.values())
        for at in range(0, len(resources), _SOME):
            yield framed(Some(kind, [each.model_dump_json().encode() for each in resources[at : at + _SOME]]))
