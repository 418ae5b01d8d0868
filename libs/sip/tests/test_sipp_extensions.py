"""SIPp, a stranger's SIP, uses the extensions with us over real UDP sockets: no call may fail."""

import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from carillon_kit.embedded import free_port
from carillon_sip import Flow, Invite, InviteReceived, NameAddr, Output, RequestReceived, Send, SessionFailed, SessionReinvited, UserAgent
from carillon_sip.message_summary import CONTENT_TYPE, VoiceMessages, message_summary
from carillon_sip.outputs import ProvisionalAcked, ReferReceived, SubscribeReceived, SubscriptionEnded
from carillon_sip.testing import SDP, full_settings

pytestmark = pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPp is not installed")
SCENARIOS = Path(__file__).parent / "sipp"
CALLS = 10


class Shell:
    """A user agent with every extension on one socket; it answers what SIPp asks."""

    def __init__(self) -> None:
        self.agent = UserAgent(full_settings(event_packages=("message-summary",)), lambda: secrets.token_hex(12))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.local: tuple[str, int] = self.socket.getsockname()
        self.events: list[Output] = []

    def run(self, until: Callable[[], bool], seconds: float = 20.0) -> None:
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
            self.act()

    def act(self) -> None:
        while outputs := self.agent.drain():
            for output in outputs:
                if isinstance(output, Send):
                    self.socket.sendto(output.data, output.flow.remote)
                else:
                    self.events.append(output)
                    self.answer(output, time.monotonic())

    def answer(self, output: Output, now: float) -> None:
        agent = self.agent
        if isinstance(output, InviteReceived):
            if "100rel" in output.request.headers.all("require"):
                agent.ring(output.session, 183, body=SDP, now=now)
            agent.answer(output.session, SDP, now=now)
        elif isinstance(output, SessionReinvited):
            agent.accept_reinvite(output.session, SDP, now=now)
        elif isinstance(output, ReferReceived):
            agent.accept_refer(output.refer, now=now)
            agent.notify_refer(output.refer, 200, now=now)
        elif isinstance(output, SubscribeReceived):
            body = message_summary("sip:*97@example.com", VoiceMessages(1, 2))
            agent.accept_subscription(output.subscription, body, CONTENT_TYPE, now=now)
        elif isinstance(output, RequestReceived):
            agent.respond(output.transaction, 200, now=now)

    def of_kind(self, kind: type) -> list[Output]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def shell() -> Iterator[Shell]:
    shell = Shell()
    yield shell
    shell.socket.close()


def sipp(folder: Path, scenario: str, port: int, *arguments: str) -> subprocess.Popen[bytes]:
    command = ["sipp", *arguments, "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", "127.0.0.1", "-p", str(port), "-m", str(CALLS)]
    return subprocess.Popen(
        [*command, "-nostdin", "-timeout", "20", "-r", "50"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.mark.parametrize(
    ("scenario", "kind"),
    [
        pytest.param("prack", ProvisionalAcked, marks=pytest.mark.feature("M-3")),
        pytest.param("update", SessionReinvited, marks=pytest.mark.feature("M-3")),
        pytest.param("timer", InviteReceived, marks=pytest.mark.feature("M-3")),
        pytest.param("refer", ReferReceived, marks=pytest.mark.feature("M-4")),
        pytest.param("subscribe", SubscriptionEnded, marks=pytest.mark.feature("M-6")),
        pytest.param("message", RequestReceived, marks=pytest.mark.feature("M-15")),
    ],
)
def test_sipp_calls_us(shell: Shell, tmp_path: Path, scenario: str, kind: type) -> None:
    caller = sipp(tmp_path, scenario, free_port(), f"127.0.0.1:{shell.local[1]}")
    try:
        shell.run(lambda: caller.poll() is not None)
    finally:
        caller.kill()
        caller.wait()
    assert caller.returncode == 0, f"SIPp saw a failed call: {shell.events[-5:]}"
    assert len(shell.of_kind(kind)) == CALLS
    assert shell.agent.counts().sessions == shell.agent.counts().subscriptions == 0


@pytest.mark.feature("M-4")
def test_sipp_sends_our_calls_elsewhere(shell: Shell, tmp_path: Path) -> None:
    port = free_port()
    callee = sipp(tmp_path, "moved", port)
    try:
        for _ in range(CALLS):
            address = NameAddr.of(f"sip:service@127.0.0.1:{port}")
            ours = NameAddr.of(f"sip:us@127.0.0.1:{shell.local[1]}")
            flow = Flow("udp", shell.local, ("127.0.0.1", port))
            shell.agent.invite(Invite(flow, str(address.uri), ours, address, ours, SDP), now=time.monotonic())
        shell.act()
        shell.run(lambda: len(shell.of_kind(SessionFailed)) == CALLS)
    finally:
        callee.kill()
        callee.wait()
    for event in shell.of_kind(SessionFailed):
        assert isinstance(event, SessionFailed)
        assert [contact.uri.user for contact in event.contacts] == ["first", "second"]
