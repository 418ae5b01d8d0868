"""Carriers as SIPp plays them: registrars, challenges, silence, overload, pings, calls at our registered contact, limits."""

import asyncio
import contextlib
import re
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from carillon.media.v1 import media_pb2 as pb
from carillon.media.v1.media_pb2_grpc import TrunkStateServiceStub
from carillon_contracts.config import TRUNK_PASSWORDS
from carillon_kit.auth import ADMIN, issue_token
from carillon_kit.embedded import free_port
from carillon_kit.grpc_client import channel
from carillon_kit.sealing import Sealer
from carillon_kit.testing import eventually
from carillon_media.domain import trunk_health
from carillon_rtp.client import PlaneClient
from carillon_rtp.protocol import Overloaded
from carillon_rtp.values import MediaAddress
from carillon_sip import SessionAnswered, SessionFailed
from strangers.sipp import taken

pytestmark = [
    pytest.mark.feature("M-2"),
    pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed"),
]
SCENARIOS = Path(__file__).parent / "sipp"
KEY = "k" * 40
HOST = "127.0.0.2"
OUTSIDE = "+41791234567"


class Carrier:
    """A SIPp at one port of the carrier's host, and everything that it heard and said."""

    def __init__(self, folder: Path, scenario: str, port: int, *options: str, **keys: str) -> None:
        self.folder = folder / f"{scenario}-{port}"
        self.folder.mkdir()
        self.port = port
        pairs = [part for key, value in keys.items() for part in ("-key", key, value)]
        self.command = ["sipp", *options, "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", HOST, "-p", str(port), "-nostdin"]
        self.command += ["-trace_msg", "-message_file", str(self.folder / "messages"), "-timeout", "30", *pairs]
        self.process: asyncio.subprocess.Process

    async def start(self) -> None:
        quiet = asyncio.subprocess.DEVNULL
        self.process = await asyncio.create_subprocess_exec(*self.command, stdin=quiet, stdout=quiet, stderr=quiet, cwd=self.folder)

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    @property
    def text(self) -> str:
        path = self.folder / "messages"
        return path.read_text() if path.exists() else ""

    def heard(self, method: str) -> list[str]:
        """Every request of this method, whole."""
        parts = re.split(r"-{20,}[^\n]*\n", self.text)
        return [part for part in parts if "message received" in part and f"\n{method} sip:" in part]


@contextlib.asynccontextmanager
async def carrier(house: Any, scenario: str, port: int = 0, **keys: str) -> AsyncIterator[Carrier]:
    """A carrier that is there when entered."""
    one = Carrier(house.folder, scenario, port or free_port(HOST), **keys)
    await one.start()
    try:
        await eventually(lambda: taken(one.port))
        yield one
    finally:
        await one.stop()


@pytest.fixture
def silence() -> Iterator[int]:
    """A port where nobody says anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind((HOST, 0))
        yield int(deaf.getsockname()[1])


async def account(house: Any, password: str = "hush") -> None:
    sealed = Sealer(KEY.encode(), TRUNK_PASSWORDS).seal(password, "dupont", "account")
    await house.configure("trunk_credential", {"id": "account", "username": "acme", "sealed_password": sealed})


async def trunk(house: Any, port: int, *others: int, **fields: Any) -> None:
    servers = [{"address": f"{HOST}:{other}", "priority": index + 1} for index, other in enumerate(others)]
    await house.configure("trunk", {"id": "carrier", "address": f"{HOST}:{port}", "servers": servers, "silence_seconds": 1} | fields)
    await eventually(lambda: known(house).trunk.address.endswith(f":{port}"))


def known(house: Any) -> Any:
    return house.running.trunks.states("dupont")[0].line


REGISTERS = {"registration": {"domain": "carrier.example"}, "trunk_credential_id": "account"}


async def states(house: Any) -> pb.TrunkState:
    token = issue_token(KEY, "admin", "dupont", [ADMIN])
    async with channel(f"127.0.0.1:{house.running.grpc_port}", token) as link:
        answer = await TrunkStateServiceStub(link).ListTrunkStates(pb.ListTrunkStatesRequest())
    return answer.trunks[0]


def facts(house: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(event.type.split(".")[2], event.data) for event in house.registrations() if event.type.split(".")[2].startswith("trunk_")]


def header(message: str, name: str) -> str:
    found = re.search(rf"^{name}: (.*?)\r?$", message, re.MULTILINE)
    return found[1] if found else ""


# -- registering ------------------------------------------------------------------------------------------------------


async def test_a_trunk_registers_with_a_password_refreshes_and_goes_on_after_a_restart(house: Any) -> None:
    async with carrier(house, "carrier_registrar", expires="2") as registrar:
        await account(house)
        await trunk(house, registrar.port, **REGISTERS)
        await eventually(lambda: ("trunk_registered", "carrier") in [(fact, data["trunk_id"]) for fact, data in facts(house)])
        state = await states(house)
        assert (state.registration, state.reason, state.usable) == ("registered", "", True)
        await eventually(lambda: len(registrar.heard("REGISTER")) >= 4)
        before = registrar.heard("REGISTER")
        await house.stop()
        await house.start()
        await eventually(lambda: len(registrar.heard("REGISTER")) >= len(before) + 2)
        after = registrar.heard("REGISTER")[-1]
        assert header(after, "Call-ID") == header(before[0], "Call-ID")
        contacts = [header(message, "Contact").partition("@")[0] for message in (before[0], after)]
        assert contacts[0] == contacts[1]
        numbers = [int(header(message, "CSeq").split()[0]) for message in registrar.heard("REGISTER")]
        assert numbers == sorted(numbers)
        assert "hush" not in registrar.text
    told = "".join(event.to_json().decode() for event in house.registrations())
    assert "hush" not in told
    assert "sealed" not in told


async def test_a_wrong_password_is_tried_once_and_then_left_for_a_while(house: Any) -> None:
    async with carrier(house, "carrier_registrar", expires="600") as registrar:
        await account(house, "wrong")
        await trunk(house, registrar.port, **REGISTERS)
        await eventually(lambda: bool(facts(house)))
        assert facts(house) == [("trunk_unregistered", {"trunk_id": "carrier", "reason": "refused", "sip_status": 403})]
        state = await states(house)
        assert (state.registration, state.sip_status, state.usable) == ("failed", 403, False)
        assert state.next_attempt_at.ToDatetime(UTC) - datetime.now(UTC) > timedelta(seconds=10)
        assert len(registrar.heard("REGISTER")) == 2


async def test_a_password_sealed_with_another_key_is_said_and_not_tried(house: Any) -> None:
    await house.configure("trunk_credential", {"id": "account", "username": "acme", "sealed_password": "AAAA"})
    await trunk(house, free_port(HOST), **REGISTERS)
    await eventually(lambda: bool(facts(house)))
    state = await states(house)
    assert "set it again" in state.reason
    assert not state.usable


@pytest.mark.parametrize(("from_", "extra", "caller"), [("sip:acme@carrier.example", "X: 1", OUTSIDE), ("sip:x@y", "Privacy: id", "")])
async def test_calls_come_in_at_the_registered_contact(house: Any, words: Any, from_: str, extra: str, caller: str) -> None:
    house.application.follow(words.ring("anne"))
    anne = await house.phone("anne")
    async with carrier(house, "carrier_registrar", expires="600") as registrar:
        await account(house)
        await trunk(house, registrar.port, **REGISTERS)
        await eventually(lambda: bool(facts(house)))
        contact = re.search(r"<(sip:[^>]*)>", header(registrar.heard("REGISTER")[-1], "Contact"))
        assert contact is not None
    # From another host than the trunk's: whoever knows the contact has it from the carrier.
    keys = {"uri": contact[1], "did": "0215550100", "from": from_, "extra": extra}
    remote = "{}:{}".format(*house.running.sip["udp"])
    caller_side = Carrier(house.folder, "carrier_calls", free_port(HOST), remote, "-m", "1", **keys)
    await caller_side.start()
    try:
        await anne.pick_up()
        assert await asyncio.wait_for(caller_side.process.wait(), 30) == 0, caller_side.text
    finally:
        await caller_side.stop()
    started = words.last(await house.ended(), "started")
    assert (started["direction"], started["dialled"], started["trunk_id"]) == ("inbound", "+41215550100", "carrier")
    assert started["caller"] == caller


# -- calls out --------------------------------------------------------------------------------------------------------


async def call_out(house: Any, words: Any) -> Any:
    """Anne calls outside; her phone."""
    house.application.follow(words.ring(trunk=OUTSIDE, seconds=10), words.hang_up(42))
    anne = await house.phone("anne")
    anne.session = anne.call(OUTSIDE)
    return anne


async def test_a_challenged_invite_is_answered_with_the_password(house: Any, words: Any) -> None:
    async with carrier(house, "carrier_challenges") as one:
        await account(house)
        await trunk(house, one.port, trunk_credential_id="account")
        anne = await call_out(house, words)
        await anne.answered()
        anne.do("bye", anne.session)
        await house.ended()
        first, second = one.heard("INVITE")
        assert header(first, "From") == header(second, "From")
        assert "hush" not in one.text


async def test_a_carrier_that_challenges_for_ever_gets_two_tries(house: Any, words: Any) -> None:
    async with carrier(house, "carrier_never_content") as one:
        await account(house)
        await trunk(house, one.port, trunk_credential_id="account")
        anne = await call_out(house, words)
        assert (await anne.expect(SessionFailed)).status == 503
        assert len(one.heard("INVITE")) == 2
    assert words.last(await house.ended(), "ring_ended")["result"] == "congested"


async def test_a_silent_server_is_given_up_for_the_next_and_then_left_out(house: Any, words: Any, silence: int) -> None:
    async with carrier(house, "carrier_answers") as second:
        await trunk(house, silence, second.port)
        began = asyncio.get_running_loop().time()
        anne = await call_out(house, words)
        await anne.expect(SessionAnswered)
        assert asyncio.get_running_loop().time() - began < 3
        anne.do("bye", anne.session)
        events = await house.ended()
        assert words.last(events, "leg_ended", "b1")["cause"] == "no_user_responding"
        assert words.last(events, "leg_ended", "b2")["cause"] == "normal_clearing"
        assert facts(house)[0][0] == "trunk_server_down"
        assert [server.state for server in (await states(house)).servers] == ["down", "unknown"]
        house.application.follow(words.ring(trunk=OUTSIDE))
        again = anne.call(OUTSIDE)
        await anne.expect(SessionAnswered)
        anne.do("bye", again)
        assert [story for story in words.story(await house.ended(2)) if story.startswith("leg_offered")] == ["leg_offered b1"]


async def test_a_server_that_cannot_is_passed_over(house: Any, words: Any) -> None:
    async with carrier(house, "carrier_503") as first, carrier(house, "carrier_answers") as second:
        await trunk(house, first.port, second.port)
        anne = await call_out(house, words)
        await anne.answered()
        anne.do("bye", anne.session)
        assert words.last(await house.ended(), "leg_ended", "b1")["sip_status"] == 503


async def test_a_trunk_without_a_server_that_answers_fails_over_to_routing_within_seconds(house: Any, words: Any, silence: int) -> None:
    await trunk(house, silence)
    anne = await call_out(house, words)
    assert (await anne.expect(SessionFailed)).status == 503
    assert words.last(await house.ended(), "ring_ended")["result"] == "unreachable"
    assert len(house.application.asked) == 2


async def test_a_server_that_does_not_answer_options_gets_no_calls_until_it_does(
    house: Any, words: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trunk_health, "DOWN_PING", 0.5)
    port = free_port(HOST)
    await trunk(house, port, ping_seconds=5)
    await eventually(lambda: "trunk_server_down" in [fact for fact, _ in facts(house)])
    assert not (await states(house)).usable
    anne = await call_out(house, words)
    await anne.expect(SessionFailed)
    assert "leg_offered b1" not in words.story(await house.ended())
    async with carrier(house, "carrier_options", port) as one:
        await eventually(lambda: "trunk_server_up" in [fact for fact, _ in facts(house)])
        assert one.heard("OPTIONS")
    assert (await states(house)).usable


async def test_a_call_for_help_goes_past_a_server_that_is_down(house: Any, words: Any, silence: int) -> None:
    """OPTIONS were not answered, so no other call goes out; the call for help is tried all the same, and found to be answered."""
    async with carrier(house, "carrier_answers") as one:
        await trunk(house, one.port, ping_seconds=5)
        await eventually(lambda: "trunk_server_down" in [fact for fact, _ in facts(house)])
        assert not (await states(house)).usable
        house.application.follow(words.ring(trunk="112"), words.hang_up(42))
        anne = await house.phone("anne")
        call = anne.call("112")
        await anne.answered()
        anne.do("bye", call)
        await house.ended()


@pytest.mark.feature("D-17")
async def test_no_more_calls_than_the_trunk_may_have_but_for_help(house: Any, words: Any) -> None:
    async with carrier(house, "carrier_answers") as one:
        await trunk(house, one.port, max_calls=1)
        anne = await call_out(house, words)
        await anne.answered()
        assert (await states(house)).calls == 1
        house.application.follow(words.ring(trunk=OUTSIDE), words.hang_up(42))
        bob = await house.phone("bob")
        bob.call(OUTSIDE)
        assert (await bob.expect(SessionFailed)).status == 503
        house.application.follow(words.ring(trunk="112"), words.hang_up(42))
        carol = await house.phone("carol")
        help_ = carol.call("112")
        await carol.answered()
        carol.do("bye", help_)
        anne.do("bye", anne.session)
        await house.ended(3)
        assert (await states(house)).calls == 0


async def test_a_media_plane_that_is_too_busy_takes_calls_for_help(house: Any, words: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opening = PlaneClient.open

    async def busy(self: PlaneClient, session: str, *, urgent: bool = False, **options: Any) -> MediaAddress:
        if not urgent:
            raise Overloaded("overloaded", "the packet threads are busy")
        return await opening(self, session, urgent=urgent, **options)

    monkeypatch.setattr(PlaneClient, "open", busy)
    async with carrier(house, "carrier_answers") as one:
        await trunk(house, one.port)
        anne = await call_out(house, words)
        assert (await anne.expect(SessionFailed)).status == 503
        house.application.follow(words.ring(trunk="112"), words.hang_up(42))
        call = anne.call("112")
        await anne.answered()
        anne.do("bye", call)
        await house.ended(2)


async def test_a_call_goes_out_in_the_carrier_s_own_words(house: Any, words: Any) -> None:
    """A call from outside is sent on outside: the number's format, the identity, who forwarded it."""
    async with carrier(house, "carrier_answers") as one:
        await trunk(
            house,
            one.port,
            dialled_format={"style": "national", "prepend": "9"},
            identity={"diversion": "both", "domain": "voip.example"},
        )
        house.application.follow(words.ring(trunk=OUTSIDE))
        keys = {"uri": "sip:+41215550100@127.0.0.1", "did": "0215550100", "from": "sip:x@y", "extra": "X: 1"}
        remote = "{}:{}".format(*house.running.sip["udp"])
        caller = Carrier(house.folder, "carrier_calls", free_port(HOST), remote, "-m", "1", **keys)
        await caller.start()
        try:
            assert await asyncio.wait_for(caller.process.wait(), 30) == 0, caller.text
        finally:
            await caller.stop()
        await house.ended()
        (invite,) = one.heard("INVITE")
    assert f"INVITE sip:90791234567@{HOST}" in invite
    assert header(invite, "Diversion") == "<sip:+41215550100@voip.example>;reason=unconditional;privacy=off"
    assert header(invite, "History-Info").startswith("<sip:+41215550100@voip.example>;index=1, <sip:90791234567@voip.example;cause=302>")
    assert "P-Asserted-Identity" in invite


@pytest.mark.parametrize(
    ("policy", "takes", "offers"),
    [
        ("preferred", "carrier_rtp_only", ["RTP/SAVP", "RTP/AVP"]),
        ("preferred", "carrier_srtp_only", ["RTP/SAVP"]),
        ("optional", "carrier_srtp_only", ["RTP/AVP", "RTP/SAVP"]),
        ("required", "carrier_rtp_only", ["RTP/SAVP"]),
        ("off", "carrier_srtp_only", ["RTP/AVP"]),
    ],
)
async def test_a_carrier_that_refuses_our_audio_is_offered_the_other_kind_as_its_trunk_says(
    house: Any, words: Any, policy: str, takes: str, offers: list[str]
) -> None:
    async with carrier(house, takes) as one:
        await trunk(house, one.port, srtp=policy)
        house.application.follow(words.ring(trunk=OUTSIDE), words.hang_up(88, 488))
        anne = await house.phone("anne")
        call = anne.call(OUTSIDE)
        refused = takes == f"carrier_{'rtp' if offers[-1] == 'RTP/SAVP' else 'srtp'}_only"
        if refused:
            assert (await anne.expect(SessionFailed)).status == 488
        else:
            await anne.expect(SessionAnswered)
            (actor,) = house.running.board.calls.values()
            assert bool(actor.legs["b1"].media.srtp) == (offers[-1] == "RTP/SAVP")
            anne.do("bye", call)
        await house.ended()
        invites = one.heard("INVITE")
    assert [re.search(r"m=audio \d+ (\S+)", invite)[1] for invite in invites] == offers  # type: ignore[index]
    with_keys = [kind == "RTP/SAVP" or policy == "optional" for kind in offers]
    assert ["a=crypto" in invite for invite in invites] == with_keys
