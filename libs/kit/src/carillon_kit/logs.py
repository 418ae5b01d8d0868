"""Structured logs on standard error, one line each.

Invariant: a value under a secret's name (password, token, PIN, digits, ...), the password inside a URL and the input that a pydantic
error quotes never reach the log; of an e-mail address or SIP URI only the domain does, of an international number only its beginning. So
whoever is erased is named in it by ids alone.
"""

import json
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, cast

import orjson
import structlog
from opentelemetry import trace
from structlog.typing import Processor

from carillon_kit.settings import ServiceSettings

_SECRET = re.compile(
    r"(^|_)(password|passwd|secret|token|authorization|credentials?|ha1|pin|digits?|dtmf|(api|private|signing)_key)s?(_|$)", re.I
)
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^@/\s]+@")
#: What stands before the domain of a SIP URI, whatever it is, and of an e-mail address.
_LOCAL_PART = re.compile(r"(?<=sip:)[^@\s<>]{1,255}@|(?<=sips:)[^@\s<>]{1,255}@|(?<![\w.+'-])[\w.+'-]+@(?=[\w-]+(?:\.[\w-]+)+)", re.I)
#: E.164; not the offset of a time.
_E164 = re.compile(r"(?<![\w.])(\+[1-9]\d)\d{5,13}(?!\d)")
#: How pydantic ends a line of its errors; the input may be a whole document, secrets and all.
_QUOTED_INPUT = re.compile(r"(\[type=\w+, input_value=).*?(, input_type=\w+\])", re.DOTALL)
_REDACTED = "***"
#: Chatty at INFO, and of no use there.
_QUIET = ("nats", "asyncio", "grpc", "faststream")


def configure(service: str, settings: ServiceSettings) -> None:
    """Set up structlog and the standard library's logging: JSON (orjson) or text lines, secrets redacted."""
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)

    def add_process(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        event["node"] = settings.node
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_process,
        _add_trace,
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: Processor
    if settings.log_format == "json":
        renderer = structlog.processors.JSONRenderer(serializer=_to_json)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A structlog logger that carries `logger=name`; may be made at import, before `configure`."""
    return cast("structlog.stdlib.BoundLogger", structlog.get_logger(name))


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: secrets out of the event, at any depth of mappings and sequences."""
    for key, value in event.items():
        event[key] = _redacted(key, value)
    return event


def _redacted(key: str, value: Any) -> Any:
    if value is not None and _SECRET.search(key):
        return _REDACTED
    if isinstance(value, str):
        return _redacted_text(value)
    if isinstance(value, dict):
        return {inner: _redacted(str(inner), item) for inner, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_redacted("", item) for item in value]
    return value


def _redacted_text(text: str) -> str:
    if "input_value=" in text:
        text = _QUOTED_INPUT.sub(rf"\1{_REDACTED}\2", text)
    if "://" in text:
        text = _URL_PASSWORD.sub(rf"\1{_REDACTED}@", text)
    if "@" in text:
        text = _LOCAL_PART.sub(f"{_REDACTED}@", text)
    return _E164.sub(rf"\1{_REDACTED}", text) if "+" in text else text


def _add_trace(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = format(context.trace_id, "032x")
    return event


def _to_json(event: Any, **_: Any) -> str:
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        # A peer's bytes that are no UTF-8 (lone surrogates) may stand in a line; the standard library writes them escaped.
        return json.dumps(event, default=str)
