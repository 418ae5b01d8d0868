import argparse
import importlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carillon.cdr.v1 import cdr_pb2
from carillon.directory.v1 import directory_pb2
from carillon_cli.commands import apply, records
from carillon_cli.commands.apply import told
from carillon_cli.commands.bans import wanted
from carillon_cli.commands.clock import instant
from carillon_cli.commands.events import since
from carillon_cli.demo.post import read
from carillon_cli.errors import CliError
from carillon_cli.main import COMMANDS, guarded, main
from carillon_cli.system import System

pytestmark = pytest.mark.feature("P-6")
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(("text", "before"), [("90s", timedelta(seconds=90)), ("10m", timedelta(minutes=10)), ("2h", timedelta(hours=2))])
def test_since_takes_a_span(text: str, before: timedelta) -> None:
    assert since(text, NOW) == NOW - before


def test_since_takes_an_instant_and_nothing_else() -> None:
    assert since("2026-11-24T10:00:00+00:00", NOW) == NOW - timedelta(hours=2)
    with pytest.raises(CliError, match="no instant"):
        since("yesterday", NOW)


def test_a_clock_time_is_local_to_its_zone_unless_it_has_an_offset() -> None:
    assert instant("2026-11-24T10:15", "Europe/Zurich").astimezone(UTC).hour == 9
    assert instant("2026-11-24T10:15+00:00", "Europe/Zurich").astimezone(UTC).hour == 10
    with pytest.raises(CliError):
        instant("10:15", "Europe/Nowhere")


def test_what_apply_did_is_told() -> None:
    answer = directory_pb2.ApplyTenantResponse(
        changes=[directory_pb2.AppliedChange(resource="user", resource_id="dumas", fact="updated", fields=["email"])],
        config_seq=7,
        new_credentials=[directory_pb2.SipCredential(id="x", password="secret")],
    )
    request = directory_pb2.ApplyTenantRequest(tenant=directory_pb2.Tenant(id="dupont"))
    assert told(answer, request, dry_run=False) == [
        "~ user dumas (email)",
        "  password of x: secret",
        "1 resource changed, configuration 7",
    ]
    assert "would change" in told(answer, request, dry_run=True)[-1]
    nothing = directory_pb2.ApplyTenantResponse(config_seq=7)
    assert told(nothing, request, dry_run=False) == ["dupont holds all of it already, configuration 7"]


def test_an_expected_failure_is_a_line_and_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise CliError("it does not work", "Do this.")

    assert guarded(fail) == 1
    assert capsys.readouterr().err == "carillon: it does not work\n  Do this.\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"carillon {command}" in capsys.readouterr().out


def test_an_unknown_command_is_told_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fax"])
    assert ended.value.code == 2
    assert "explain" in capsys.readouterr().err


def test_an_e_mail_is_read_with_its_audio() -> None:
    raw = (
        b"To: a@b.example\r\nSubject: =?utf-8?q?Nouveau_message_re=C3=A7u?=\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n"
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nBonjour\r\n'
        b'--x\r\nContent-Type: audio/wav\r\nContent-Disposition: attachment; filename="m.wav"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\nUklGRg==\r\n--x--\r\n"
    )
    post = read(raw)
    assert (post.to, post.subject, post.audio_name, post.audio) == ("a@b.example", "Nouveau message reçu", "m.wav", b"RIFF")
    assert post.text.strip() == "Bonjour"


@pytest.mark.feature("P-3")
def test_what_is_lifted_is_an_address_or_an_account() -> None:
    assert wanted("203.0.113.9").source == "203.0.113.9"
    assert wanted("2001:db8:1:2::/64").source == "2001:db8:1:2::/64"
    assert wanted("anne.soft").account == "anne.soft"
    with pytest.raises(CliError):
        wanted("")


async def nothing(*_: object, **options: object) -> list[object]:
    return []


@pytest.mark.parametrize(
    ("name", "asked"), [("calls", "live_calls"), ("trunks", "trunk_states"), ("bans", "listed"), ("messages", "list_messages")]
)
def test_nothing_as_json_is_no_line(name: str, asked: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    command = importlib.import_module(f"carillon_cli.commands.{name}")
    monkeypatch.setattr(command, asked, nothing)
    monkeypatch.setattr(command, "load", lambda folder: System(folder, {"tenants": {"dupont": {}}}))
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    assert command.run(parser.parse_args(["--json"])) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.feature("C-4")
def test_records_of_a_department_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[cdr_pb2.ListRecordsRequest] = []

    async def listed(system: System, tenant: str, request: cdr_pb2.ListRecordsRequest) -> AsyncIterator[cdr_pb2.Record]:
        asked.append(request)
        for record in list[cdr_pb2.Record]():
            yield record

    monkeypatch.setattr(records, "records", listed)
    monkeypatch.setattr(records, "load", lambda folder: System(folder, {"tenants": {"dupont": {}}}))
    parser = argparse.ArgumentParser()
    records.arguments(parser)
    assert records.run(parser.parse_args(["--department", "sales", "--json"])) == 0
    assert asked == [cdr_pb2.ListRecordsRequest(page_size=records.PAGE, department_id="sales")]


def test_a_limit_is_above_0(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    records.arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["--limit", "-3"])
    assert "--limit" in capsys.readouterr().err


def test_a_file_that_is_not_there_or_no_text_is_told_without_a_number(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    apply.arguments(parser)
    with pytest.raises(CliError, match="cannot be read: No such file"):
        apply.run(parser.parse_args([str(tmp_path / "none.yaml")]))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(CliError, match="not text in UTF-8"):
        apply.run(parser.parse_args([str(tmp_path / "binary")]))
