import argparse
from datetime import UTC, datetime
from pathlib import Path

import pytest

from carillon_cli.commands import up
from carillon_cli.errors import CliError
from carillon_cli.supervisor.layout import GRPC_SERVICES, Folders, Ports, TlsFiles
from carillon_kit.certificates import covers, write_self_signed

pytestmark = pytest.mark.feature("P-4")


def ports(*arguments: str) -> Ports:
    parser = argparse.ArgumentParser()
    up.arguments(parser)
    return up.chosen_ports(parser.parse_args(arguments))


def test_the_usual_ports_without_options() -> None:
    assert ports() == Ports()


def test_a_base_moves_all_grpc_ports_together() -> None:
    found = ports("--grpc-port-base", "9001")
    assert [found.grpc(service) for service in GRPC_SERVICES] == [9001, 9002, 9003, 9004, 9005]


def test_a_named_port_wins_over_a_free_one() -> None:
    assert ports("--ports", "auto", "--sip-port", "5070").sip == 5070


def test_the_time_for_calls_at_the_end_is_short_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    up.arguments(parser)
    assert parser.parse_args([]).drain == 2.0
    assert parser.parse_args(["--drain", "3600"]).drain == 3600.0
    with pytest.raises(SystemExit):
        parser.parse_args(["--drain", "-1"])


def test_the_rtp_range_is_low_dash_high() -> None:
    found = ports("--rtp-ports", "30000-30099")
    assert (found.rtp_low, found.rtp_high) == (30000, 30099)
    with pytest.raises(CliError, match="LOW-HIGH"):
        ports("--rtp-ports", "many")


def test_listening_everywhere_needs_an_address_for_phones() -> None:
    with pytest.raises(CliError, match="listens everywhere"):
        up.advertised("0.0.0.0", None)
    assert up.advertised("0.0.0.0", "192.0.2.7") == "192.0.2.7"
    assert up.advertised("127.0.0.1", None) == "127.0.0.1"


def certificate(folder: Path, *arguments: str) -> TlsFiles | None:
    parser = argparse.ArgumentParser()
    up.arguments(parser)
    return up.certificate(parser.parse_args(arguments), Folders(folder), "192.0.2.7")


def test_there_is_no_tls_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert certificate(tmp_path) is None


def test_the_demo_has_a_certificate_that_is_made_once(tmp_path: Path) -> None:
    files = certificate(tmp_path, "--demo")
    assert files is not None
    made = files.certificate.read_bytes()
    assert covers(made, ["192.0.2.7", "localhost", "dupont.example"], datetime.now(UTC))
    assert certificate(tmp_path, "--demo", "--tls") == files
    assert files.certificate.read_bytes() == made
    assert certificate(tmp_path, "--demo", "--host6", "::1") == files
    assert covers(files.certificate.read_bytes(), ["::1"], datetime.now(UTC))


def test_a_certificate_of_one_s_own_is_checked_and_never_written_to(tmp_path: Path) -> None:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    write_self_signed(chain, key, ["pbx.example"], datetime.now(UTC))
    made = chain.read_bytes()
    assert certificate(tmp_path, "--demo", "--tls-cert", str(chain), "--tls-key", str(key)) == TlsFiles(chain, key)
    assert chain.read_bytes() == made
    with pytest.raises(CliError, match="come together"):
        certificate(tmp_path, "--tls-cert", str(chain))
    with pytest.raises(CliError, match="cannot be used"):
        certificate(tmp_path, "--tls-cert", str(key), "--tls-key", str(chain))


def started(folder: Path, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    up.arguments(parser)
    return up.run(parser.parse_args(["--data", str(folder), *arguments]))


def test_a_data_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/carillon")):
        with pytest.raises(CliError, match="cannot be used") as refused:
            started(folder)
        assert "--data" in refused.value.hint


def test_an_address_of_another_machine_is_told_as_such_and_not_as_a_port_in_use(tmp_path: Path) -> None:
    for option in (("--host", "203.0.113.9"), ("--host", "no such host"), ("--host6", "2001:db8::1")):
        with pytest.raises(CliError, match="nothing can listen there") as refused:
            started(tmp_path, "--ports", "auto", *option)
        assert "ip address" in refused.value.hint
