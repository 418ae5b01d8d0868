"""SIPp over IPv6 as phones: registered, called and calling, with audio over IPv4; audio over IPv6 is refused cleanly."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from strangers.sipp import Sipp, credentials, register
from strangers.system import System, has_ipv6

pytestmark = [pytest.mark.feature("M-1", "M-3"), pytest.mark.skipif(not has_ipv6(), reason="no ::1 here")]
V4, V6 = "127.0.0.1", "::1"


def server(system: System, ip: str, transport: str) -> tuple[str, int]:
    return system.address(("tcp" if transport == "t1" else "udp") + ("6" if ip == V6 else ""))


@contextmanager
def answering(system: System, extension: str, ip: str, transport: str) -> Iterator[Sipp]:
    """A phone of SIPp's, registered from where it answers."""
    realm, user, at = system.tenant["realm"], system.user(extension), server(system, ip, transport)
    port = register(at, realm, user, "-t", transport, ip=ip)
    try:
        with Sipp("answer.xml", at, "-t", transport, "-d", "50", "-trace_msg", ip=ip, port=port, seconds=60) as phone:
            yield phone
    finally:
        register(at, realm, user, "-t", transport, ip=ip, port=port, expires=0)


def call(system: System, ip: str, transport: str, replace: dict[str, str] | None = None) -> Sipp:
    user = system.user("101")
    keys = {"user": user["sip_user"], "realm": system.tenant["realm"], "dest": "106"}
    options = ("-t", transport, "-d", "300", "-trace_msg", *credentials(user))
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


def test_audio_over_ipv6_is_488_and_nobody_rings(system: System) -> None:
    known = system.call_ids()
    with call(system, V6, "u1", {"c=IN IP4 [media_ip]": "c=IN IP6 ::1"}) as calling:
        assert calling.wait() != 0
        assert "SIP/2.0 488 " in messages(calling), calling.complaint()
    (record,) = system.new_records(known, 1)
    assert record["status"] != "answered"
    assert [leg["leg_id"] for leg in record["legs"]] == ["a"]
