"""One readable log of all processes: a line per event with the service's name, on the terminal and in bounded files.

Always: rendering is pure; a terminal that does not read cannot stop the services (lines for it are dropped, the files keep them).
"""

import json
import queue
import re
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

NAME_WIDTH = 11
#: Lines that wait for a slow terminal.
PENDING = 5_000
MAX_FILE_BYTES = 10 * 1024 * 1024
#: A process that writes without line ends is cut here.
MAX_LINE = 16_384
COLOURS = {
    name: f"\x1b[{code}m"
    for name, code in zip(
        ("carillon", "directory", "routing", "media", "media-plane", "plane-spare", "voicemail", "cdr", "nats", "postgres"),
        (1, 36, 35, 32, 92, 92, 34, 33, 90, 90),
        strict=True,
    )
}
LEVEL_COLOURS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31;1m"}
RESET = "\x1b[0m"
#: Fields of a JSON line that have a place of their own or say nothing to a person.
PLACED = frozenset(
    {"event", "message", "msg", "level", "timestamp", "time", "service", "logger", "node", "trace_id", "span_id", "exception"}
)
#: What is no JSON: nats-server, Postgres, and the standard library's logging.
PLAIN = (
    re.compile(r"\[\d+\] \S+ \S+ \[(?P<level>[A-Z]{3})\] ?(?P<text>.*)"),
    re.compile(r"\S+ \S+ \S+ \[\d+\] (?P<level>[A-Z]+):  ?(?P<text>.*)"),
    re.compile(r"\d{4}-\d\d-\d\d \S+ (?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) (?:carillon\.\S+ )?(?P<text>.*)"),
)
LEVEL_NAMES = {"INF": "info", "WRN": "warning", "ERR": "error", "FTL": "critical", "DBG": "debug", "LOG": "info", "FATAL": "error"}
#: Of these only warnings and worse are worth a person's time; their files have everything.
BACKSTAGE = frozenset({"nats", "postgres"})
#: Said at every start of an embedded server, and as meant.
EXPECTED = ("Plaintext passwords detected",)


def value_text(value: Any) -> str:
    """`key=value` values: strings with spaces are quoted."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if not value or " " in value or "\n" in value else value
    return json.dumps(value, ensure_ascii=False, default=str)


def fields(line: str) -> Mapping[str, Any] | None:
    """The JSON object of a line, or None when it is plain text."""
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def plain(line: str) -> Mapping[str, Any]:
    """A line that is no JSON: level and text where it is of a known kind."""
    for kind in PLAIN:
        if (found := kind.match(line)) is not None:
            return {"level": LEVEL_NAMES.get(found["level"], found["level"]), "event": found["text"]}
    return {"event": line}


def clock_text(found: Mapping[str, Any], now: datetime) -> str:
    """`HH:MM:SS.mmm` of the line's own time stamp in UTC, else of `now`."""
    try:
        moment = datetime.fromisoformat(str(found.get("timestamp") or found.get("time"))).astimezone(UTC)
    except ValueError:
        moment = now
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"


def render(name: str, line: str, now: datetime, *, colour: bool) -> str:
    """One line of a process as a person reads it; a trace that came with it follows indented."""
    found = fields(line) or plain(line)
    level = str(found.get("level", "info")).upper()
    text = str(found.get("event") or found.get("message") or found.get("msg") or "")
    more = " ".join(f"{key}={value_text(value)}" for key, value in found.items() if key not in PLACED)
    head, shown = f"{name:<{NAME_WIDTH}}", f"{level:<7}"
    if colour:
        head = f"{COLOURS.get(name, '')}{head}{RESET}"
        shown = f"{LEVEL_COLOURS.get(level, '')}{shown}{RESET}"
    rendered = f"{clock_text(found, now)} {head} {shown} {text}{'  ' + more if more else ''}"
    trace = str(found.get("exception") or "").rstrip()
    return rendered + "".join(f"\n    {part}" for part in trace.splitlines())


def worth_showing(name: str, line: str) -> bool:
    """Whether a line belongs on the terminal."""
    found = fields(line) or plain(line)
    quiet = str(found.get("level", "info")).lower() in ("debug", "info", "detail", "hint", "statement")
    return not (name in BACKSTAGE and (quiet or str(found.get("event", "")).startswith(EXPECTED)))


class BoundedFile:
    """A log file that is put aside as `.1` when it grows past a size, so that two of them at most exist."""

    def __init__(self, path: Path, max_bytes: int = MAX_FILE_BYTES) -> None:
        self._path, self._max_bytes = path, max_bytes
        self._file = path.open("ab")

    def write(self, line: bytes) -> None:
        """Append a line; it is in the system's cache when this returns."""
        if self._file.tell() + len(line) > self._max_bytes:
            self._file.close()
            self._path.replace(self._path.with_name(self._path.name + ".1"))
            self._file = self._path.open("ab")
        self._file.write(line + b"\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class Log:
    """Where all lines go. `show` False keeps INFO and below off the terminal."""

    def __init__(self, folder: Path, now: Callable[[], datetime], *, terminal: TextIO = sys.stdout, show: bool = True) -> None:
        self._folder, self._now, self._terminal, self._show = folder, now, terminal, show
        self._colour = terminal.isatty()
        self._files: dict[str, BoundedFile] = {}
        self._pending: queue.Queue[str | None] = queue.Queue(PENDING)
        self.last: dict[str, list[str]] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._writer = threading.Thread(target=self._drain, name="log", daemon=True)
        self._writer.start()

    def line(self, name: str, raw: bytes) -> None:
        """One line of a process."""
        raw = raw[:MAX_LINE].rstrip(b"\r\n")
        if not raw:
            return
        text = raw.decode(errors="replace")
        if name not in self._files:
            self._files[name] = BoundedFile(self._folder / f"{name}.log")
        self._files[name].write(raw)
        kept = self.last.setdefault(name, [])
        kept.append(text)
        del kept[:-20]
        if self._show and worth_showing(name, text):
            self._put(render(name, text, self._now(), colour=self._colour))

    def say(self, text: str, level: str = "info", **more: object) -> None:
        """A line of the supervisor itself."""
        self.line("carillon", json.dumps({"level": level, "event": text, **more}, default=str).encode())

    def close(self) -> None:
        """Write what waits (2 s at most) and close the files."""
        self._put(None)
        self._writer.join(2)
        for file in self._files.values():
            file.close()

    def _put(self, text: str | None) -> None:
        try:
            self._pending.put_nowait(text)
        except queue.Full:
            if text is None:
                self._pending.get_nowait()
                self._pending.put_nowait(None)

    def _drain(self) -> None:
        while (text := self._pending.get()) is not None:
            try:
                self._terminal.write(text + "\n")
                if self._pending.empty():
                    self._terminal.flush()
            except (OSError, ValueError):
                return
