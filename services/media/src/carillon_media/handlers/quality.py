"""How a leg's audio did, asked of the media plane when the leg ends, for its `leg_ended`.

Invariant: the end of a leg waits for the plane at most `SECONDS`, all legs of a batch together; whatever the plane says or does not say,
the batch comes back with the same outputs in the same order.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar, cast

from carillon_contracts.call import ExtendedQuality, LegEnded, LegQuality
from carillon_media.domain import outputs
from carillon_media.handlers.legs import LegIo
from carillon_media.ports import PlanePort
from carillon_rtp.protocol import PlaneError
from carillon_rtp.values import ExtendedReport, Statistics

SECONDS = 0.3
T = TypeVar("T")


async def with_quality(batch: list[T], legs: Mapping[str, LegIo], plane: PlanePort) -> list[T]:
    """The batch with what the plane knows of the legs that end in it."""
    ending = {place: leg for place, output in enumerate(batch) if (leg := _ending(output, legs)) is not None}
    if not ending:
        return batch
    said = list(batch)
    for place, quality in zip(ending, await _ask(list(ending.values()), plane), strict=True):
        output = batch[place]
        if quality is not None and isinstance(output, outputs.Journal):
            said[place] = cast(T, replace(output, event=output.event.model_copy(update={"quality": quality})))
    return said


def _ending(output: object, legs: Mapping[str, LegIo]) -> LegIo | None:
    """The leg that ends with it, if the plane knows its far end."""
    if not isinstance(output, outputs.Journal) or not isinstance(output.event, LegEnded):
        return None
    leg = legs.get(output.leg_id or "")
    return leg if leg is not None and leg.told is not None else None


async def _ask(legs: Sequence[LegIo], plane: PlanePort) -> list[LegQuality | None]:
    try:
        async with asyncio.timeout(SECONDS):
            found = await plane.statistics_of([leg.plane for leg in legs])
    except (PlaneError, TimeoutError):
        return [None] * len(legs)
    return [None if seen is None else _quality(leg, seen) for leg, seen in zip(legs, found, strict=True)]


def _quality(leg: LegIo, seen: Statistics) -> LegQuality:
    return LegQuality(
        codec=leg.media.codec if leg.media is not None else "",
        srtp=leg.media.srtp if leg.media is not None else "",
        packets_received=seen.packets_in,
        packets_sent=seen.packets_out,
        lost=seen.lost,
        jitter_ms=round(seen.jitter_ms, 1),
        round_trip_ms=_rounded(seen.round_trip_ms, 1),
        mos=_rounded(seen.mos, 2),
        remote_lost=seen.remote_lost,
        remote_jitter_ms=_rounded(seen.remote_jitter_ms, 1),
        remote_mos=_rounded(seen.remote_mos, 2),
        extended=_extended(seen.extended),
    )


def _extended(told: ExtendedReport | None) -> ExtendedQuality | None:
    if told is None:
        return None
    return ExtendedQuality(
        r_factor=told.r_factor,
        mos_listening=told.mos_lq,
        mos_conversational=told.mos_cq,
        loss=_rounded(told.loss_fraction, 4),
        discarded=_rounded(told.discard_fraction, 4),
        burst_density=_rounded(told.burst_density, 4),
        burst_ms=told.burst_ms,
        gap_ms=told.gap_ms,
        buffer_ms=told.buffer_ms,
        jitter_most_ms=_rounded(told.jitter_most_ms, 1),
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
