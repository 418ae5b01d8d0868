"""Traces and metrics: providers, exporters, and the W3C trace context that travels with calls and events.

Invariant: a trace id travels whether or not anything is exported; without an exporter no span is recorded, so that a call costs
microseconds.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

from carillon_kit.settings import ServiceSettings

HEADER = "traceparent"
#: Between two exports of metrics.
METRICS_SECONDS = 30
_VERSION = "00"


class _State:
    """The process's providers; None: nothing is recorded."""

    provider: TracerProvider | None = None
    meters: MeterProvider | None = None


def configure(
    service: str, settings: ServiceSettings, exporter: SpanExporter | None = None, metrics_reader: MetricReader | None = None
) -> None:
    """Set the providers; with `otlp_endpoint` (or an `exporter`, a `metrics_reader`), spans and metrics are exported in batches."""
    endpoint = settings.otlp_endpoint
    if endpoint is not None:
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        insecure = not endpoint.startswith("https://")
        exporter = exporter or OTLPSpanExporter(endpoint=endpoint, insecure=insecure, timeout=5)
        exported = OTLPMetricExporter(endpoint=endpoint, insecure=insecure, timeout=5)
        metrics_reader = metrics_reader or PeriodicExportingMetricReader(exported, export_interval_millis=METRICS_SECONDS * 1000)
    resource = Resource.create({"service.name": service, "service.instance.id": settings.node})
    if exporter is not None:
        provider = TracerProvider(resource=resource)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        _State.provider = provider
    if metrics_reader is not None:
        _State.meters = MeterProvider((metrics_reader,), resource)


def shutdown() -> None:
    """Flush and stop the exporter, bounded."""
    provider, _State.provider = _State.provider, None
    meters, _State.meters = _State.meters, None
    if provider is not None:
        provider.shutdown()
    if meters is not None:
        meters.shutdown(5000)


def provider() -> TracerProvider | None:
    """The process's tracer provider, for libraries that open spans themselves; None when nothing is recorded."""
    return _State.provider


def meter() -> Meter | None:
    """What makes the process's instruments; None: nothing is measured."""
    return None if _State.meters is None else _State.meters.get_meter("carillon")


def traceparent() -> str | None:
    """W3C `traceparent` of the current span, for events and headers; None outside of any."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"{_VERSION}-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


@contextmanager
def span(name: str, kind: SpanKind = SpanKind.INTERNAL, attributes: Mapping[str, str | int | float | bool] | None = None) -> Iterator[Span]:
    """A span under the current one; a cheap pass-through when nothing is recorded."""
    provider = _State.provider
    if provider is None:
        yield trace.get_current_span()
        return
    tracer = provider.get_tracer("carillon_kit")
    with tracer.start_as_current_span(name, kind=kind, attributes=dict(attributes or {})) as started:
        yield started


@contextmanager
def entry(name: str, parent: str | None, kind: SpanKind = SpanKind.SERVER) -> Iterator[None]:
    """Where work enters the process (a call, a message): the span continues `parent` (a `traceparent`) or begins a new trace."""
    context = _parse(parent)
    provider = _State.provider
    if provider is not None:
        parent_context = None if context is None else trace.set_span_in_context(NonRecordingSpan(context))
        with provider.get_tracer("carillon_kit").start_as_current_span(name, context=parent_context, kind=kind):
            yield
        return
    if context is None:
        context = SpanContext(int.from_bytes(os.urandom(16)) or 1, int.from_bytes(os.urandom(8)) or 1, False, TraceFlags(0))
    token = otel_context.attach(trace.set_span_in_context(NonRecordingSpan(context)))
    try:
        yield
    finally:
        otel_context.detach(token)


def _parse(header: str | None) -> SpanContext | None:
    """W3C Trace Context section 3.2; what does not parse is as if it were absent (section 3.2.2.3)."""
    if header is None or len(header) < 55:
        return None
    try:
        version, trace_id, span_id, flags = header.split("-")[:4]
        context = SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(int(flags, 16) & 1))
    except ValueError:
        return None
    shaped = (len(version), len(trace_id), len(span_id)) == (2, 32, 16) and version != "ff"
    return context if shaped and context.is_valid else None
