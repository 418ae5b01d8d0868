from datetime import UTC, datetime

import pytest

from carillon.common.v1.call_application_pb2 import TraceEntry
from carillon.directory.v1 import plan_pb2
from carillon.routing.v1 import explain_pb2, routing_pb2
from carillon_cli.commands.replay import elsewhere
from carillon_cli.commands.trace import lines
from carillon_cli.render.findings import found


@pytest.mark.feature("R-20")
def test_a_watched_call_is_told_with_its_moment_and_its_id() -> None:
    first, then = explain_pb2.WatchNumbersResponse(), explain_pb2.WatchNumbersResponse(call_id="c1", text="one\ntwo", left_out=3)
    first.until.FromDatetime(datetime(2026, 1, 6, 9, 30, tzinfo=UTC))
    then.part.at.FromDatetime(datetime(2026, 1, 6, 9, 15, 2, tzinfo=UTC))
    assert lines(first) == ["watching until 09:30:00 UTC"]
    assert lines(then) == ["09:15:02 c1 (3 calls left out)", "  one", "  two"]


@pytest.mark.feature("R-22")
def test_where_two_configurations_part_both_reasons_are_told() -> None:
    turns = [
        routing_pb2.SimulatedTurn(trace=[TraceEntry(subject="s", matched=True, reason=reason)]) for reason in ("as it was", "as it is")
    ]
    course = routing_pb2.OtherCourse(
        config_seq_then=3,
        config_seq_other=9,
        elsewhere=True,
        then=["a", "b"],
        other=["a", "c"],
        turns_then=[routing_pb2.SimulatedTurn(), turns[0]],
        turns_other=[routing_pb2.SimulatedTurn(), turns[1]],
    )
    assert elsewhere(course) == [
        "ELSEWHERE",
        "  version 3: a -> b",
        "  the other (9): a -> c",
        "  step 2 by version 3:",
        "    + s  as it was",
        "  step 2 by the other (9):",
        "    + s  as it is",
    ]


@pytest.mark.feature("R-2")
def test_a_finding_names_its_node_and_field_and_how_it_is_mended() -> None:
    odd = plan_pb2.PlanFinding(
        severity=plan_pb2.FINDING_SEVERITY_WARNING,
        node_id="hours",
        field="nodes[0].calendar",
        reason="it never matches",
        mend="take it out",
    )
    assert found([odd]) == ["warning  node hours  nodes[0].calendar", "    it never matches", "    -> take it out"]
    assert found([]) == ["nothing is odd"]
