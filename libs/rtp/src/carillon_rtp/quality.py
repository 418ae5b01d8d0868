"""How a call sounds: the E-model of ITU-T G.107 as far as RTP shows it, from loss, delay and codec to R and MOS.

Simplified: everything but the codec, random packet loss and delay has its default, so R starts at 93.2 and MOS at 4.41. The scale is
that of narrow-band telephony, also for G.722 and Opus, which are at least as good as it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

R_DEFAULT = 93.2  # G.107 section 7.7, all parameters at their defaults
PACKET_MS = 20.0  # a packet is whole before it is sent
BUFFER_LEAST_MS = 20.0  # a receiver keeps back at least a packet


@dataclass(frozen=True, slots=True)
class Impairment:
    """Of a codec: `ie` without loss, `bpl` how well it bears random loss (ITU-T G.113 appendix I)."""

    ie: float
    bpl: float


#: G.113 appendix I; for G.711 with packet-loss concealment. G.722 and Opus: no value on this scale, taken as G.711.
IMPAIRMENTS: Mapping[str, Impairment] = {
    "PCMU": Impairment(0, 25.1),
    "PCMA": Impairment(0, 25.1),
    "G722": Impairment(0, 25.1),
    "OPUS": Impairment(0, 25.1),
    "G729": Impairment(11, 19.0),
    "G723": Impairment(15, 16.1),
    "GSM-EFR": Impairment(5, 10.0),
    "AMR": Impairment(5, 10.0),
}
_UNKNOWN = Impairment(11, 19.0)


def r_factor(codec: str, loss_fraction: float, one_way_ms: float) -> float:
    """R, 0 to 93.2. `loss_fraction` 0 to 1 of random loss; `one_way_ms` from mouth to ear. Any codec name is taken."""
    impairment = IMPAIRMENTS.get(codec.upper(), _UNKNOWN)
    loss = 100 * loss_fraction
    effective = impairment.ie + (95 - impairment.ie) * loss / (loss + impairment.bpl)
    late = max(0.0, one_way_ms - 177.3)
    return max(0.0, R_DEFAULT - (0.024 * one_way_ms + 0.11 * late) - effective)


def mos_of(r: float) -> float:
    """The mean opinion score of an R, 1 to 4.5 (G.107 annex B)."""
    if r <= 0:
        return 1.0
    return max(1.0, min(4.5, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6))


def mos(codec: str, loss_fraction: float, jitter_ms: float, round_trip_ms: float | None) -> float:
    """The score of a stream as its receiver hears it. An unknown round trip counts as none; jitter costs a buffer of twice its size."""
    one_way_ms = (round_trip_ms or 0.0) / 2 + PACKET_MS + max(BUFFER_LEAST_MS, 2 * jitter_ms)
    return round(mos_of(r_factor(codec, loss_fraction, one_way_ms)), 2)
