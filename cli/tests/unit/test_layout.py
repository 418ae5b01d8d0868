import socket
from dataclasses import replace
from pathlib import Path

import pytest

from carillon_cli.errors import CliError
from carillon_cli.supervisor.layout import RTP_SEARCH, Options, Ports, TlsFiles, check_ports, free_ports, owners, taken

pytestmark = pytest.mark.feature("P-4")


def options(ports: Ports) -> Options:
    return Options(Path("/data"), "127.0.0.1", "127.0.0.1", ports)


def test_a_port_in_use_is_told_with_who_needs_it_and_what_moves_it() -> None:
    def probe(host: str, transport: str, port: int) -> str:
        return "Address already in use" if (transport, port) == ("tcp", 5060) else ""

    with pytest.raises(CliError, match=r"tcp port 5060 on 127.0.0.1 for SIP \(--sip-port\): Address already in use") as refused:
        check_ports(options(Ports()), embedded_nats=True, embedded_postgres=True, probe=probe)
    assert "--ports auto" in refused.value.hint


def test_every_port_in_use_is_told_at_once() -> None:
    with pytest.raises(CliError) as refused:
        check_ports(options(Ports()), embedded_nats=True, embedded_postgres=True, probe=lambda *_: "in use")
    assert len(str(refused.value).splitlines()) == 1 + len(list(owners(Ports(), embedded_nats=True, embedded_postgres=True)))


def test_tls_and_ipv6_need_their_ports_too() -> None:
    asked = replace(options(Ports()), tls=TlsFiles(Path("c"), Path("k")), host6="::1")
    with pytest.raises(CliError) as refused:
        check_ports(asked, embedded_nats=False, embedded_postgres=False, probe=lambda *_: "in use")
    told = str(refused.value)
    assert "tcp port 5061 on 127.0.0.1 for SIP (--sip-tls-port): in use" in told
    assert "udp port 5060 on ::1 for SIP (--sip-port): in use" in told
    assert "7001 on ::1" not in told


def test_servers_of_others_need_no_port_here() -> None:
    found = {who for _, _, who, _ in owners(Ports(), embedded_nats=False, embedded_postgres=False)}
    assert found.isdisjoint({"NATS", "Postgres"})


def test_a_port_that_is_really_taken_is_found() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert taken("127.0.0.1", "tcp", listener.getsockname()[1])
    assert not taken("127.0.0.1", "tcp", free_ports("127.0.0.1").nats)


def test_free_ports_are_all_different_and_free() -> None:
    ports = free_ports("127.0.0.1")
    single = [ports.sip, ports.sip_tls, ports.directory, ports.routing, ports.media, ports.voicemail, ports.cdr, ports.nats, ports.postgres]
    assert len(set(single)) == len(single)
    assert RTP_SEARCH[0] <= ports.rtp_low < ports.rtp_high < RTP_SEARCH[1] + 1000
    check_ports(options(ports), embedded_nats=True, embedded_postgres=True)


@pytest.mark.parametrize("changes", [{"sip": 0}, {"nats": 65536}, {"rtp_low": 20000, "rtp_high": 20001}])
def test_impossible_ports_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(CliError):
        Ports(**changes)
