import json

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.cdr.v1 import cdr_pb2
from carillon.media.v1 import media_pb2, node_pb2, security_pb2
from carillon.routing.v1 import hunt_groups_pb2
from carillon_cli.commands.groups import rows
from carillon_cli.render.plane import plane_lines
from carillon_cli.render.tables import RECORD_FIELDS, bans_table, event_line, record_json, records_table, table, trunks_table
from carillon_contracts.call import CallStarted

pytestmark = pytest.mark.feature("P-6")


def record() -> cdr_pb2.Record:
    return cdr_pb2.Record(
        call_id="c1",
        tenant="dupont",
        caller="101",
        dialled="102",
        direction=cdr_pb2.CALL_DIRECTION_INTERNAL,
        status=cdr_pb2.CALL_STATUS_SELF_SERVICE,
        started_at=Timestamp(seconds=1_800_000_000, nanos=1000),
        ended_at=Timestamp(seconds=1_800_000_010),
        talk_seconds=2.5,
        legs=[cdr_pb2.Leg(leg_id="a", party="dumas")],
        trunk_id="never shown",
    )


def test_a_record_has_exactly_the_promised_fields() -> None:
    found = record_json(record())
    assert tuple(found) == RECORD_FIELDS
    assert "never shown" not in json.dumps(found)


def test_transfers_are_told_when_there_were_any() -> None:
    moved = record()
    moved.transfers.add(kind="blind", by_leg="b1", by="elise", destination="101", result="answered")
    assert [(item["kind"], item["destination"], item["at"]) for item in record_json(moved)["transfers"]] == [("blind", "101", None)]


def test_enums_are_short_words_and_times_rfc_3339() -> None:
    found = record_json(record())
    assert (found["direction"], found["status"]) == ("internal", "self_service")
    assert found["started_at"] == "2027-01-15T08:00:00.000001Z"


def test_what_never_happened_is_null() -> None:
    found = record_json(record())
    assert found["answered_at"] is None
    assert found["legs"][0]["ringing_at"] is None


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(("A", "B"), [("longer", 1), ("x", 22)]) == ["A       B", "longer  1", "x       22"]


def test_a_record_is_one_row() -> None:
    assert len(records_table([record(), record()])) == 3


def test_an_event_is_one_line_with_place_and_facts(call) -> None:  # type: ignore[no-untyped-def]
    (event,) = call((0.0, "a", CallStarted(direction="inbound", caller="+41790000000", dialled="+41215550100")))
    line = event_line(event)
    assert "dupont call.started" in line
    assert "#1 a" in line
    assert "dialled=+41215550100" in line


@pytest.mark.feature("P-3")
def test_bans_say_who_is_kept_out_and_until_when() -> None:
    until = Timestamp(seconds=1_800_000_000)
    bans = [
        security_pb2.Ban(source="203.0.113.9", reason="failures", offence=2, until=until),
        security_pb2.Ban(account="anne", reason="failures", offence=1, until=until),
    ]
    _, first, second = bans_table(bans)
    assert first.split() == ["203.0.113.9", "source", "failures", "2", "2027-01-15", "08:00:00"]
    assert second.split()[:2] == ["anne", "account"]


@pytest.mark.feature("M-2")
def test_a_trunk_s_row_says_whether_it_is_registered_and_what_is_wrong() -> None:
    down = media_pb2.TrunkServerState(address="udp:192.0.2.7:5060", state="down")
    trunks = [
        media_pb2.TrunkState(trunk_id="a", registration="registered", expires_at=Timestamp(seconds=1_800_000_000), usable=True, calls=2),
        media_pb2.TrunkState(trunk_id="b", registration="failed", reason="403 Forbidden", servers=[down]),
    ]
    _, first, second = trunks_table(trunks)
    assert first.split() == ["a", "registered", "2027-01-15", "08:00:00", "yes", "2", "-", "-"]
    assert second.split() == ["b", "failed", "-", "no", "0", "udp:192.0.2.7:5060", "down", "403", "Forbidden"]


def test_who_is_logged_in_at_a_group() -> None:
    state = hunt_groups_pb2.GetHuntGroupsResponse()
    group = state.hunt_groups.add(hunt_group_id="support")
    group.members.add(user_id="anna", logged_in=True, changed_at=Timestamp(seconds=1_800_000_000))
    group.members.add(user_id="ben")
    group.members.add(user_id="carl", logged_in=True, permanent=True)
    assert [row.split() for row in rows(state)[1:]] == [
        ["support", "anna", "in", "2027-01-15", "08:00:00"],
        ["support", "ben", "out"],
        ["support", "carl", "always"],
    ]


def test_a_media_plane_is_told_with_the_reasons_that_occurred() -> None:
    told = node_pb2.GetMediaPlaneResponse(
        name="n1",
        pid=42,
        uptime=Duration(seconds=7200),
        sessions=4,
        rooms=1,
        packets_in=10,
        packets_out=9,
        dropped={"source": 7, "flood": 0, "replayed": 1},
        ports_total=100,
        ports_free=90,
        ports_used=10,
        threads=2,
        load=0.25,
        refusing=True,
        refused={"overloaded": 3},
    )
    text = "\n".join(plane_lines(told))
    assert "process 42, up 2:00:00" in text
    assert "10 used or at rest, 90 of 100 free" in text
    assert "dropped: replayed 1, source 7\n" in text
    assert "overloaded 3; new sessions are refused now" in text
