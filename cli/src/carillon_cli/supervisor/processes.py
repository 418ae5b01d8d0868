"""The shell of the supervisor: starts processes, reads what they write, restarts what dies, ends all in order.

Always: it signals only processes that it started itself and that have not been waited for; every wait has a deadline.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

from carillon_cli.supervisor.log import MAX_LINE, Log
from carillon_cli.supervisor.policy import Action, Child, Input, RestartPolicy, State, step, stop_groups

#: How often a process that is not ready yet is asked.
READY_POLL = 0.05
ADMINISTRATORS = frozenset({"CARILLON_POSTGRES_DSN", "CARILLON_NATS_URL"})
READY_DEADLINE = 2.0
#: How long what a dead process wrote is read on where a grandchild keeps the pipe open.
LAST_WORDS = 0.1


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process to keep running: how to start it, how to know that it is ready, how and when to end it."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    #: Answers whether it serves now; None: ready once it runs.
    ready: Callable[[], Awaitable[bool]] | None = None
    #: Groups end one after another, lowest first.
    stop_group: int = 0
    stop_signal: signal.Signals = signal.SIGTERM
    #: Seconds between the signal and SIGKILL.
    stop_seconds: float = 10.0


@dataclass(slots=True)
class _Running:
    spec: ProcessSpec
    child: Child = field(default_factory=Child)
    process: asyncio.subprocess.Process | None = None
    output: asyncio.StreamReader | None = None
    pipe: asyncio.BaseTransport | None = None
    watcher: asyncio.Task[None] | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class Processes:
    """The children. `changed` is called after each start and each death (pids differ)."""

    def __init__(self, log: Log, policy: RestartPolicy, changed: Callable[[], None] = lambda: None) -> None:
        self._log, self._policy, self._changed = log, policy, changed
        self._all: dict[str, _Running] = {}

    @property
    def pids(self) -> dict[str, int]:
        """Name -> pid of those that run now."""
        return {name: running.process.pid for name, running in self._all.items() if running.process is not None}

    @property
    def children(self) -> dict[str, Child]:
        """Name -> its life so far."""
        return {name: running.child for name, running in self._all.items()}

    async def start(self, spec: ProcessSpec) -> None:
        """Start a process and keep it running until `stop`."""
        self._all[spec.name] = running = _Running(spec)
        await self._feed(running, Input.START)
        running.watcher = asyncio.create_task(self._watch(running), name=f"watch {spec.name}")

    async def ready(self, name: str) -> bool:
        """Whether the process runs and says that it serves."""
        running = self._all[name]
        if running.process is None:
            return False
        if running.spec.ready is None:
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_DEADLINE):
                return await running.spec.ready()
        return False

    async def wait_ready(self, name: str) -> None:
        """Return once the process is ready; the caller sets the deadline."""
        while not await self.ready(name):  # noqa: ASYNC110 - another process is asked, nothing here can be awaited
            await asyncio.sleep(READY_POLL)

    async def stop(self) -> None:
        """End all in the order of their groups; kill what does not end in its time."""
        for group in stop_groups({name: running.spec.stop_group for name, running in self._all.items()}):
            await asyncio.gather(*(self._stop_one(self._all[name]) for name in group))

    async def _stop_one(self, running: _Running) -> None:
        await self._feed(running, Input.STOP)
        if running.child.state is State.STOPPING:
            try:
                async with asyncio.timeout(running.spec.stop_seconds):
                    await running.gone.wait()
            except TimeoutError:
                self._log.say(f"{running.spec.name} did not end within {running.spec.stop_seconds:g} s and is killed", "warning")
                self._signal(running, signal.SIGKILL)
                await running.gone.wait()
        if running.watcher is not None:
            running.watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running.watcher

    async def _feed(self, running: _Running, happened: Input) -> None:
        running.child, action = step(running.child, happened, monotonic(), self._policy)
        match action:
            case Action.SPAWN:
                await self._spawn(running)
            case Action.TERMINATE:
                self._signal(running, running.spec.stop_signal)
            case _:
                pass

    async def _spawn(self, running: _Running) -> None:
        running.gone.clear()
        # A pipe of our own: asyncio's `wait` would also wait for grandchildren that keep its pipe open.
        reading, writing = os.pipe()
        running.output = asyncio.StreamReader(limit=MAX_LINE)
        try:
            running.process = await asyncio.create_subprocess_exec(
                *running.spec.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                env=dict(running.spec.environment),
                # What they keep (recordings, messages, e-mails) is nobody else's to read.
                umask=0o077,
                # Ctrl-C reaches the terminal's whole process group; the order of stopping is ours, so children have their own.
                start_new_session=True,
            )
        finally:
            os.close(writing)
        reader = running.output
        running.pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", 0)
        )
        self._changed()

    async def _watch(self, running: _Running) -> None:
        """Read, wait, restart, for as long as the process is wanted."""
        while running.process is not None and running.output is not None:
            reading = asyncio.create_task(self._read(running.spec.name, running.output))
            code = await running.process.wait()
            await asyncio.wait({reading}, timeout=LAST_WORDS)
            reading.cancel()
            if running.pipe is not None:
                running.pipe.close()
            running.process = None
            running.gone.set()
            await self._feed(running, Input.EXITED)
            self._changed()
            if running.child.state is not State.BACKING_OFF:
                return
            wait = running.child.delay
            self._log.say(f"{running.spec.name} has died ({_how(code)}), restarting{f' in {wait:g} s' if wait else ''}", "warning")
            await asyncio.sleep(wait)
            await self._feed(running, Input.DELAY_OVER)

    async def _read(self, name: str, output: asyncio.StreamReader) -> None:
        while line := await _line(output):
            self._log.line(name, line)

    def _signal(self, running: _Running, number: signal.Signals) -> None:
        if running.process is not None and running.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                running.process.send_signal(number)


async def _line(stream: asyncio.StreamReader) -> bytes:
    """The next line, or what fits when there is no line end; empty at the end."""
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await stream.read(max(error.consumed, 1))


def _how(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


def base_environment() -> dict[str, str]:
    """What every child inherits: this process's environment, but for the addresses that hold an administrator's password."""
    return {key: value for key, value in os.environ.items() if key not in ADMINISTRATORS}
