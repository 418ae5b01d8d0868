import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from carillon_cli.supervisor.log import BoundedFile, Log, render, worth_showing

pytestmark = pytest.mark.feature("P-4")
NOW = datetime(2026, 11, 24, 9, 15, 1, 123456, tzinfo=UTC)


def test_a_json_line_becomes_a_readable_one() -> None:
    line = json.dumps(
        {"event": "call started", "level": "info", "timestamp": "2026-11-24T09:15:00.500000Z", "call_id": "c1", "who": "M. Dupont"}
    )
    assert render("media", line, NOW, colour=False) == '09:15:00.500 media       INFO    call started  call_id=c1 who="M. Dupont"'


def test_a_plain_line_is_shown_as_it_is_with_the_time_of_now() -> None:
    assert render("nats", "Server is ready", NOW, colour=False) == "09:15:01.123 nats        INFO    Server is ready"


def test_a_line_that_only_looks_like_json_is_plain() -> None:
    assert render("nats", "{broken", NOW, colour=False).endswith("INFO    {broken")


def test_a_trace_follows_indented() -> None:
    line = json.dumps({"event": "oh", "level": "error", "exception": "Traceback\n  boom"})
    assert render("cdr", line, NOW, colour=False).splitlines()[1:] == ["    Traceback", "      boom"]


def test_colours_only_where_they_are_wanted() -> None:
    assert "\x1b[" in render("cdr", "x", NOW, colour=True)
    assert "\x1b[" not in render("cdr", "x", NOW, colour=False)


def test_a_file_is_put_aside_when_it_is_full(tmp_path: Path) -> None:
    file = BoundedFile(tmp_path / "a.log", max_bytes=30)
    for number in range(10):
        file.write(f"line {number}".encode())
    file.close()
    kept = (tmp_path / "a.log.1").read_text() + (tmp_path / "a.log").read_text()
    assert kept.endswith("line 9\n")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 60


def test_lines_go_to_the_terminal_and_to_the_service_s_file(tmp_path: Path) -> None:
    terminal = io.StringIO()
    log = Log(tmp_path, lambda: NOW, terminal=terminal)
    log.line("media", b'{"event": "up"}\n')
    log.say("ready", seconds=3.5)
    log.close()
    assert terminal.getvalue().splitlines() == [
        "09:15:01.123 media       INFO    up",
        "09:15:01.123 carillon    INFO    ready  seconds=3.5",
    ]
    assert (tmp_path / "media.log").read_text() == '{"event": "up"}\n'


def test_a_terminal_that_has_gone_does_not_stop_the_log(tmp_path: Path) -> None:
    terminal = io.StringIO()
    log = Log(tmp_path, lambda: NOW, terminal=terminal)
    terminal.close()
    for _ in range(3):
        log.line("media", b"x")
    log.close()
    assert (tmp_path / "media.log").read_text() == "x\nx\nx\n"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("[17739] 2026/11/22 07:44:06.720034 [WRN] Slow consumer", "WARNING Slow consumer"),
        ("2026-11-22 07:44:07.514 UTC [17833] LOG:  starting PostgreSQL", "INFO    starting PostgreSQL"),
        ("2026-11-22 07:44:06,805 ERROR carillon.media-plane no port", "ERROR   no port"),
    ],
)
def test_the_level_of_other_programs_lines_is_understood(line: str, shown: str) -> None:
    assert render("nats", line, NOW, colour=False).endswith(shown)


def test_of_the_servers_behind_the_services_only_troubles_are_shown() -> None:
    assert not worth_showing("nats", "[1] 2026/11/22 07:44:06.7 [INF] Server is ready")
    assert worth_showing("nats", "[1] 2026/11/22 07:44:06.7 [ERR] disk full")
    assert worth_showing("media", "2026-11-22 07:44:06,805 INFO carillon.media ready")
