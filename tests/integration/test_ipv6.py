"""SIPp over IPv6 as phones: registered, called and calling, with their audio over the same."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from strangers.sipp import Sipp, credentials, register
from strangers.system import System, has_ipv6

pytestmark = [pytest.mark.feature("M-1", "M-3"), pytest.mark.skipif(not has_ipv6(), reason="no ::1 here")]
V4, V6 = "127.0.0.1", "::1"


def server(system: System, ip: str, transport: str) -> tuple[str, int]:
    return system.address(("tcp" if transport == "t1" else "udp") + ("6" if ip == V6 else ""))


@contextmanager
def answering(
    system: System, extension: str, ip: str, transport: str, *options: str, scenario: str = "answer.xml", calls: int = 1
) -> Iterator[Sipp]:
    """A phone of SIPp's, registered from where it answers."""
    realm, user, at = system.tenant["realm"], system.user(extension), server(system, ip, transport)
    port = register(at, realm, user, "-t", transport, ip=ip)
    try:
        with Sipp(scenario, at, "-t", transport, "-d", "50", "-trace_msg", *options, ip=ip, port=port, calls=calls, seconds=60) as phone:
            yield phone
    finally:
        register(at, realm, user, "-t", transport, ip=ip, port=port, expires=0)


def call(system: System, ip: str, transport: str, replace: dict[str, str] | None = None, talk_ms: str = "300") -> Sipp:
    user = system.user("101")
    keys = {"user": user["sip_user"], "realm": system.tenant["realm"], "dest": "106"}
    options = ("-t", transport, "-d", talk_ms, "-trace_msg", *credentials(user))
    return Sipp("call_with_authentication.xml", server(system, ip, transport), *options, ip=ip, replace=replace, **keys)


def messages(sipp: Sipp) -> str:
    return "".join(path.read_text(errors="replace") for path in sipp.folder.glob("*_messages.log"))


@pytest.mark.parametrize("transport", ["u1", "t1"])
@pytest.mark.parametrize(("caller", "callee"), [(V6, V4), (V4, V6), (V6, V6)])
def test_a_call_between_families(system: System, caller: str, callee: str, transport: str) -> None:
    known = system.call_ids()
    kind = "TCP" if transport == "t1" else "UDP"
    with answering(system, "106", callee, transport) as phone, call(system, caller, transport) as calling:
        calling.succeed()
        phone.succeed()
        if callee == V6:
            port = server(system, V6, transport)[1]
            seen = messages(phone)
            assert f"Via: SIP/2.0/{kind} [::1]:{port};" in seen
            assert f"@[::1]:{port}" in seen
    (record,) = system.new_records(known, 1)
    assert (record["status"], record["answered_by"]) == ("answered", "elise")


@pytest.mark.feature("M-7")
@pytest.mark.parametrize(("caller", "callee"), [(V6, V4), (V6, V6)])
def test_audio_goes_both_ways_over_either_family(system: System, tmp_path: Path, caller: str, callee: str) -> None:
    """The caller streams a file, the called phone sends back what it hears; each leg heard its far end."""
    known, sound = system.call_ids(), tmp_path / "tone.alaw"
    sound.write_bytes(bytes([0x55, 0x34, 0xB4, 0xD5]) * 8000)
    streaming = {"<pause/>": f'<nop><action><exec rtp_stream="{sound},-1,8"/></action></nop>\n  <pause/>'}
    with answering(system, "106", callee, "u1", "-rtp_echo") as phone, call(system, caller, "u1", streaming, "2000") as calling:
        calling.succeed()
        phone.succeed()
        assert "c=IN IP6 ::1" in messages(calling)
        assert f"c=IN {'IP6' if callee == V6 else 'IP4'} {callee}" in messages(phone)
    (record,) = system.new_records(known, 1)
    told = map(json.loads, system.carillon("events", "--json", "--since", "10m", "--call", record["call_id"]).splitlines())
    qualities = [event["data"]["quality"] for event in told if event["type"] == "carillon.call.leg_ended.v1"]
    assert [quality["packets_received"] > 10 for quality in qualities] == [True, True], qualities


@pytest.mark.feature("M-7")
def test_audio_to_a_link_local_address_goes_nowhere(system: System) -> None:
    known = system.call_ids()
    with call(system, V6, "u1", {"c=IN IP6 ::1": "c=IN IP6 fe80::1"}) as calling:
        assert calling.wait() != 0
    (record,) = system.new_records(known, 1)
    assert record["status"] != "answered"


@pytest.mark.feature("M-7")
def test_a_phone_with_audio_of_ipv4_and_sip_over_ipv6_is_offered_what_it_takes(system: System) -> None:
    """It refuses an offer of IPv6 once; the next call begins with IPv4."""
    known = system.call_ids()
    with answering(system, "106", V6, "u1", "-mi", V4, scenario="answer_ip4_audio.xml", calls=3) as phone:
        for _ in range(2):
            with call(system, V4, "u1") as calling:
                calling.succeed()
        phone.succeed()
        seen = messages(phone)
    assert seen.count("SIP/2.0 488") == 1
    records = system.new_records(known, 2)
    assert [(record["status"], record["answered_by"]) for record in records] == [("answered", "elise")] * 2
