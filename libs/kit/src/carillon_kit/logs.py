"""Structured logs on standard error, one line each."""

from typing import Any

import structlog

from carillon_kit.settings import ServiceSettings


def configure(service: str, settings: ServiceSettings) -> None:
    """Set up structlog and the standard library's logging: JSON (orjson) or text lines, secrets redacted."""
    raise NotImplementedError


def get_logger(name: str) -> Any:
    """A structlog logger that carries `logger=name`."""
    return structlog.get_logger(name)
