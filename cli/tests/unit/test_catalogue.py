import json
from pathlib import Path

import pytest

from carillon_cli.supervisor.catalogue import (
    STOP_GROUPS,
    WITH_DATABASE,
    Backing,
    plane_spec,
    python_environment,
    service_environment,
    service_spec,
)
from carillon_cli.supervisor.layout import GRPC_SERVICES, Folders, Options, Ports, TlsFiles

pytestmark = pytest.mark.feature("P-4")
FOLDERS = Folders(Path("/data"))
BACKING = Backing(
    {name: f"postgresql://{name}" for name in WITH_DATABASE},
    {name: f"nats://{name}" for name in GRPC_SERVICES},
    "key",
    Path("/data/plane.sock"),
)


def environment(service: str, *, test_clock: bool = False) -> dict[str, str]:
    options = Options(Path("/data"), "0.0.0.0", "192.0.2.7", Ports(), test_clock=test_clock)
    return service_environment(service, options, FOLDERS, BACKING)


def test_a_service_gets_its_own_role_and_its_own_nats_user() -> None:
    for service in GRPC_SERVICES:
        found = environment(service)
        assert found["CARILLON_NATS_URL"] == f"nats://{service}"
        assert found.get("CARILLON_POSTGRES_DSN") == (f"postgresql://{service}" if service in WITH_DATABASE else None)


def test_media_is_told_where_the_applications_and_the_plane_are() -> None:
    found = environment("media")
    assert json.loads(found["CARILLON_APPLICATIONS"]) == {
        "routing": "127.0.0.1:7002",
        "voicemail": "127.0.0.1:7004",
        "conference": "127.0.0.1:7004",
    }
    assert found["CARILLON_PLANE_SOCKET"] == "/data/plane.sock"
    assert found["CARILLON_ADVERTISE"] == "192.0.2.7"
    assert found["CARILLON_PLANE_PORTS"] == "20000-29999"


@pytest.mark.feature("M-14")
def test_calls_are_waited_for_as_long_as_was_asked() -> None:
    options = Options(Path("/data"), "127.0.0.1", "127.0.0.1", Ports(), drain=600.0)
    spec = service_spec("media", options, FOLDERS, BACKING)
    assert spec.environment["CARILLON_DRAIN_SECONDS"] == "600"
    assert spec.stop_seconds > 600 + float(spec.environment["CARILLON_SHUTDOWN_SECONDS"])
    assert service_spec("cdr", options, FOLDERS, BACKING).stop_seconds < 600


def test_media_listens_on_both_families_and_on_tls_when_asked() -> None:
    found = environment("media")
    assert (found["CARILLON_SIP_UDP"], found.get("CARILLON_SIP_TLS")) == ("0.0.0.0:5060", None)
    tls = TlsFiles(Path("/data/c.pem"), Path("/data/k.pem"))
    options = Options(Path("/data"), "127.0.0.1", "127.0.0.1", Ports(), tls=tls, host6="::1")
    found = service_environment("media", options, FOLDERS, BACKING)
    assert (found["CARILLON_SIP_TCP"], found["CARILLON_SIP_TLS"]) == ("127.0.0.1:5060,[::1]:5060", "127.0.0.1:5061,[::1]:5061")
    assert (found["CARILLON_TLS_CERTIFICATE"], found["CARILLON_TLS_KEY"]) == ("/data/c.pem", "/data/k.pem")


def test_only_routing_goes_by_the_test_clock_and_only_when_asked() -> None:
    assert environment("routing", test_clock=True)["CARILLON_CLOCK_FILE"] == "/data/clock.json"
    assert "CARILLON_CLOCK_FILE" not in environment("routing")
    assert "CARILLON_CLOCK_FILE" not in environment("cdr", test_clock=True)


def test_the_addresses_of_an_administrator_are_not_handed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARILLON_POSTGRES_DSN", "postgresql://root")
    monkeypatch.setenv("CARILLON_SMTP_URL", "smtp://mail")
    found = python_environment()
    assert "CARILLON_POSTGRES_DSN" not in found
    assert found["CARILLON_SMTP_URL"] == "smtp://mail"


def test_the_plane_s_ports_are_those_chosen() -> None:
    options = Options(Path("/data"), "127.0.0.1", "127.0.0.1", Ports(rtp_low=30000, rtp_high=30099))
    command = plane_spec("media-plane", options, Path("/data/plane.sock")).command
    assert command[-2:] == ["--ports", "30000-30099"]


def test_far_ends_are_told_the_advertised_address() -> None:
    options = Options(Path("/data"), "0.0.0.0", "192.0.2.7", Ports())
    assert plane_spec("media-plane", options, Path("/data/plane.sock")).command[-2:] == ["--public-ip", "192.0.2.7"]


def test_a_plane_that_is_tested_refuses_nothing_for_being_late() -> None:
    options = Options(Path("/data"), "127.0.0.1", "127.0.0.1", Ports(), test_clock=True)
    assert plane_spec("media-plane", options, Path("/data/plane.sock")).command[-2:] == ["--most-late", "2"]


def test_calls_end_before_what_they_need() -> None:
    order = sorted(STOP_GROUPS, key=lambda name: STOP_GROUPS[name])
    assert order[0] == "media"
    assert order[-2:] == ["nats", "postgres"]
    assert STOP_GROUPS["cdr"] > STOP_GROUPS["media"]
