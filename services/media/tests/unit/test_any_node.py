"""Registrations as all nodes know them together."""

import pytest

from carillon.media.v1 import media_pb2 as pb
from carillon_media.grpc_any_node import merged


def listed(*watchers: str, notices: int = 0, sip_user: str = "acme-101") -> pb.ListRegistrationsResponse:
    one = pb.Registration(sip_user=sip_user, contact="sip:101@192.0.2.7", watched_by=watchers, message_notices=notices)
    return pb.ListRegistrationsResponse(registrations=[one])


@pytest.mark.feature("D-9")
def test_watchers_of_all_nodes_are_told_once_and_notices_added() -> None:
    own = listed("ben", "carl", notices=2)
    (one,) = merged(own, [listed("anna", "ben", notices=3), listed("dora", sip_user="acme-102", notices=9)]).registrations
    assert (list(one.watched_by), one.message_notices) == (["anna", "ben", "carl"], 5)
    assert own == listed("ben", "carl", notices=2)
