"""A short run of each coverage-guided target, where atheris is installed (`make fuzz` installs it)."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris")


@pytest.mark.parametrize("target", ["message", "stream", "sdp", "uri", "digest", "headers", "user_agent"])
def test_a_short_run_finds_nothing(target: str, tmp_path: Path) -> None:
    command = [sys.executable, str(Path(__file__).with_name("fuzz_targets.py")), target, "-runs=1000", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 1000 runs" in done.stderr
