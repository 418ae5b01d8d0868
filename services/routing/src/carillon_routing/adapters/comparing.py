"""A process that follows past calls, one of those that `adapters.comparers` starts.

It reads frames from standard input and answers each one but those of resources; when the input ends, so does it. Always: it runs at a
lower priority than what decides live calls, so that none of them waits for it.
"""

import os
import pickle
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson
from pydantic import ValidationError

from carillon_contracts.config import RESOURCES, Plan
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.comparison import Comparison, Counts

LENGTH_BYTES = 4
#: So much that live calls go first, and little enough that a comparison ends on a machine that is never idle.
_NICE = 5


@dataclass(frozen=True, slots=True)
class Some:
    """Some resources of a kind, each as JSON."""

    kind: str
    resources: list[bytes]


@dataclass(frozen=True, slots=True)
class Begin:
    """The configuration is complete; from now on calls come. Answer: None."""

    tenant_id: str
    config_seq: int
    plan: bytes
    samples: int


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls in order with the events of their decisions; `place`: the how manieth of all the first one is. Answer: `Counts`."""

    place: int
    calls: list[tuple[str, list[bytes]]]


@dataclass(frozen=True, slots=True)
class End:
    """Answer: `Found`."""


Frame = Some | Begin | Calls | End


def framed(value: object) -> bytes:
    """Its length in four bytes, and it. Both sides are one program of one version, and nobody else writes to the pipe."""
    body = pickle.dumps(value)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def _read(source: BinaryIO) -> Frame | None:
    head = source.read(LENGTH_BYTES)
    size = int.from_bytes(head, "big")
    body = source.read(size)
    if len(head) < LENGTH_BYTES or len(body) < size:
        return None
    frame: Frame = pickle.loads(body)
    return frame


def follow(source: BinaryIO, sink: BinaryIO) -> None:
    """Until the source ends."""
    resources: dict[str, dict[str, Any]] = {}
    comparison: Comparison | None = None
    while (frame := _read(source)) is not None:
        answer: object = None
        match frame:
            case Some(kind, documents):
                made = map(RESOURCES[kind].model_validate_json, documents)
                resources.setdefault(kind, {}).update((each.id, each) for each in made)
                continue
            case Begin(tenant_id, config_seq, plan, samples):
                config = TenantConfig(tenant_id, config_seq, resources)
                comparison = Comparison(config, Plan.model_validate_json(plan), samples)
            case Calls(place, calls) if comparison is not None:
                answer = Counts()
                for at, (call_id, events) in enumerate(calls, place):
                    answer += comparison.add(at, call_id, map(_data, events))
            case End() if comparison is not None:
                answer = comparison.found
            case _:
                raise ValueError(f"{type(frame).__name__} came before the configuration")
        sink.write(framed(answer))
        sink.flush()


def _data(raw: bytes) -> Mapping[str, Any]:
    """Of an event whose envelope nobody needs; nothing if it cannot be read."""
    try:
        event = orjson.loads(raw)
    except ValueError:
        return {}
    data = event.get("data") if isinstance(event, dict) else None
    return data if isinstance(data, dict) else {}


def main() -> None:
    """See the module."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    os.nice(_NICE)
    try:
        follow(sys.stdin.buffer, sys.stdout.buffer)
    except ValidationError as error:
        # Its text shows what was read: a tenant's configuration.
        sys.exit(f"comparing: {error.title} cannot be read: {error.error_count()} faults")
