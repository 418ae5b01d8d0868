"""Keys between two whose phones tell them differently: as telephone events (RFC 4733), by SIP INFO, or as tones in the audio.

Invariant: who is told a key is told it once, in the kind that it understands.
"""

from dataclasses import dataclass
from typing import Literal

KeyKind = Literal["events", "info", "tones"]
#: "auto": as the far end understands them.
Manner = Literal["auto", "events", "info", "tones"]
#: How long a key is passed on that was held shorter or longer, milliseconds.
SHORTEST_MS, LONGEST_MS = 80, 1000


@dataclass(frozen=True, slots=True)
class Ways:
    """What is known of a leg: whether events are agreed; its phone takes INFO (Allow), has told a key so itself, has refused one; a key was
    heard in its audio; it is a trunk, behind which tones are the rule."""

    events: bool = False
    takes_info: bool = False
    has_sent_info: bool = False
    refused_info: bool = False
    has_sent_tones: bool = False
    trunk: bool = False


def kind_for(ways: Ways) -> KeyKind:
    """As what the leg is told keys."""
    if ways.events:
        return "events"
    if ways.refused_info:
        return "tones"
    likely = ways.takes_info and not ways.trunk and not ways.has_sent_tones
    return "info" if ways.has_sent_info or likely else "tones"


def told_as(heard: KeyKind, ways: Ways) -> KeyKind | None:
    """As what a key of the other side is told; None: events and tones reach those who understand them by themselves."""
    kind = kind_for(ways)
    return None if heard == kind != "info" else kind


def unsendable(manner: Manner, ways: Ways) -> str:
    """Why keys cannot be sent so; empty: they can."""
    if manner == "events" and not ways.events:
        return "its phone has agreed to no telephone events"
    return "its phone takes no INFO" if manner == "info" and not (ways.takes_info or ways.has_sent_info) else ""


def duration(held_ms: int) -> int:
    """Milliseconds that a key is passed on for."""
    return min(max(held_ms, SHORTEST_MS), LONGEST_MS)
