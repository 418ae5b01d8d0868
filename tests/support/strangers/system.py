"""One `carillon up` for tests: started in a folder of its own on free ports, asked through its command line, ended by its process id."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from carillon_kit.clock import write_clock_file

BIN = Path(sys.executable).parent
READY_SECONDS = 180.0
STOP_SECONDS = 60.0


class NotInTime(AssertionError):
    """A condition did not come true before its deadline."""


def until(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Poll until the condition is truthy and return it; `NotInTime` names what was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > deadline:
            raise NotInTime(f"{what}: not within {seconds:g} s")
        time.sleep(0.05)


def has_ipv6() -> bool:
    """Whether this machine has ::1."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
        return True


class System:
    """A running Carillon with the example company; `run` is its run.json."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self.folder = folder
        self.process = process
        self.data = folder / "data"

    @classmethod
    def start(cls, *options: str) -> Self:
        """Start and wait until run.json stands; the log is in the error if it does not."""
        folder = Path(tempfile.mkdtemp(prefix="carillon-test-"))
        # The embedded Postgres runs as nobody when the tests run as root.
        folder.chmod(0o755)
        command = [str(BIN / "carillon"), "up", "--demo", "--ports", "auto", "--test-clock", "--data", str(folder / "data"), *options]
        with (folder / "up.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        system = cls(folder, process)
        try:
            until(lambda: system.run_file.exists() or process.poll() is not None, "run.json", READY_SECONDS)
            # The company is new to its phones: one that registers before this is told to fetch its settings.
            until(lambda: "were told to fetch their settings" in system.log() or process.poll() is not None, "check-sync", READY_SECONDS)
        except NotInTime:
            system.stop()
            raise
        if process.poll() is not None:
            raise AssertionError(f"carillon up ended with {process.returncode}:\n{system.log()}")
        return system

    @property
    def run_file(self) -> Path:
        return self.data / "run.json"

    @property
    def run(self) -> dict[str, Any]:
        """run.json as it is now; process ids change when something was restarted."""
        return dict(json.loads(self.run_file.read_text()))

    @property
    def tenant(self) -> dict[str, Any]:
        return dict(self.run["tenants"]["dupont"])

    @property
    def sip(self) -> tuple[str, int]:
        """Host and port of SIP over UDP."""
        host, port = self.run["sip"]["udp"].rsplit(":", 1)
        return host, int(port)

    def address(self, transport: str) -> tuple[str, int]:
        """Host and port of SIP over udp, tcp, tls, udp6, tcp6, tls6."""
        host, port = self.run["sip"][transport].rsplit(":", 1)
        return host.strip("[]"), int(port)

    def user(self, extension: str) -> dict[str, Any]:
        return next(user for user in self.tenant["users"] if user["extension"] == extension)

    def log(self) -> str:
        return (self.folder / "up.log").read_text(errors="replace")

    def carillon(self, *arguments: str, code: int | None = 0) -> str:
        """Run a subcommand against this system; its output. `code`: the exit code that must come."""
        command = [str(BIN / "carillon"), *arguments, "--data", str(self.data)]
        here = os.environ | {"CARILLON_TENANT": "dupont"}  # tests beside may have brought tenants of their own
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=here)
        assert code is None or done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def clock(self, moment: str) -> None:
        """Set the time that routing goes by: `2026-11-24T10:15+01:00`."""
        write_clock_file(self.run["test_clock"], datetime.fromisoformat(moment))

    def records(self) -> list[dict[str, Any]]:
        """Every record, newest first."""
        return [json.loads(line) for line in self.carillon("records", "--json").splitlines()]

    def new_records(self, known: set[str], count: int, seconds: float = 30.0) -> list[dict[str, Any]]:
        """The records that are not among the known call ids, once there are at least `count`."""

        def found() -> list[dict[str, Any]]:
            fresh = [record for record in self.records() if record["call_id"] not in known]
            return fresh if len(fresh) >= count else []

        return list(until(found, f"{count} new records", seconds))

    def call_ids(self) -> set[str]:
        return {record["call_id"] for record in self.records()}

    def kill(self, name: str) -> int:
        """kill -9 one process of this system; its process id."""
        pid = int(self.run["processes"][name])
        os.kill(pid, signal.SIGKILL)
        return pid

    def until_restarted(self, name: str, old: int, seconds: float = 60.0) -> None:
        """Wait until run.json shows another process id."""
        until(lambda: self.run_file.exists() and self.run["processes"].get(name) not in (None, old), f"{name} restarted", seconds)

    def stop(self) -> int:
        """End it in order; its exit code. What does not end is killed, which is an error."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        return int(self.process.returncode)

    def forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
