"""What an embedded server is to a supervisor, and a small runner for tests.

Invariant: a server that `start()` ran is gone after `stop()`, and dies with the process that ran it.
"""

import asyncio
import contextlib
import ctypes
import errno
import itertools
import os
import random
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

_POLL_SECONDS = 0.02
_PR_SET_PDEATHSIG = 1
#: Above what Linux hands out to whoever asks for any port (ip_local_port_range), in an order of this process's own.
_EVERY = range(61_000, 65_500, 2)
_COUNT = len(_EVERY)
_PORTS = itertools.cycle(random.SystemRandom().sample(_EVERY, _COUNT))


class EmbeddedServer(ABC):
    """A server as a command line, a readiness check and the signals it knows."""

    #: What makes it stop fast and in order.
    stop_signal: ClassVar[signal.Signals]

    def __init__(self, folder: Path | str, port: int, host: str = "127.0.0.1") -> None:
        self.folder = Path(folder).absolute()
        self.host = host
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def prepare(self) -> None:
        """Make folders and write the configuration; may be repeated."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command line that runs the server in the foreground, logging to standard error."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it serves now; answers within a second."""

    def environment(self) -> Mapping[str, str]:
        """Environment variables to add for the command."""
        return {}

    async def wait_ready(self, timeout: float = 10.0) -> None:
        """Return once it serves; raises `TimeoutError`."""
        async with asyncio.timeout(timeout):
            while not await asyncio.to_thread(self.is_ready):  # noqa: ASYNC110  (a server outside of this process)
                await asyncio.sleep(_POLL_SECONDS)

    def reload(self, pid: int) -> None:
        """Rewrite the configuration and have the process `pid` read it."""
        self.prepare()
        os.kill(pid, signal.SIGHUP)

    @property
    def pid(self) -> int:
        """Of the server that `start()` runs."""
        if self._process is None:
            raise RuntimeError("not started here")
        return self._process.pid

    def run(self, timeout: float = 60.0) -> Self:
        """`start()` for who has no event loop; raises `RuntimeError` with the log's end when the server exits."""
        with socket.socket() as probe:
            if probe.connect_ex((self.host, self.port)) == 0:
                raise RuntimeError(f"{type(self).__name__}: address already in use: {self.host}:{self.port}")
        self.prepare()
        log = self.folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command(),
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=_die_with_parent,
            )
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{type(self).__name__} did not start: {log.read_text()[-2000:]}")
            time.sleep(_POLL_SECONDS)
        return self

    def close(self, timeout: float = 10.0) -> None:
        """`stop()` for who has no event loop."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(self.stop_signal)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """As `kill -9` does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    async def start(self) -> None:
        """Prepare, run, wait until ready."""
        # In the loop's own thread: the kernel ends the server when the thread that forked it ends.
        self.run()

    async def stop(self) -> None:
        """Stop in order, bounded."""
        await asyncio.to_thread(self.close)


def free_port(host: str = "127.0.0.1") -> int:
    """An even port that is free now for TCP and UDP. Another call in this process gives another one, and the kernel gives it to nobody who
    asks for any port, so that a server that is started again finds it free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in itertools.islice(_PORTS, _COUNT):
        with (
            contextlib.suppress(OSError),
            socket.socket(family, socket.SOCK_DGRAM) as datagrams,
            socket.socket(family, socket.SOCK_STREAM) as listener,
        ):
            datagrams.bind((host, port))
            listener.bind((host, port))
            return port
    raise OSError(errno.EADDRINUSE, f"no port is free on {host}")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
