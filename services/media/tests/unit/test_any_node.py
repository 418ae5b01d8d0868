"""Registrations as all nodes know them together."""

from types import SimpleNamespace
from typing import Any

import pytest

from carillon.media.v1 import media_pb2 as pb
from carillon_media.grpc_any_node import OtherNodes, merged, paged, reached_at


def listed(*watchers: str, notices: int = 0, sip_user: str = "acme-101") -> pb.ListRegistrationsResponse:
    one = pb.Registration(sip_user=sip_user, contact="sip:101@192.0.2.7", watched_by=watchers, message_notices=notices)
    return pb.ListRegistrationsResponse(registrations=[one])


@pytest.mark.feature("D-9")
def test_watchers_of_all_nodes_are_told_once_and_notices_added() -> None:
    own = listed("ben", "carl", notices=2)
    (one,) = merged(own, [listed("anna", "ben", notices=3), listed("dora", sip_user="acme-102", notices=9)]).registrations
    assert (list(one.watched_by), one.message_notices) == (["anna", "ben", "carl"], 5)
    assert own == listed("ben", "carl", notices=2)


@pytest.mark.feature("D-9", "P-1")
def test_registrations_come_in_pages_and_who_has_left_after_them() -> None:
    def of(*users: str) -> list[pb.Registration]:
        return [pb.Registration(user_id=user, sip_user=user, contact=f"sip:{user}@192.0.2.7") for user in users]

    everything = pb.ListRegistrationsResponse(registrations=of("anna", "ben", "carl"), departed=of("anna", "dora"))
    request, told = pb.ListRegistrationsRequest(page_size=2), list[tuple[list[str], list[str]]]()
    while True:
        page = paged(everything, request)
        told.append(([each.user_id for each in page.registrations], [each.user_id for each in page.departed]))
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert told == [(["anna", "ben"], []), (["carl"], ["anna"]), ([], ["dora"])]
    assert paged(everything, pb.ListRegistrationsRequest()) == everything


def test_a_node_that_has_not_said_where_it_is_asked_is_not_left_out() -> None:
    nodes: Any = SimpleNamespace(alive={"b", "a"}, apis={"a": "192.0.2.7:1"})
    context: Any = SimpleNamespace(invocation_metadata=lambda: ())
    assert OtherNodes(nodes).all(context) == ["a", "b"]


@pytest.mark.parametrize(
    ("listen", "sip", "expected"),
    [
        ("192.0.2.7:0", ("192.0.2.8", 5060), "192.0.2.7:99"),
        ("0.0.0.0:0", ("192.0.2.8", 5060), "192.0.2.8:99"),
        ("[::]:0", ("2001:db8::1", 5060), "[2001:db8::1]:99"),
        ("[::]:0", None, ""),
        ("127.0.0.1:0", ("127.0.0.1", 5060), "127.0.0.1:99"),
        ("127.0.0.1:0", ("192.0.2.8", 5060), ""),
        ("localhost:0", ("192.0.2.8", 5060), ""),
        ("[::1]:0", ("192.0.2.8", 5060), ""),
        ("127.0.0.1:0", None, "127.0.0.1:99"),
        ("media.example:0", ("192.0.2.8", 5060), "media.example:99"),
    ],
)
def test_other_machines_are_not_told_of_what_only_this_one_reaches(listen: str, sip: Any, expected: str) -> None:
    assert reached_at(listen, 99, sip) == expected
