"""Traces: provider, exporter, propagation."""

from carillon_kit.settings import ServiceSettings


def configure(service: str, settings: ServiceSettings) -> None:
    """Set the tracer provider; with `otlp_endpoint`, spans are exported in batches."""
    raise NotImplementedError


def shutdown() -> None:
    """Flush and stop the exporter, bounded."""
    raise NotImplementedError


def traceparent() -> str | None:
    """W3C `traceparent` of the current span, for events and headers."""
    raise NotImplementedError
