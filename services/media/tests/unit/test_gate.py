"""The gate on a virtual clock: who passes without being asked, and what auditors hear."""

from datetime import UTC, datetime

import pytest

from carillon_contracts.envelope import EventData
from carillon_kit.clock import ManualClock
from carillon_media.domain.addresses import Addresses, Reach, networks
from carillon_media.domain.guard import Guard, Verdict
from carillon_media.domain.limits import GuardSettings
from carillon_media.handlers.gate import Gate
from carillon_sip.flow import Flow

pytestmark = pytest.mark.feature("P-3")

INVITE = b"INVITE sip:102@dupont.example SIP/2.0\r\n"
CARRIER, SCANNER = ("192.0.2.20", 5060), ("203.0.113.9", 40_000)


class House:
    """A gate and what was announced: (tenant, subject, event)."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, EventData]] = []
        addresses = Addresses(Reach(loopback=False, refused=networks("198.18.0.0/15")))
        addresses.listening_at({("192.0.2.1", 5060)}, {("192.0.2.1", 5060), ("192.0.2.1", 5061)})
        guard = Guard(GuardSettings(source_burst=3, source_rate=1, failures=3))
        carriers = {CARRIER[0]}
        owners = {"anne": "dupont"}
        clock = ManualClock(datetime(2026, 3, 2, 9, tzinfo=UTC))
        self.gate = Gate(guard, addresses, lambda ip: sorted(carriers & {ip}), owners.get, self, clock, countries=lambda: frozenset({"US"}))

    def announce(self, tenant: str, subject: str, event: EventData, at: datetime) -> None:
        self.told.append((tenant, subject, event))

    def facts(self) -> list[tuple[str, str]]:
        return [(tenant, event.fact()) for tenant, _, event in self.told]


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.parametrize("source", [("192.0.2.1", 5060), ("127.0.0.1", 9), ("224.0.0.1", 5060), ("198.18.0.7", 5060), ("192.0.2.9", 0)])
def test_what_seems_to_come_from_where_we_do_not_send_to_is_dropped(house: House, source: tuple[str, int]) -> None:
    assert house.gate.arrived(INVITE, "udp", source, 1.0) is Verdict.DROP
    assert not house.gate.connected(source)
    assert not house.gate.may_send(Flow("udp", ("192.0.2.1", 5060), source))


def test_a_phone_beside_us_may_have_the_number_of_a_port_that_we_have_for_streams(house: House) -> None:
    phone = ("192.0.2.1", 5061)
    assert house.gate.arrived(INVITE, "udp", phone, 1.0) is Verdict.PASS
    assert house.gate.may_send(Flow("udp", ("192.0.2.1", 5060), phone))
    assert not house.gate.connected(phone)
    assert not house.gate.may_send(Flow("tcp", ("192.0.2.1", 5060), phone))


def test_a_carrier_may_send_what_it_likes_and_nobody_is_told(house: House) -> None:
    assert all(house.gate.arrived(INVITE, transport, CARRIER, 1.0) is Verdict.PASS for transport in ("udp", "tcp") for _ in range(50))
    house.gate.failed(Flow("udp", ("192.0.2.1", 5060), SCANNER), "evan", "REGISTER")
    assert house.facts() == [("_operator", "authentication_failed")]


def test_failures_go_to_the_account_s_tenant_and_bans_to_the_operator(house: House) -> None:
    flow = Flow("udp", ("192.0.2.1", 5060), SCANNER)
    for _ in range(3):
        house.gate.failed(flow, "anne", "INVITE")
    assert house.facts() == [("dupont", "authentication_failed"), ("_operator", "source_banned"), ("dupont", "account_locked")]
    assert house.told[1][1] == "carillon._operator.audit.source_banned"
    assert house.gate.arrived(INVITE, "udp", SCANNER, 1.0) is Verdict.DROP


def test_a_chunk_of_a_stream_counts_every_request_in_it(house: House) -> None:
    assert house.gate.arrived(INVITE * 3, "tcp", SCANNER, 1.0) is Verdict.PASS
    assert house.gate.arrived(b"ACK sip:x SIP/2.0\r\n\r\n" + INVITE, "tls", SCANNER, 1.0) is Verdict.DROP


def test_a_refusal_is_for_requests_alone(house: House) -> None:
    head = (
        "Via: SIP/2.0/UDP 203.0.113.9:5070;branch=z9hG4bKx\r\nFrom: <sip:x@y>;tag=1\r\nTo: <sip:x@y>\r\nCall-ID: 1\r\nCSeq: 1 {0}\r\n\r\n"
    )
    flow = Flow("udp", ("192.0.2.1", 5060), SCANNER)
    refusal = house.gate.refusal(f"OPTIONS sip:x SIP/2.0\r\n{head.format('OPTIONS')}".encode(), flow)
    assert refusal is not None
    assert refusal[0].remote == ("203.0.113.9", 5070)
    assert refusal[1].startswith(b"SIP/2.0 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: 30\r\n" in refusal[1]
    for data in (f"ACK sip:x SIP/2.0\r\n{head.format('ACK')}", f"SIP/2.0 200 OK\r\n{head.format('OPTIONS')}", "junk", ""):
        assert house.gate.refusal(data.encode(), flow) is None


def test_help_as_the_tenants_dial_it_passes_where_the_rest_is_refused(house: House) -> None:
    class Registered:
        flow, expires_at = Flow("udp", ("192.0.2.1", 5060), SCANNER), 100.0

    class Phone:
        binding = Registered

    house.gate.registered([Phone])  # type: ignore[list-item]
    other_phone = (SCANNER[0], 41_000)
    verdicts = [house.gate.arrived(INVITE, "udp", other_phone, 1.0) for _ in range(9)]
    assert verdicts[-1] is not Verdict.PASS
    for number, passes in (("112", True), ("911", True), ("117", False), ("9110", False)):
        data = INVITE.replace(b"102", number.encode())
        assert (house.gate.arrived(data, "udp", other_phone, 1.0) is Verdict.PASS) is passes, number
