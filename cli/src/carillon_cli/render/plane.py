"""A media plane's figures as lines."""

from collections.abc import Mapping

from carillon.media.v1 import node_pb2


def plane_lines(told: node_pb2.GetMediaPlaneResponse) -> list[str]:
    """A heading and a line a theme; reasons that never occurred are left out."""
    late = f"{told.late:.0%} of its ticks late ({told.late_ticks} of {told.ticks} since the start)"
    return [
        f"media plane of {told.name}, process {told.pid}, up {told.uptime.ToTimedelta()}",
        f"  sessions  {told.sessions}, rooms {told.rooms}",
        f"  ports     {told.ports_used} used or at rest, {told.ports_free} of {told.ports_total} free",
        f"  packets   {told.packets_in} in, {told.packets_out} out; dropped: {_reasons(told.dropped)}",
        f"  load      {told.load:.0%} of a core, {told.threads} threads, {told.cpu.ToTimedelta()} of processor time; {late}",
        f"  refused   {_reasons(told.refused)}" + ("; new sessions are refused now" if told.refusing else ""),
        f"  lost      {told.events_lost} reports, {told.recording_overruns} pieces of recordings",
    ]


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()) if count) or "none"
