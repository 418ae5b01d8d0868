"""A registrar's rules as given / when / then."""

import pytest

from carillon_sip import Flow, NameAddr, Request, Uri
from carillon_sip.gruu import Gruus, instance_of, public_gruu, temporary_gruu, urn_of
from carillon_sip.parser import parse_message
from carillon_sip.registrar import Binding, RegisterOutcome, RegistrarSettings, register
from carillon_sip.testing import request_text
from carillon_sip.uri import unquote_string

pytestmark = pytest.mark.feature("M-1")

FLOW = Flow("udp", ("192.0.2.2", 5060), ("192.0.2.9", 5060))
NOW = 1000.0


def message(*contacts: str, cseq: int = 1, call_id: str = "phone", expires: str | None = None) -> Request:
    lines = "".join(f"Contact: {contact}\r\n" for contact in contacts) + (f"Expires: {expires}\r\n" if expires is not None else "")
    text = request_text("REGISTER", cseq=cseq, call_id=call_id, extra=lines).replace("Contact: <sip:st@192.0.2.9:5060>\r\n", "", 1)
    parsed = parse_message(text.encode())
    assert isinstance(parsed, Request)
    return parsed


def applied(request: Request, bindings: tuple[Binding, ...] = (), now: float = NOW, **limits: int) -> RegisterOutcome:
    return register(request, bindings, FLOW, now, RegistrarSettings(**limits))


def contacts(outcome: RegisterOutcome) -> list[str]:
    return [binding.contact for binding in outcome.bindings]


def test_several_devices_register_and_all_are_listed() -> None:
    first = applied(message("<sip:a@192.0.2.9>;expires=600"))
    second = applied(message("<sip:a@192.0.2.10>", call_id="other", expires="300"), first.bindings)
    assert contacts(second) == ["sip:a@192.0.2.9", "sip:a@192.0.2.10"]
    assert second.headers == (("Contact", "<sip:a@192.0.2.9>;expires=600"), ("Contact", "<sip:a@192.0.2.10>;expires=300"))
    assert [b.contact for b in second.added] == ["sip:a@192.0.2.10"]


def test_a_refresh_extends_and_moves_the_flow() -> None:
    first = applied(message("<sip:a@192.0.2.9>", expires="600"))
    moved = FLOW._replace(remote=("198.51.100.9", 1024))
    again = register(message("<sip:a@192.0.2.9>", cseq=2, expires="600"), first.bindings, moved, NOW + 500)
    (binding,) = again.bindings
    assert (binding.expires_at, binding.flow, binding.cseq) == (NOW + 1100, moved, 2)
    assert (again.added, again.refreshed) == ((), (binding,))


def test_zero_removes_one_and_star_removes_all() -> None:
    two = applied(message("<sip:a@192.0.2.9>", "<sip:b@192.0.2.9>")).bindings
    one = applied(message("<sip:a@192.0.2.9>;expires=0", cseq=2), two)
    assert contacts(one) == ["sip:b@192.0.2.9"]
    assert [b.contact for b in one.removed] == ["sip:a@192.0.2.9"]
    none = applied(message("*", cseq=3, expires="0"), two)
    assert (none.status, none.bindings, len(none.removed)) == (200, (), 2)


@pytest.mark.parametrize(
    "request_", [message("*"), message("*", "<sip:x@y>", expires="0"), message("*", expires="60"), message("<broken", expires="60")]
)
def test_what_contradicts_itself_is_400_and_changes_nothing(request_: Request) -> None:
    before = applied(message("<sip:a@192.0.2.9>", call_id="x")).bindings
    assert (applied(request_, before).status, applied(request_, before).bindings) == (400, before)


def test_a_query_without_contact_lists_and_changes_nothing() -> None:
    before = applied(message("<sip:a@192.0.2.9>;expires=600")).bindings
    outcome = applied(message(cseq=9), before, NOW + 100)
    assert outcome.bindings == before
    assert outcome.headers == (("Contact", "<sip:a@192.0.2.9>;expires=500"),)


def test_an_old_cseq_of_the_same_call_id_is_refused_and_changes_nothing() -> None:
    before = applied(message("<sip:a@192.0.2.9>", cseq=5)).bindings
    late = applied(message("<sip:new@192.0.2.9>", "<sip:a@192.0.2.9>;expires=0", cseq=4), before)
    assert (late.status, late.bindings) == (500, before)
    assert applied(message("*", cseq=5, expires="0"), before).status == 500
    assert applied(message("<sip:a@192.0.2.9>", cseq=1, call_id="rebooted"), before).status == 200


def test_too_short_is_423_too_long_is_cut_and_none_is_the_default() -> None:
    brief = applied(message("<sip:a@192.0.2.9>", expires="10"), min_expires=60)
    assert (brief.status, brief.headers, brief.bindings) == (423, (("Min-Expires", "60"),), ())
    assert applied(message("<sip:a@192.0.2.9>", expires="99999999"), max_expires=3600).bindings[0].expires_at == NOW + 3600
    assert applied(message("<sip:a@192.0.2.9>"), default_expires=1800).bindings[0].expires_at == NOW + 1800


def test_bindings_are_capped() -> None:
    many = applied(message(*(f"<sip:a@192.0.2.{n}>" for n in range(4))), max_bindings=3)
    assert (many.status, many.bindings) == (403, ())


def test_a_phone_that_moved_keeps_one_binding_by_its_instance() -> None:
    first = applied(message('<sip:a@192.0.2.9:1111>;+sip.instance="<urn:uuid:1>"'))
    again = applied(message('<sip:a@192.0.2.9:2222>;+sip.instance="<urn:uuid:1>"', cseq=2), first.bindings)
    assert contacts(again) == ["sip:a@192.0.2.9:2222"]
    assert len(again.refreshed) == 1


def test_bindings_that_ran_out_are_left_out_and_named() -> None:
    before = applied(message("<sip:a@192.0.2.9>;expires=60")).bindings
    outcome = applied(message(cseq=2), before, NOW + 61)
    assert (outcome.bindings, outcome.removed) == ((), before)


def flowing(reg_id: object, *, cseq: int = 1, more: str = "", expires: int = 600, host: str = "192.0.2.9") -> Request:
    """A REGISTER as RFC 5626 has it."""
    contact = f'<sip:a@{host}>;+sip.instance="<urn:uuid:1>";reg-id={reg_id};expires={expires}'
    parsed = message(contact, cseq=cseq)
    extra = f"Supported: path, outbound\r\n{more}"
    again = parse_message(parsed.to_bytes().replace(b"Contact:", f"{extra}Contact:".encode(), 1))
    assert isinstance(again, Request)
    return again


def test_two_flows_of_a_phone_are_two_bindings_and_a_new_flow_takes_the_place_of_its_old() -> None:
    first = applied(flowing(1))
    assert ("Require", "outbound") in first.headers
    assert first.headers[0] == ("Contact", '<sip:a@192.0.2.9>;expires=600;+sip.instance="<urn:uuid:1>";reg-id=1')
    second = applied(flowing(2, cseq=2), first.bindings)
    assert [(b.reg_id, b.contact) for b in second.bindings] == [(1, "sip:a@192.0.2.9"), (2, "sip:a@192.0.2.9")]
    assert len({binding.key for binding in second.bindings}) == 2
    moved = FLOW._replace(transport="tls", remote=("198.51.100.9", 40000))
    third = register(flowing(1, cseq=3, host="198.51.100.9"), second.bindings, moved, NOW + 1)
    assert {(b.reg_id, b.flow) for b in third.bindings} == {(2, FLOW), (1, moved)}
    assert (len(third.refreshed), third.added) == (1, ())
    fourth = applied(flowing(2, cseq=4, expires=0), third.bindings)
    assert [b.reg_id for b in fourth.bindings] == [1]


def test_a_phone_without_reg_id_is_left_alone_by_one_that_has_it() -> None:
    plain = applied(message("<sip:a@192.0.2.9>", call_id="plain", expires="600"))
    assert [b.reg_id for b in applied(flowing(1), plain.bindings).bindings] == [0, 1]


def test_over_a_connection_of_its_own_a_phone_comes_back_soon_and_one_with_outbound_is_told_how_often_to_ask() -> None:
    stream = FLOW._replace(transport="tcp")
    limits = RegistrarSettings(max_connection_expires=60, max_flow_expires=120, flow_timer=30)
    plain = register(message("<sip:a@192.0.2.9>", expires="600"), (), stream, NOW, limits)
    assert plain.headers == (("Contact", "<sip:a@192.0.2.9>;expires=60"),)
    kept = register(flowing(1), (), stream, NOW, limits)
    assert dict(kept.headers)["Flow-Timer"] == "30"
    assert kept.bindings[0].expires_at == NOW + 120
    edge = "Path: <sip:edge.example;lr;ob>\r\nVia: SIP/2.0/UDP edge.example;branch=z9hG4bKedge\r\n"
    behind = register(flowing(1, more=edge), (), stream, NOW, limits)
    assert behind.bindings[0].expires_at == NOW + 600


def test_the_path_is_kept_and_told() -> None:
    path = "Path: <sip:edge.example;lr;ob>, <sip:first.example;lr;ob>\r\nVia: SIP/2.0/UDP edge.example;branch=z9hG4bKedge\r\n"
    outcome = applied(flowing(1, more=path))
    (binding,) = outcome.bindings
    assert (binding.path, binding.reg_id) == (("<sip:edge.example;lr;ob>", "<sip:first.example;lr;ob>"), 1)
    assert ("Path", "<sip:edge.example;lr;ob>, <sip:first.example;lr;ob>") in outcome.headers


@pytest.mark.parametrize("path", ["Path: <sip:edge.example;lr>\r\n", ""])
def test_a_first_hop_that_keeps_no_flows_is_439(path: str) -> None:
    """Through a proxy that says nothing of flows, a reg-id would promise what does not hold."""
    more = f"{path}Via: SIP/2.0/UDP edge.example;branch=z9hG4bKedge\r\n"
    outcome = applied(flowing(1, more=more))
    assert (outcome.status, outcome.bindings) == (439, ())


@pytest.mark.parametrize("reg_id", ["0", "x", "-1", "4294967296", '""'])
def test_a_reg_id_that_is_none_is_400(reg_id: str) -> None:
    assert applied(flowing(reg_id)).status == 400


def test_one_request_registers_one_flow() -> None:
    one, two = (f'<sip:{name}@192.0.2.9>;+sip.instance="<urn:uuid:1>";reg-id={n}' for n, name in ((1, "a"), (2, "b")))
    assert applied(message(one, two, expires="600")).status == 400


URN = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"


def test_who_asks_for_gruus_gets_them() -> None:
    def gruus(instance: str, call_id: str, cseq: int) -> Gruus:
        return Gruus(public_gruu("st", "example.com", instance), temporary_gruu(f"{call_id}-{cseq}", "example.com"))

    contact = f'<sip:a@192.0.2.9>;+sip.instance="<{URN}>"'
    asked = message(contact)
    assert "gruu" not in applied(asked).headers[0][1]
    asked.headers.lines.append("Supported: path, gruu")
    fresh = parse_message(asked.to_bytes())
    assert isinstance(fresh, Request)
    outcome = register(fresh, (), FLOW, NOW, RegistrarSettings(), gruus)
    answer = NameAddr.parse(outcome.headers[0][1])
    public, temporary = (unquote_string(answer.parameter(name) or "") for name in ("pub-gruu", "temp-gruu"))
    assert (public, temporary) == (f"sip:st@example.com;gr={URN}", "sip:phone-1@example.com;gr")
    assert instance_of(Uri.parse(public)) == URN
    assert instance_of(Uri.parse(temporary)) == ""
    assert instance_of(Uri.parse("sip:st@example.com")) is None


def test_a_gruu_is_no_contact_and_a_strange_instance_has_no_gruu() -> None:
    domain = message().to.uri.host
    assert applied(message(f"<sip:a@{domain};gr={URN}>")).status == 403
    assert urn_of(f"<{URN}>") == URN
    assert urn_of('<urn:x";evil>') == urn_of("urn:uuid:1") == ""
