"""MESSAGE (RFC 3428) outside and within a call."""

import pytest

from carillon_sip import NameAddr, RequestOut, RequestReceived, ResponseReceived, SessionRequest
from carillon_sip.testing import Faults, Node, Pair, make_full_pair

pytestmark = pytest.mark.feature("M-15")


def message(pair: Pair, text: str, transport: str = "udp", session: str | None = None) -> str:
    request = RequestOut(
        "MESSAGE",
        pair.network.flow(pair.alice, pair.bob, transport),  # type: ignore[arg-type]
        "sip:bob@192.0.2.2",
        NameAddr.of("sip:alice@example.com"),
        NameAddr.of("sip:bob@example.com"),
        body=text.encode(),
        content_type="text/plain;charset=UTF-8",
        session=session,
    )
    return pair.alice.agent.request(request, now=pair.network.now)


def test_a_text_arrives_and_is_answered(full_pair: Pair) -> None:
    asked = message(full_pair, "Bonjour à tous")
    full_pair.network.run(0.2)
    (event,) = full_pair.bob.of_kind(RequestReceived)
    assert isinstance(event, RequestReceived)
    assert (event.request.method, event.request.body.decode(), event.request.content_type) == ("MESSAGE", "Bonjour à tous", "text/plain")
    full_pair.bob.agent.respond(event.transaction, 202, now=0.2)
    full_pair.network.run(1.0)
    (response,) = full_pair.alice.of_kind(ResponseReceived)
    assert isinstance(response, ResponseReceived)
    assert (response.transaction, response.response.status) == (asked, 202)
    assert full_pair.on_wire() == ["MESSAGE", "202"]
    full_pair.assert_idle()


def test_over_udp_it_has_at_most_1300_bytes_over_tcp_and_within_a_call_as_much_as_a_message(full_pair: Pair) -> None:
    with pytest.raises(ValueError, match="1300"):
        message(full_pair, "x" * 1300)
    assert full_pair.on_wire() == []
    message(full_pair, "x" * 1300, "tcp")
    full_pair.network.run(1.0)
    assert len(full_pair.bob.of_kind(RequestReceived)) == 1


def test_within_a_call(full_pair: Pair) -> None:
    mine, theirs = full_pair.established()
    message(full_pair, "hello", session=mine)
    full_pair.network.run(1.0)
    (event,) = full_pair.bob.of_kind(SessionRequest)
    assert isinstance(event, SessionRequest)
    assert (event.session, event.request.body) == (theirs, b"hello")


@pytest.mark.parametrize("seed", [1, 2])
def test_over_a_rough_network_each_text_arrives_once(seed: int) -> None:
    pair = make_full_pair(seed, Faults(loss=0.2, duplicate=0.2, delay_min=0.005, delay_max=0.4))

    def answers(node: Node, output: object, now: float) -> None:
        if isinstance(output, RequestReceived):
            node.agent.respond(output.transaction, 200, now=now)

    pair.bob.handler = answers
    for number in range(60):
        message(pair, str(number))
        pair.network.run(pair.network.now + 0.3)
    pair.assert_idle()
    texts = [int(e.request.body) for e in pair.bob.of_kind(RequestReceived) if isinstance(e, RequestReceived)]
    assert sorted(texts) == list(range(60))
