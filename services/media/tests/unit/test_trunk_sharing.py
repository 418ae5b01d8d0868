"""Calls over several servers of one carrier: equals share them, whichever is away leaves its calls to all others."""

from collections import Counter

import pytest

from carillon_media.domain.trunk_lines import TrunkAddress, shared

pytestmark = pytest.mark.feature("M-2")

SERVERS = [TrunkAddress("dupont", "carrier", host, 5060, "udp", priority) for host, priority in (("a", 0), ("b", 0), ("c", 0), ("d", 1))]


def test_equals_share_calls_and_the_rest_comes_after_them() -> None:
    orders = [[server.host for server in shared(SERVERS, f"call-{n}")] for n in range(3000)]
    assert all(order[3] == "d" for order in orders)
    firsts = Counter(order[0] for order in orders)
    assert all(900 < firsts[host] < 1100 for host in "abc")
    seconds = Counter(order[1] for order in orders if order[0] == "a")
    assert all(0.4 < seconds[host] / firsts["a"] < 0.6 for host in "bc")


def test_a_call_always_has_the_same_order_and_no_call_the_configured_one() -> None:
    assert shared(SERVERS, "call-1") == shared(list(reversed(SERVERS)), "call-1")
    assert shared(SERVERS, "") == SERVERS


def test_a_server_that_is_taken_away_moves_only_its_own_calls() -> None:
    for n in range(500):
        order = shared(SERVERS, f"call-{n}")
        assert shared([server for server in SERVERS if server.host != "b"], f"call-{n}") == [
            server for server in order if server.host != "b"
        ]
