"""RFC 3263: from a name to servers in order, with DNS as data."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_sip.locate import Destination, HostAddress, Naptr, Question, Record, Server, Srv, in_order, locate
from carillon_sip.uri import Uri

pytestmark = pytest.mark.feature("M-2")

DNS: Mapping[Question, Sequence[Record]] = {
    Question("NAPTR", "carrier.example"): [
        Naptr(100, 50, "s", "SIP+D2U", "_sip._udp.carrier.example."),
        Naptr(50, 50, "S", "sips+d2t", "_sips._tcp.carrier.example."),
        Naptr(90, 50, "u", "E2U+sip", "."),
        Naptr(90, 10, "s", "SIP+D2T", "_sip._tcp.carrier.example."),
    ],
    Question("SRV", "_sips._tcp.carrier.example"): [Srv(1, 0, 5061, "a.carrier.example."), Srv(2, 0, 5061, "b.carrier.example")],
    Question("SRV", "_sip._tcp.carrier.example"): [Srv(1, 0, 5060, "b.carrier.example")],
    Question("SRV", "_sip._udp.carrier.example"): [Srv(9, 0, 5080, "b.carrier.example"), Srv(1, 0, 5070, "A.carrier.example")],
    Question("A", "a.carrier.example"): [HostAddress("192.0.2.1")],
    Question("AAAA", "a.carrier.example"): [HostAddress("2001:db8::1")],
    Question("A", "b.carrier.example"): [HostAddress("192.0.2.2")],
    Question("A", "plain.example"): [HostAddress("192.0.2.9")],
    Question("SRV", "_sip._udp.closed.example"): [Srv(0, 0, 0, ".")],
    Question("A", "closed.example"): [HostAddress("192.0.2.66")],
}


def served(destination: Destination, **options: object) -> tuple[list[tuple[str, str, int]], int]:
    """(transport, ip, port) in order, and how many rounds of questions it took."""
    answers: dict[Question, Sequence[Record]] = {}
    rounds = 0
    while (found := locate(destination, answers, **options)).missing:  # type: ignore[arg-type]
        rounds += 1
        assert not set(found.missing) & set(answers)
        answers |= {question: DNS.get(question, ()) for question in found.missing}
    return [(server.transport, server.ip, server.port) for server in found.servers], rounds


def test_naptr_says_the_transport_srv_the_servers_and_all_are_tried_in_order() -> None:
    servers, rounds = served(Destination("carrier.example"))
    assert servers == [
        ("tls", "192.0.2.1", 5061),
        ("tls", "2001:db8::1", 5061),
        ("tls", "192.0.2.2", 5061),
        ("tcp", "192.0.2.2", 5060),
        ("udp", "192.0.2.1", 5070),
        ("udp", "2001:db8::1", 5070),
        ("udp", "192.0.2.2", 5080),
    ]
    assert rounds == 3


def test_services_that_are_not_ours_are_passed_over() -> None:
    servers, _ = served(Destination("carrier.example"), transports=("udp",), families=("A",))
    assert servers == [("udp", "192.0.2.1", 5070), ("udp", "192.0.2.2", 5080)]


def test_sips_goes_over_tls_only() -> None:
    servers, _ = served(Destination.of_uri(Uri.parse("sips:x@carrier.example")))
    assert {transport for transport, _, _ in servers} == {"tls"}


def test_a_transport_that_is_said_needs_no_naptr() -> None:
    servers, rounds = served(Destination.of_uri(Uri.parse("sip:x@Carrier.Example;transport=tcp")))
    assert (servers, rounds) == ([("tcp", "192.0.2.2", 5060)], 2)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:x@plain.example", ("udp", "192.0.2.9", 5060)),
        ("sip:x@plain.example;transport=tls", ("tls", "192.0.2.9", 5061)),
        ("sips:x@plain.example", ("tls", "192.0.2.9", 5061)),
        ("sips:x@plain.example;transport=tcp", ("tls", "192.0.2.9", 5061)),
        ("sip:x@plain.example:5099", ("udp", "192.0.2.9", 5099)),
        ("sip:x@192.0.2.7", ("udp", "192.0.2.7", 5060)),
        ("sip:x@[2001:db8::7];transport=tcp", ("tcp", "2001:db8::7", 5060)),
        ("sip:x@carrier.example;maddr=192.0.2.8", ("udp", "192.0.2.8", 5060)),
    ],
)
def test_without_records_defaults_hold(uri: str, expected: tuple[str, str, int]) -> None:
    assert served(Destination.of_uri(Uri.parse(uri)))[0] == [expected]


def test_a_port_or_an_address_asks_for_no_srv() -> None:
    assert locate(Destination("plain.example", 5060), {}).missing == (Question("A", "plain.example"), Question("AAAA", "plain.example"))
    assert locate(Destination("192.0.2.1"), {}).missing == ()


def test_a_service_that_is_decidedly_not_there_is_not_looked_for_elsewhere() -> None:
    assert served(Destination("closed.example", transport="udp"))[0] == []


def test_the_servers_known_so_far_can_be_used_while_others_are_asked_for() -> None:
    known = {question: records for question, records in DNS.items() if question.name != "b.carrier.example"}
    found = locate(Destination("carrier.example", transport="udp"), known)
    assert found.servers[0] == Server("udp", "192.0.2.1", 5070, "a.carrier.example")
    assert found.missing == (Question("A", "b.carrier.example"), Question("AAAA", "b.carrier.example"))


def test_weights_share_the_calls_and_priorities_do_not() -> None:
    records = [Srv(1, 60, 1, "a"), Srv(1, 20, 2, "b"), Srv(1, 20, 3, "c"), Srv(1, 0, 4, "d"), Srv(5, 100, 5, "e")]
    orders = [in_order(records, choice) for choice in range(5000)]
    assert all(order[-1].target == "e" and len(order) == 5 for order in orders)
    first = Counter(order[0].target for order in orders)
    assert first["a"] == pytest.approx(3000, rel=0.1)
    assert first["b"] == pytest.approx(1000, rel=0.15)
    assert first["d"] < 150
    assert in_order(records, 7) == in_order(records, 7)


def test_several_addresses_of_one_name_share_the_calls() -> None:
    answers = {Question("A", "pool.example"): [HostAddress(f"192.0.2.{n}") for n in range(4)], Question("AAAA", "pool.example"): ()}
    first = Counter(locate(Destination("pool.example", 5060), answers, choice).servers[0].ip for choice in range(400))
    assert len(first) == 4
    assert min(first.values()) > 60


names = st.sampled_from(["x", "carrier.example", "_sip._udp.x", "", ".", "192.0.2.1"])
records = st.one_of(
    st.builds(Naptr, st.integers(0, 9), st.integers(0, 9), st.sampled_from("saSAup"), st.sampled_from(["SIP+D2U", "SIPS+D2T", "x"]), names),
    st.builds(Srv, st.integers(0, 3), st.integers(0, 65535), st.integers(0, 65535), names),
    st.builds(HostAddress, st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1"])),
)


@given(st.lists(records, max_size=100), st.integers(-(2**70), 2**70))
def test_whatever_dns_says_it_ends_and_is_bounded(everything: list[Record], choice: int) -> None:
    answers: dict[Question, Sequence[Record]] = {}
    destination = Destination("carrier.example")
    for _ in range(4):
        found = locate(destination, answers, choice)
        answers |= dict.fromkeys(found.missing, everything)
    assert not found.missing
    assert len(found.servers) <= 64
    assert found == locate(destination, answers, choice)
