"""What operators are told of the media plane: over gRPC and as metrics."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from carillon.media.v1 import node_pb2
from carillon_media.adapters.plane_metrics import PlaneMetrics
from carillon_media.grpc_node import plane_fields
from carillon_rtp.protocol import PlaneUnavailable
from carillon_rtp.values import Dropped, PlaneStatistics

pytestmark = pytest.mark.feature("M-7", "P-5")
TOLD = PlaneStatistics(
    sessions=4,
    ports_free=90,
    ports_total=100,
    packets_in=1000,
    packets_out=990,
    dropped=Dropped(source=7, flood=2, replayed=1, malformed=3),
    events_lost=5,
    cpu_ms=1500,
    late_ticks=20,
    uptime_ms=60_000,
    pid=42,
    load=0.25,
    late=0.1,
    threads=2,
    ticks=200,
    rooms=1,
    recording_overruns=6,
    refused={"overloaded": 8, "no_ports": 9},
)


def measured(reader: InMemoryMetricReader) -> dict[str, dict[str, Any]]:
    """Values by instrument and attribute."""
    data = reader.get_metrics_data()
    scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
    return {
        metric.name.removeprefix("carillon.media_plane."): {
            "/".join(map(str, (point.attributes or {}).values())): point.value  # type: ignore[union-attr]
            for point in metric.data.data_points
        }
        for scope in scopes
        for metric in scope.metrics
    }


async def test_every_figure_is_a_metric_while_the_plane_answers() -> None:
    answers: list[PlaneStatistics | PlaneUnavailable] = [TOLD, PlaneUnavailable("unavailable", "gone")]

    async def ask() -> PlaneStatistics:
        answer = answers.pop(0)
        if isinstance(answer, PlaneUnavailable):
            raise answer
        return answer

    reader = InMemoryMetricReader()
    metrics = PlaneMetrics(MeterProvider((reader,)).get_meter("test"), ask)
    assert measured(reader) == {}
    await metrics.look()
    assert measured(reader) == {
        "sessions": {"": 4},
        "rooms": {"": 1},
        "ports": {"free": 90, "used": 10},
        "load": {"": 0.25},
        "late": {"": 0.1},
        "refusing": {"": 0},
        "packets": {"in": 1000, "out": 990},
        "dropped": asdict(TOLD.dropped),
        "refused": {"overloaded": 8, "no_ports": 9},
        "ticks": {"no": 180, "yes": 20},
        "cpu": {"": 1.5},
        "events_lost": {"": 5},
        "recording_overruns": {"": 6},
    }
    await metrics.look()
    assert measured(reader) == {}


def test_every_figure_is_in_the_answer_to_operators() -> None:
    answer = node_pb2.GetMediaPlaneResponse(name="n1", **plane_fields(TOLD))
    assert {field.name for field, _ in answer.ListFields()} | {"refusing"} == set(node_pb2.GetMediaPlaneResponse.DESCRIPTOR.fields_by_name)
    assert answer.uptime.ToTimedelta() == timedelta(minutes=1)
    assert dict(answer.dropped) == asdict(TOLD.dropped)
    assert (answer.ports_used, dict(answer.refused)) == (10, {"overloaded": 8, "no_ports": 9})
    assert PlaneStatistics.from_json(TOLD.to_json()) == TOLD
