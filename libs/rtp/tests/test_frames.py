"""Whatever comes over the control socket is answered or refused; see `carillon_rtp.fuzzing`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carillon_rtp.fuzzing import TakesEverything, answer, frames
from carillon_rtp.sessions import Sessions

pytestmark = pytest.mark.feature("M-7")
REMOTE = {"ip": "192.0.2.7", "port": 4000, "codec": "PCMA", "telephone_event": 101, "send": True, "receive": True}
ORDERS: dict[str, dict[str, Any]] = {
    "open": {"session": "a", "port": None, "urgent": False, "ip_version": 4},
    "set_remote": {"session": "a", "remote": REMOTE},
    "restore": {"sessions": ["a"], "wanted": [{"session": "a", "port": 20_002, "remote": REMOTE}], "bridges": [["a", "b"]]},
    "bridge": {"session": "a", "other": "b"},
    "unbridge": {"session": "a"},
    "play": {"session": "a", "play_id": "p", "files": ["/x.wav"], "loop": False, "barge_in": True},
    "stop_play": {"session": "a"},
    "send_digits": {"session": "a", "digits_id": "d", "digits": "1#", "on_ms": 100, "off_ms": 100, "tones": False, "after": True},
    "detect": {"session": "a", "tones": ["dtmf"]},
    "record": {"session": "a", "recording_id": "r", "path": "/x.wav", "max_ms": 1, "silence_ms": 0, "finish_digits": "#", "sides": "mix"},
    "stop_record": {"session": "a"},
    "pause_record": {"session": "a", "paused": True},
    "list_sessions": {"after": "", "limit": 10},
    "adopt": {"sessions": ["a", "z"]},
    "open_room": {"room": "r", "entry_sound": None, "exit_sound": None, "music": None, "tell_talkers": True},
    "join": {"session": "a", "room": "r", "party": {"says": 1, "hears": 1, "gain_db": 0.0}, "silent": False},
    "leave": {"session": "a", "silent": True},
    "list_rooms": {},
    "tap": {"session": "b", "target": "a", "mode": "listen"},
    "untap": {"session": "b"},
    "session_statistics": {"session": "a"},
    "statistics": {},
    "close_room": {"room": "r"},
    "close": {"session": "a"},
}
SIMPLE = st.sampled_from([None, True, -1, 2**64 - 1, 1e300, "", "a", "r", "\x00", "x" * 500, [], {}, ["a"], [["a", "b"]], {"a": 1}])
VALUES = SIMPLE | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=8) | st.lists(SIMPLE, max_size=2)


@st.composite
def orders(draw: st.DrawFn) -> dict[str, Any]:
    """A command, as it should be but for perhaps one field."""
    name = draw(st.sampled_from(sorted(ORDERS)))
    fields = dict(ORDERS[name])
    if draw(st.booleans()) and fields:
        wrong = draw(st.sampled_from(sorted(fields)))
        if draw(st.booleans()):
            del fields[wrong]
        else:
            fields[wrong] = draw(VALUES)
    return {"id": draw(st.integers(0, 9)), "do": name, **fields}


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(orders() | st.dictionaries(st.text(max_size=6), VALUES, max_size=4), max_size=8))
def test_commands_with_anything_in_a_field_are_answered_or_refused(requests: list[dict[str, Any]]) -> None:
    core: Any = TakesEverything()
    sessions = Sessions(core, "192.0.2.1", lambda: 0, lambda text: None)
    for request in requests:
        answer(sessions, request)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200) | st.lists(VALUES, max_size=3).map(lambda values: b"".join(map(framed, values))))
def test_any_bytes_are_frames_or_are_refused(data: bytes) -> None:
    frames(data)


def framed(value: object) -> bytes:
    body = orjson.dumps(value)
    return len(body).to_bytes(4, "big") + body


def test_every_command_is_answered_as_it_should_be() -> None:
    core: Any = TakesEverything()
    sessions = Sessions(core, "192.0.2.1", lambda: 0, lambda text: None)
    assert answer(sessions, {"do": "open", "session": "b"}) == ""
    assert answer(sessions, {"do": "nothing"}) == answer(sessions, {"do": "open"}) == "bad_request"
    assert sessions.do({"do": "statistics"})["refused"] == {"bad_request": 2}
    refused = {name: code for name in ORDERS if (code := answer(sessions, {"do": name, **ORDERS[name]}))}
    assert refused == {}


def test_a_short_coverage_guided_run_finds_nothing(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    script = Path(__file__).parent.parent / "fuzz" / "frames.py"
    command = [sys.executable, str(script), "-runs=1000", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 1000 runs" in done.stderr
