"""A service's process: ordered start, wait for a signal, ordered stop, meaningful exit code.

Invariant: the process ends with 0 only when it was asked to end and everything was put down in time; a background task that dies
takes the process with it, so that the supervisor sees it.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from typing import Any, NoReturn, Self, TypeVar

import uvloop
from pydantic import ValidationError

from carillon_kit import grpc_poller, logs, telemetry
from carillon_kit.settings import ServiceSettings

S = TypeVar("S", bound=ServiceSettings)
_log = logs.get_logger(__name__)
_FAILED = 1
#: What was made and not freed before the collector looks for circles: there are hardly any, and a call keeps some hundred objects while it
#: lasts, each of which would be looked at in vain.
_COLLECT_AFTER = (100_000, 20, 50)


class _Process:
    """What may end the process: a signal, or the first background task that died."""

    def __init__(self, main: "asyncio.Task[Any]") -> None:
        self.main = main
        self.started = False
        self.ended = asyncio.Event()
        self.failure: BaseException | None = None

    def signalled(self) -> None:
        if not self.ended.is_set():
            self.ended.set()
            if not self.started:
                self.main.cancel()

    def failed(self, error: BaseException) -> None:
        self.failure = self.failure or error
        self.signalled()


_process: ContextVar[_Process | None] = ContextVar("carillon_process", default=None)


def run(name: str, settings_factory: Callable[[], S], app: Callable[[S], AbstractAsyncContextManager[None]]) -> NoReturn:
    """For `__main__`: enter `app(settings)`, wait for SIGTERM or SIGINT, leave it within `shutdown_seconds`, exit.

    Exit code 0 after an ordered end; 1 when settings are wrong, the start failed, a background task died or the end took too long.
    """
    try:
        settings = settings_factory()
    except ValidationError as error:
        reasons = "; ".join(f"CARILLON_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors(include_input=False))
        sys.stderr.write(f"{name}: settings: {reasons}\n")
        sys.exit(_FAILED)
    logs.configure(name, settings)
    telemetry.configure(name, settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(serve(name, settings, app))
    telemetry.shutdown()
    sys.exit(code)


def ask_to_end() -> None:
    """End this process in order, as SIGTERM does. Outside of `run` (in tests) nothing happens."""
    process = _process.get()
    if process is not None:
        process.signalled()


async def serve(name: str, settings: S, app: Callable[[S], AbstractAsyncContextManager[None]]) -> int:
    """What `run` does inside the loop; returns the exit code."""
    main = asyncio.current_task()
    assert main is not None
    process = _Process(main)
    _process.set(process)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, process.signalled)
    limit = asyncio.timeout(None)
    grpc_poller.start()
    try:
        async with limit, app(settings):
            process.started = True
            gc.collect()
            gc.freeze()
            gc.set_threshold(*_COLLECT_AFTER)
            _log.info("ready")
            await process.ended.wait()
            _log.info("stopping")
            limit.reschedule(loop.time() + settings.shutdown_seconds)
    except asyncio.CancelledError:
        if process.failure is None and not process.ended.is_set():
            raise
    except Exception as error:  # noqa: BLE001  (the process's outermost edge)
        return _explain(process, limit, error)
    if process.failure is not None:
        return _FAILED
    _log.info("stopped")
    return 0


def _explain(process: _Process, limit: asyncio.Timeout, error: Exception) -> int:
    if limit.expired():
        _log.error("stop took too long")
    elif not process.started:
        _log.critical("start failed", error=f"{type(error).__name__}: {error}")
    else:
        _log.critical("stopped by an error", exc_info=error)
    return _FAILED


class Tasks:
    """Background tasks that must not die: `async with Tasks() as tasks: tasks.start(coroutine, name)`.

    A task that raises ends the process through `run`; outside of `run` (in tests) its error is raised when the group is left.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    def start(self, coroutine: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        """Run in the background; returning is an ordinary end, raising ends the process, loudly."""
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Cancel what still runs and wait for it; raises the first failure if there was one and nothing else is being raised."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._failure is not None and kind is None:
            raise self._failure

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        _log.critical("background task died", task=task.get_name(), exc_info=error)
        self._failure = self._failure or error
        process = _process.get()
        if process is not None:
            process.failed(error)
