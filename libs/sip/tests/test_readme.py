"""The user agent of the README, run as it is written, answers a stranger."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from carillon_kit.embedded import free_port

pytestmark = [pytest.mark.feature("M-1"), pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPp is not installed")]
README = Path(__file__).resolve().parents[1] / "README.md"
CALLS = 3


def test_the_user_agent_of_the_readme_has_40_lines_and_takes_calls(tmp_path: Path) -> None:
    written = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert written is not None
    assert len(written[1].splitlines()) <= 40
    port = free_port()
    agent = subprocess.Popen([sys.executable, "-c", written[1], str(port)], stdout=subprocess.PIPE, text=True)
    try:
        caller = ["sipp", f"127.0.0.1:{port}", "-sn", "uac", "-i", "127.0.0.1", "-m", str(CALLS), "-r", "10", "-d", "100", "-nostdin"]
        quiet = subprocess.DEVNULL
        assert subprocess.run([*caller, "-timeout", "60"], cwd=tmp_path, stdout=quiet, stdin=quiet, timeout=90, check=False).returncode == 0
        assert agent.stdout is not None
        told = [agent.stdout.readline().split()[0] for _ in range(2 * CALLS)]
    finally:
        agent.kill()
        agent.wait()
    assert sorted(told) == ["SessionAcked"] * CALLS + ["SessionEnded"] * CALLS
