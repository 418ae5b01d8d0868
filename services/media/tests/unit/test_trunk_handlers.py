"""Registrations and pings on a manual clock, with a stack that only remembers what was asked of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from carillon_contracts.config import TRUNK_PASSWORDS, Destination, Extension, Number, Site, Tenant, Trunk, TrunkCredential
from carillon_contracts.envelope import EventData
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import ManualClock
from carillon_kit.sealing import Sealer
from carillon_media.domain.accounts import Accounts
from carillon_media.domain.facts import Contact
from carillon_media.domain.trunk_lines import TrunkAddress
from carillon_media.handlers.trunks import Arrival, Trunks
from carillon_media.settings import MediaSettings
from carillon_sip.commands import RequestOut
from carillon_sip.flow import Flow
from carillon_sip.message import Request, Response
from carillon_sip.outputs import RequestTimedOut, ResponseReceived
from carillon_sip.parser import parse_message

pytestmark = pytest.mark.feature("M-2")
KEY = b"k" * 40
REGISTERS = {"registration": {"domain": "carrier.example", "expires_seconds": 600}, "trunk_credential_id": "account"}


class Desk:
    """Trunks of one tenant; `asked` holds what was sent."""

    def __init__(self, *trunks: dict[str, Any]) -> None:
        self.clock = ManualClock(datetime(2026, 3, 2, 9, tzinfo=UTC))
        self.asked: list[RequestOut] = []
        self.told: list[EventData] = []
        self.known, self.country = True, "CH"
        self.accounts = Accounts()
        self.trunks = Trunks.made_of(self.accounts, KEY, self, self.flows_to, self, self.clock)
        self.configure(*trunks)

    def configure(self, *trunks: dict[str, Any], tenant: str = "dupont") -> None:
        sealed = Sealer(KEY, TRUNK_PASSWORDS).seal("hush", tenant, "account")
        account = TrunkCredential(id="account", username="acme", sealed_password=sealed)
        of_kind: dict[str, Any] = {
            "tenant": {tenant: Tenant(id=tenant, realm=f"{tenant}.example", country=self.country)},
            "extension": {"101": Extension(id="101", destination=Destination(hang_up="busy"))},
            "number": {each: Number(id=each) for each in ("+41215550101",) if tenant == "dupont"},
            "site": {"berlin": Site(id="berlin", country="DE")},
            "trunk": {trunk["id"]: Trunk.model_validate({"address": "192.0.2.9"} | trunk) for trunk in trunks},
            "trunk_credential": {"account": account},
        }
        self.accounts.update(TenantConfig(tenant, 1, of_kind))

    # what Trunks asks of the world

    def flows_to(self, server: TrunkAddress) -> Sequence[Flow]:
        return [Flow("udp", ("192.0.2.1", 5060), (server.host, server.port or 5060))] if self.known else []

    def request(self, request: RequestOut) -> str:
        self.asked.append(request)
        return f"c{len(self.asked)}"

    def own_address(self, flow: Flow) -> tuple[str, int]:
        return flow.local

    def heard(self, session: str) -> bool | None:
        return None

    def announce(self, tenant: str, subject: str, event: EventData, at: datetime) -> None:
        assert subject == f"carillon.{tenant}.registration.{event.fact()}"
        self.told.append(event)

    # what happens

    def turn(self, seconds: float = 0.0) -> list[RequestOut]:
        """Let time pass and take a turn; what was asked in it."""
        self.clock.advance(seconds)
        before = len(self.asked)
        self.trunks.turn()
        return self.asked[before:]

    def answer(self, status: int, fields: str = "") -> None:
        """To the last request."""
        request = self.asked[-1]
        head = f"Via: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:x@y>;tag=2\r\nCall-ID: c\r\nCSeq: {request.cseq} "
        response = parse_message(f"SIP/2.0 {status} X\r\n{head}{request.method}\r\n{fields}\r\n".encode())
        assert isinstance(response, Response)
        self.trunks.responded(ResponseReceived(f"c{len(self.asked)}", response))

    def silence(self) -> None:
        self.trunks.responded(RequestTimedOut(f"c{len(self.asked)}", "timeout"))

    @property
    def state(self) -> Any:
        return self.trunks.states("dupont")[0]

    def facts(self) -> list[str]:
        return [event.fact() for event in self.told]


def ours(request: RequestOut, expires: int) -> str:
    """The Contact that a registrar sends back."""
    assert request.contact is not None
    return f"Contact: <sip:other@192.0.2.77>;expires=9, {request.contact};expires={expires}\r\n"


def test_what_the_carrier_grants_our_contact_counts() -> None:
    desk = Desk({"id": "carrier"} | REGISTERS)
    (register,) = desk.turn()
    assert (register.method, register.request_uri, str(register.to)) == ("REGISTER", "sip:carrier.example", "<sip:acme@carrier.example>")
    assert register.headers == (("Expires", "600"),)
    desk.answer(200, ours(register, 100))
    assert desk.turn(49.9) == []
    (refresh,) = desk.turn(0.2)
    assert (refresh.contact, refresh.call_id, refresh.cseq > register.cseq) == (register.contact, register.call_id, True)
    assert desk.facts() == ["trunk_registered"]


def test_a_grant_that_is_no_number_is_what_was_asked_for() -> None:
    desk = Desk({"id": "carrier"} | REGISTERS)
    (register,) = desk.turn()
    desk.answer(200, f"Contact: {register.contact};expires=\u00b2\r\nExpires: \u00b2\r\n")
    assert desk.facts() == ["trunk_registered"]
    assert desk.turn(290) == []


def test_the_next_server_is_asked_after_silence_and_one_at_a_time() -> None:
    desk = Desk({"id": "carrier", "servers": [{"address": "192.0.2.10"}]} | REGISTERS)
    (first,) = desk.turn()
    assert desk.turn(5.0) == []
    desk.silence()
    (second,) = desk.turn(2.0)
    assert [request.flow.remote[0] for request in (first, second) if request.flow] == ["192.0.2.9", "192.0.2.10"]
    assert desk.facts() == ["trunk_unregistered"]
    assert not desk.state.usable


def test_a_name_that_is_not_known_yet_is_waited_for() -> None:
    desk = Desk({"id": "carrier"} | REGISTERS)
    desk.known = False
    assert desk.turn() == []
    assert desk.state.registration.reason == "the carrier's name is not known"
    desk.known = True
    assert len(desk.turn(3.0)) == 1


def test_an_interval_that_is_too_brief_is_made_longer_at_once() -> None:
    desk = Desk({"id": "carrier"} | REGISTERS)
    desk.turn()
    desk.answer(423, "Min-Expires: 1800\r\n")
    (again,) = desk.turn()
    assert again.headers == (("Expires", "1800"),)
    desk.answer(200, ours(again, 1800))
    assert desk.facts() == ["trunk_registered"]


def test_a_realm_that_is_not_the_credential_s_is_said() -> None:
    desk = Desk({"id": "carrier"} | REGISTERS)
    desk.turn()
    desk.answer(401, 'WWW-Authenticate: Digest realm="else", nonce="x"\r\n')
    assert desk.state.registration.reason == "the carrier does not take the user name and password"
    assert desk.state.registration.sip_status == 401


def test_a_trunk_that_is_removed_leaves_the_carrier() -> None:
    desk = Desk({"id": "carrier"} | REGISTERS)
    (register,) = desk.turn()
    desk.answer(200, ours(register, 600))
    desk.configure({"id": "carrier"})
    (leave,) = desk.turn()
    assert (leave.contact, leave.headers) == (register.contact, (("Expires", "0"),))
    assert desk.facts() == ["trunk_registered", "trunk_unregistered"]
    assert desk.state.registration is None


def test_a_changed_trunk_is_registered_anew_and_another_change_is_not() -> None:
    desk = Desk({"id": "carrier"} | REGISTERS)
    (register,) = desk.turn()
    desk.answer(200, ours(register, 600))
    desk.configure({"id": "carrier"} | REGISTERS)
    assert desk.turn() == []
    desk.configure({"id": "carrier", "display_name": "renamed"} | REGISTERS)
    assert len(desk.turn()) == 1


def test_a_restart_with_many_trunks_is_no_flood() -> None:
    desk = Desk(*({"id": f"t{number}"} | REGISTERS for number in range(60)))
    assert [len(desk.turn()) for _ in range(4)] == [25, 25, 10, 0]


def test_a_server_is_pinged_at_its_interval_given_up_in_time_and_asked_more_often_while_down() -> None:
    desk = Desk({"id": "carrier", "ping_seconds": 60, "silence_seconds": 3})
    (options,) = desk.turn()
    assert (options.method, options.request_uri) == ("OPTIONS", "sip:192.0.2.9:5060")
    desk.answer(405)
    assert (desk.turn(59.0), len(desk.turn(1.0))) == ([], 1)
    assert desk.state.usable
    assert desk.turn(3.0) == []
    assert desk.facts() == ["trunk_server_down"]
    assert not desk.state.usable
    assert len(desk.turn(10.0)) == 1
    desk.answer(200)
    assert desk.facts() == ["trunk_server_down", "trunk_server_up"]
    assert desk.state.usable


def test_a_late_answer_to_an_old_ping_is_not_taken_for_a_new_one() -> None:
    desk = Desk({"id": "carrier", "ping_seconds": 60, "silence_seconds": 3})
    desk.turn()
    desk.turn(3.0)
    desk.answer(200)
    assert desk.facts() == ["trunk_server_down"]


def test_a_trunk_that_is_not_pinged_is_left_alone() -> None:
    desk = Desk({"id": "carrier"})
    assert desk.turn(1000.0) == []
    assert desk.state.usable


@pytest.mark.parametrize(
    ("node", "setting", "registers"),
    [("media-0", None, True), ("media-1", None, False), ("laptop", None, True), ("media-10", None, False), ("media-1", True, True)],
)
def test_one_node_of_several_registers(tmp_path: Path, node: str, setting: bool | None, registers: bool) -> None:
    settings = MediaSettings(
        token_key="k" * 40,
        node=node,
        plane_socket=tmp_path / "s",
        applications={},
        data=tmp_path,
        trunk_registrations=setting,
    )
    assert settings.registers_trunks is registers


@pytest.mark.feature("D-16")
@pytest.mark.parametrize(
    ("country", "numbers"),
    [
        ("CH", "112 117 118 143 144 147 1414 110"),
        ("FR", "112 15 17 18 114 115 119 196 110"),
        ("BE", "112 100 101 110"),
        ("US", "112 911 110"),
        ("AU", "112 000 110"),
    ],
)
def test_a_trunk_that_is_full_takes_calls_for_help_of_every_country_of_the_tenant(country: str, numbers: str) -> None:
    desk = Desk({"id": "carrier", "max_calls": 1})
    desk.country = country
    desk.configure({"id": "carrier", "max_calls": 1})

    def contact(number: str) -> Contact | None:
        flow = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5060))
        return desk.trunks.contact("dupont", "carrier", number, lambda _, dialled: [Contact(f"sip:{dialled}@c", flow, "", dialled, "c")])

    first = contact("+41215550109")
    assert first is not None
    assert desk.trunks.begin("first", first)
    assert contact("+41215550109") is None
    assert contact("999") is None
    for number in numbers.split():
        found = contact(number)
        assert found is not None, number
        assert found.emergency
        assert desk.trunks.begin(number, found)


WORKS = {"id": "works", "short_ranges": [{"first": "7000", "last": "7999"}]}


def arrives(desk: Desk, dialled: str, *trunks: tuple[str, str]) -> Arrival | None:
    head = "Via: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:7012@b>;tag=1\r\nTo: <sip:x@y>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
    request = parse_message(f"INVITE sip:{dialled}@y SIP/2.0\r\n{head}\r\n".encode())
    assert isinstance(request, Request)
    return desk.trunks.arrival(request, dialled, trunks or (("dupont", "carrier"), ("dupont", "works")))


@pytest.mark.feature("R-23")
def test_another_exchange_dials_extensions_and_a_carrier_none() -> None:
    desk = Desk({"id": "carrier"}, WORKS)
    assert arrives(desk, "101") == Arrival("dupont", "works", "101")
    assert arrives(desk, "101", ("dupont", "carrier")) is None
    assert arrives(desk, "102") is None
    assert arrives(desk, "+41215550101") == Arrival("dupont", "carrier", "+41215550101")


@pytest.mark.feature("R-23")
def test_where_exchanges_of_two_tenants_stand_neither_dials_extensions() -> None:
    desk = Desk(WORKS)
    desk.configure(WORKS, tenant="rossi")
    both = ("dupont", "works"), ("rossi", "works")
    assert arrives(desk, "101", *both) is None
    assert arrives(desk, "101", both[1]) == Arrival("rossi", "works", "101")
