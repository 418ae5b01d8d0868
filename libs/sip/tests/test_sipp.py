"""SIPp, a stranger's SIP, calls us and is called by us over real UDP sockets: no call may fail."""

import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from carillon_kit.embedded import free_port
from carillon_sip import (
    Flow,
    Invite,
    InviteReceived,
    NameAddr,
    Output,
    Send,
    SessionAcked,
    SessionAnswered,
    SessionEnded,
    SessionFailed,
    UserAgent,
    UserAgentSettings,
)
from carillon_sip.testing import SDP

pytestmark = [pytest.mark.feature("M-1"), pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPp is not installed")]
CALLS = 50


class Shell:
    """The smallest shell: one socket, one timer, a deadline for everything."""

    def __init__(self) -> None:
        self.agent = UserAgent(UserAgentSettings(), lambda: secrets.token_hex(12))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.local: tuple[str, int] = self.socket.getsockname()
        self.events: list[Output] = []

    def run(self, handle: Callable[[Output], None], until: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, f"not done after {seconds} s: {self.events[-5:]}"
            self.socket.settimeout(0.02)
            try:
                data, source = self.socket.recvfrom(65536)
            except TimeoutError:
                self.agent.handle_timer(time.monotonic())
            else:
                self.agent.receive(data, Flow("udp", self.local, source), time.monotonic())
            self.act(handle)

    def act(self, handle: Callable[[Output], None]) -> None:
        while outputs := self.agent.drain():
            for output in outputs:
                if isinstance(output, Send):
                    self.socket.sendto(output.data, output.flow.remote)
                else:
                    self.events.append(output)
                    handle(output)

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.events)


@pytest.fixture
def shell() -> Iterator[Shell]:
    shell = Shell()
    yield shell
    shell.socket.close()


def sipp(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = ["sipp", *arguments, "-i", "127.0.0.1", "-m", str(CALLS), "-nostdin", "-timeout", "20"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_sipp_calls_us(shell: Shell, tmp_path: Path) -> None:
    agent = shell.agent

    def handle(output: Output) -> None:
        if isinstance(output, InviteReceived):
            agent.ring(output.session, now=time.monotonic())
            agent.answer(output.session, SDP, now=time.monotonic())

    caller = sipp(tmp_path, "-sn", "uac", f"127.0.0.1:{shell.local[1]}", "-p", str(free_port()), "-r", "100", "-d", "20")
    try:
        shell.run(handle, lambda: caller.poll() is not None, 25)
    finally:
        caller.kill()
    assert caller.wait() == 0
    assert shell.count(SessionAcked) == shell.count(SessionEnded) == CALLS
    assert agent.counts().sessions == 0


def test_we_call_sipp(shell: Shell, tmp_path: Path) -> None:
    agent, port = shell.agent, free_port()

    def handle(output: Output) -> None:
        if isinstance(output, SessionAnswered):
            agent.bye(output.session, now=time.monotonic())

    callee = sipp(tmp_path, "-sn", "uas", "-p", str(port))
    try:
        for _ in range(CALLS):
            address = NameAddr.of(f"sip:service@127.0.0.1:{port}")
            ours = NameAddr.of(f"sip:us@127.0.0.1:{shell.local[1]}")
            flow = Flow("udp", shell.local, ("127.0.0.1", port))
            agent.invite(Invite(flow, str(address.uri), ours, address, ours, SDP), now=time.monotonic())
        shell.act(handle)
        shell.run(handle, lambda: shell.count(SessionEnded) + shell.count(SessionFailed) == CALLS, 20)
    finally:
        callee.kill()
        callee.wait()
    assert shell.count(SessionEnded) == CALLS
