import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest

from carillon.common.v1.call_application_pb2 import TraceEntry
from carillon.directory.v1 import plan_pb2
from carillon.routing.v1 import explain_pb2, routing_pb2
from carillon.routing.v1.explain_pb2_grpc import add_ExplainServiceServicer_to_server
from carillon_cli.commands.replay import elsewhere
from carillon_cli.commands.trace import lines, run
from carillon_cli.errors import CliError
from carillon_cli.render.findings import found


@pytest.mark.feature("R-20")
def test_a_watched_call_is_told_with_its_moment_and_its_id() -> None:
    first, then = explain_pb2.WatchNumbersResponse(), explain_pb2.WatchNumbersResponse(call_id="c1", text="one\ntwo", left_out=3)
    first.until.FromDatetime(datetime(2026, 1, 6, 9, 30, tzinfo=UTC))
    then.part.at.FromDatetime(datetime(2026, 1, 6, 9, 15, 2, tzinfo=UTC))
    assert lines(first) == ["watching until 09:30:00 UTC"]
    assert lines(then) == ["09:15:02 c1 (3 calls left out)", "  one", "  two"]


class Watching:
    """Tells of one call for each token; a token ends then, but for the last."""

    ExplainCall: Any = None

    def __init__(self, folder: Path, tokens: list[str]) -> None:
        self.folder, self.tokens, self.port, self.asked = folder, tokens, 0, list[int]()

    def write(self) -> None:
        """As who runs such a system puts a token there."""
        grpc_ports = {"routing": f"127.0.0.1:{self.port}"}
        (self.folder / "run.json").write_text(
            json.dumps({"version": 1, "admin_token": self.tokens[0], "grpc": grpc_ports, "tenants": {"dupont": {}}})
        )

    def WatchNumbers(self, request: Any, context: Any) -> Iterator[Any]:
        self.asked.append(request.seconds)
        assert dict(context.invocation_metadata())["authorization"] == f"Bearer {self.tokens[0]}"
        yield explain_pb2.WatchNumbersResponse(call_id=self.tokens[0])
        if self.tokens[1:]:
            del self.tokens[0]
            if self.tokens[0]:
                self.write()
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token has expired; ask again with a new one")


@pytest.mark.feature("R-20", "P-3")
@pytest.mark.parametrize("tokens", [["one", "two"], ["one", ""]])
def test_a_watch_goes_on_with_the_new_token_of_run_json_and_says_so_if_there_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tokens: list[str]
) -> None:
    server, watching = grpc.server(ThreadPoolExecutor(2)), Watching(tmp_path, list(tokens))
    servicer: Any = watching
    add_ExplainServiceServicer_to_server(servicer, server)
    watching.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    watching.write()
    options = argparse.Namespace(data=tmp_path, tenant=None, numbers=["101"], language="", seconds=600)
    try:
        if tokens[1]:
            assert run(options) == 0
        else:
            with pytest.raises(CliError, match="does not count any more"):
                run(options)
    finally:
        server.stop(None)
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == [each for each in tokens if each]
    assert all(0 < seconds <= 600 for seconds in watching.asked)


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
