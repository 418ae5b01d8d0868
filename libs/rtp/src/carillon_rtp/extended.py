"""RTCP extended reports (RFC 3611) from the core's numbers to ours."""

from __future__ import annotations

from typing import Any

from carillon_rtp.values import ExtendedReport

UNAVAILABLE = 127


def extended_report(heard: Any) -> ExtendedReport | None:
    """Of a `plane_xr`; None: neither block came."""
    if not heard.voip and not heard.summary:
        return None
    return ExtendedReport(**(_voip(heard) if heard.voip else {}), **(_summary(heard) if heard.summary else {}))


def _voip(heard: Any) -> dict[str, Any]:
    """Section 4.7."""
    return {
        "loss_fraction": heard.loss / 256,
        "discard_fraction": heard.discard / 256,
        "burst_density": heard.burst_density / 256,
        "gap_density": heard.gap_density / 256,
        "burst_ms": heard.burst_ms,
        "gap_ms": heard.gap_ms,
        "end_system_ms": heard.end_system_ms,
        "buffer_ms": heard.buffer_ms,
        "r_factor": None if heard.r_factor >= UNAVAILABLE else heard.r_factor,
        "mos_lq": _mos(heard.mos_lq),
        "mos_cq": _mos(heard.mos_cq),
    }


def _mos(tenths: int) -> float | None:
    """10 to 50; everything else is "unavailable" or nonsense."""
    return tenths / 10 if 10 <= tenths <= 50 else None


def _summary(heard: Any) -> dict[str, Any]:
    """Section 4.6."""
    return {
        "lost": heard.lost,
        "duplicates": heard.duplicates,
        "jitter_least_ms": round(heard.jitter_least_ms, 3),
        "jitter_mean_ms": round(heard.jitter_mean_ms, 3),
        "jitter_most_ms": round(heard.jitter_most_ms, 3),
    }
