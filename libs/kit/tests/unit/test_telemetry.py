"""Trace context, with and without an exporter."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from carillon_kit import telemetry
from carillon_kit.settings import ServiceSettings

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_without_an_exporter_the_parent_is_passed_on() -> None:
    with telemetry.entry("call", PARENT):
        assert telemetry.traceparent() == PARENT
        with telemetry.span("inner"):
            assert telemetry.traceparent() == PARENT
    assert telemetry.traceparent() is None


def test_without_a_parent_a_trace_begins() -> None:
    with telemetry.entry("one", None):
        first = telemetry.traceparent()
    with telemetry.entry("two", None):
        second = telemetry.traceparent()
    assert first
    assert second
    assert first != second


@pytest.mark.parametrize("header", ["", "x", "00-zz-b7ad6b7169203331-01", f"ff{PARENT[2:]}", f"00-{'0' * 32}{PARENT[35:]}", "-" * 55])
def test_what_does_not_parse_begins_a_new_trace(header: str) -> None:
    with telemetry.entry("call", header):
        parent = telemetry.traceparent()
    assert parent
    assert parent[3:35] not in header


@pytest.mark.feature("P-5")
def test_with_an_exporter_spans_are_recorded_under_their_parent() -> None:
    exporter = InMemorySpanExporter()
    telemetry.configure("test", ServiceSettings(token_key="k" * 32, node="n1"), exporter)
    try:
        with telemetry.entry("call", PARENT), telemetry.span("inner", attributes={"n": 1}):
            assert (telemetry.traceparent() or "")[:35] == PARENT[:35]
    finally:
        trace.get_tracer_provider().force_flush()  # type: ignore[attr-defined]
        spans = {span.name: span for span in exporter.get_finished_spans()}
        telemetry.shutdown()
    assert set(spans) == {"call", "inner"}
    assert spans["inner"].parent is not None
    assert spans["inner"].parent.span_id == spans["call"].context.span_id
    assert spans["call"].parent is not None
    assert format(spans["call"].parent.span_id, "016x") == PARENT[36:52]
    assert telemetry.traceparent() is None


@pytest.mark.feature("P-5")
def test_with_a_reader_instruments_are_measured_under_the_service_s_name() -> None:
    assert telemetry.meter() is None
    reader = InMemoryMetricReader()
    telemetry.configure("test", ServiceSettings(token_key="k" * 32, node="n1"), metrics_reader=reader)
    try:
        meter = telemetry.meter()
        assert meter is not None
        meter.create_counter("carillon.tests").add(3)
        measured = reader.get_metrics_data()
    finally:
        telemetry.shutdown()
    (resource,) = measured.resource_metrics  # type: ignore[union-attr]
    assert resource.resource.attributes["service.name"] == "test"
    assert resource.scope_metrics[0].metrics[0].name == "carillon.tests"
    assert telemetry.meter() is None
