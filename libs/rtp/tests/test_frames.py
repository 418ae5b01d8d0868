"""Whatever comes over the control socket is answered or refused; see `carillon_rtp.fuzzing`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carillon_rtp.fuzzing import ORDERS, answer, frames, on_nothing
from carillon_rtp.protocol import encode

pytestmark = pytest.mark.feature("M-7")
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
    sessions = on_nothing()
    for request in requests:
        answer(sessions, request)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200) | st.lists(VALUES, max_size=3).map(lambda values: b"".join(map(encode, values))))
def test_any_bytes_are_frames_or_are_refused(data: bytes) -> None:
    frames(data)


def test_every_command_is_answered_as_it_should_be() -> None:
    sessions = on_nothing()
    assert answer(sessions, {"do": "open", "session": "b"}) == ""
    assert answer(sessions, {"do": "nothing"}) == answer(sessions, {"do": "open"}) == "bad_request"
    assert sessions.do({"do": "statistics"})["refused"] == {"bad_request": 2}
    refused = {name: code for name in ORDERS if (code := answer(sessions, {"do": name, **ORDERS[name]}))}
    assert refused == {}


@pytest.mark.parametrize("limit", [0, -1, -(2**63)])
def test_a_page_of_no_sessions_is_refused(limit: int) -> None:
    sessions = on_nothing()
    for name in "abc":
        assert answer(sessions, {"do": "list_sessions", "after": "", "limit": limit}) == "bad_request"
        assert answer(sessions, {"do": "open", "session": name}) == ""
    page = sessions.do({"do": "list_sessions", "after": "", "limit": 2})
    assert ([session["session"] for session in page["sessions"]], page["next"]) == (["a", "b"], "b")


def test_a_short_coverage_guided_run_finds_nothing(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    script = Path(__file__).parent.parent / "fuzz" / "frames.py"
    command = [sys.executable, str(script), "-runs=1000", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 1000 runs" in done.stderr
