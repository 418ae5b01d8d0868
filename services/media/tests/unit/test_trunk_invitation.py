"""What a carrier is told: the number in its format, who calls, who withholds it, who forwarded the call."""

from typing import Any

import pytest

from carillon_contracts.config import Tenant, Trunk, TrunkCredential
from carillon_contracts.tenant_config import TenantConfig
from carillon_media.domain.diversion import Diverted, diversions_of, sent_on_by
from carillon_media.domain.facts import Contact
from carillon_media.domain.trunk_invitation import trunk_invitation
from carillon_media.domain.trunk_lines import TrunkLine, lines_of
from carillon_sip.commands import Invite
from carillon_sip.flow import Flow
from carillon_sip.message import Request
from carillon_sip.parser import parse_message

pytestmark = pytest.mark.feature("M-2")
FLOW = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5060))
REGISTERING = {"address": "sip.carrier.example", "registration": {"domain": "carrier.example"}, "trunk_credential_id": "account"}


def tenant(trunk: dict[str, Any], **others: Any) -> TenantConfig:
    account = TrunkCredential(id="account", username="4121555@carrier.example", sealed_password="AAAA")
    resources = {
        "tenant": {"dupont": Tenant(id="dupont", realm="dupont.example", main_number="+41215550100")},
        "trunk": {"carrier": Trunk.model_validate({"id": "carrier", "address": "192.0.2.9"} | trunk)},
        "trunk_credential": {"account": account},
    }
    return TenantConfig("dupont", 1, resources | others)  # type: ignore[arg-type]


def line(**trunk: Any) -> TrunkLine:
    return lines_of(tenant(trunk), lambda tenant, credential: "hush")["carrier"]


def invite(one: TrunkLine, caller: str = "+41215550101", name: str = "Anne", diversions: tuple[Diverted, ...] = ()) -> Invite:
    contact = Contact("sip:+41791234567@192.0.2.9:5060", FLOW, "trunk:carrier", "+41791234567", "192.0.2.1", trunk=one)
    return trunk_invitation(
        contact, one, FLOW.local, caller_number=caller, caller_name=name, diversions=diversions, body=b"", max_forwards=70
    )


def request(fields: str) -> Request:
    head = "Via: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:x@y>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
    found = parse_message(f"INVITE sip:x@y SIP/2.0\r\n{head}{fields}\r\n".encode())
    assert isinstance(found, Request)
    return found


def headers(made: Invite) -> dict[str, str]:
    return dict(made.headers)


def test_a_static_trunk_is_shown_the_caller_in_from_and_asserted() -> None:
    made = invite(line())
    assert str(made.from_) == '"Anne" <sip:+41215550101@192.0.2.1>'
    assert headers(made) == {"P-Asserted-Identity": '"Anne" <sip:+41215550101@192.0.2.1>'}
    assert (made.credentials, made.max_forwards) == (None, 69)


def test_a_registering_trunk_is_shown_its_account_and_its_domain() -> None:
    made = invite(line(**REGISTERING, identity={"from_number": "account", "asserted": "p_preferred_identity"}))
    assert str(made.from_) == '"Anne" <sip:4121555@carrier.example>'
    assert headers(made) == {"P-Preferred-Identity": '"Anne" <sip:+41215550101@carrier.example>'}
    assert made.credentials is not None
    assert "hush" not in repr(line(**REGISTERING))


def test_who_calls_is_written_in_the_trunk_s_format() -> None:
    made = invite(line(caller_format={"style": "national"}, identity={"domain": "voip.example"}))
    assert str(made.from_.uri) == "sip:0215550101@voip.example"
    assert headers(made)["P-Asserted-Identity"] == '"Anne" <sip:0215550101@voip.example>'


def test_nothing_is_asserted_where_the_carrier_does_not_want_it() -> None:
    assert invite(line(identity={"asserted": "none"})).headers == ()


@pytest.mark.parametrize("identity", [{}, {"from_number": "account"}])
def test_who_withholds_the_number_is_anonymous_to_the_called_and_known_to_the_carrier(identity: dict[str, str]) -> None:
    made = invite(line(**REGISTERING, identity=identity), caller="", name="Anne Dumas")
    assert str(made.from_) == '"Anonymous" <sip:anonymous@anonymous.invalid>'
    assert headers(made) == {"P-Asserted-Identity": "<sip:+41215550100@carrier.example>", "Privacy": "id"}
    assert "Anne" not in f"{made}"


SENT_ON = (Diverted("+41215550100", "unconditional"), Diverted("+41215550101", "no-answer"))


def test_a_forwarded_call_tells_by_whom_in_diversion() -> None:
    made = invite(line(identity={"diversion": "diversion"}), diversions=SENT_ON)
    found = [value for name, value in made.headers if name == "Diversion"]
    assert found == [
        "<sip:+41215550101@192.0.2.1>;reason=no-answer;privacy=off",
        "<sip:+41215550100@192.0.2.1>;reason=unconditional;privacy=off",
    ]


def test_a_forwarded_call_tells_by_whom_in_history_info() -> None:
    made = invite(line(identity={"diversion": "history_info"}), diversions=SENT_ON)
    assert headers(made)["History-Info"] == (
        "<sip:+41215550100@192.0.2.1>;index=1, "
        "<sip:+41215550101@192.0.2.1;cause=302>;index=1.1;mp=1, "
        "<sip:+41791234567@192.0.2.1;cause=408>;index=1.1.1;mp=1.1"
    )


def test_a_call_that_was_not_forwarded_or_a_trunk_that_must_not_know_has_neither() -> None:
    assert set(headers(invite(line(identity={"diversion": "both"})))) == {"P-Asserted-Identity"}
    assert set(headers(invite(line(), diversions=SENT_ON))) == {"P-Asserted-Identity"}


@pytest.mark.parametrize("wanted", ["diversion", "history_info", "both"])
def test_what_we_tell_we_understand(wanted: str) -> None:
    made = invite(line(identity={"diversion": wanted}), diversions=SENT_ON)
    assert diversions_of(request("".join(f"{name}: {value}\r\n" for name, value in made.headers))) == SENT_ON


def test_what_a_carrier_tells_wrongly_is_left_out() -> None:
    text = 'Diversion: nonsense, <sip:+41215550100@x>;reason="user-busy", <sip:anne@x>\r\nHistory-Info: <<\r\n'
    assert diversions_of(request(text)) == (Diverted("+41215550100", "user-busy"),)
    entries = "<sip:+41215550100@x>;index=1, <sip:+41215550101@x;cause=\u00b2>;index=1.1, <sip:+41215550102@x;cause=302>;index=1.2"
    assert diversions_of(request(f"History-Info: {entries}\r\n")) == (Diverted("+41215550101", "unconditional"),)


def test_who_sent_a_call_on_is_the_number_that_was_called() -> None:
    config = tenant({})
    assert sent_on_by(config, "+41215550100", True, None) == Diverted("+41215550100", "unconditional")
    assert sent_on_by(config, "+41215550100", True, "busy") == Diverted("+41215550100", "user-busy")
    assert sent_on_by(config, "101", True, None) == sent_on_by(config, "101", False, None)
    assert sent_on_by(config, "+41791234567", False, None) is None


@pytest.mark.feature("R-23")
def test_a_call_that_is_sent_on_may_go_less_far() -> None:
    assert invite(line(), diversions=(Diverted("+41215550100"),)).max_forwards == 63
