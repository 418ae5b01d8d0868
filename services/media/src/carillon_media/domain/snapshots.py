"""What is kept of a call and its legs beside its events, so that another process can take the call up.

Invariant: a call is taken up only from a snapshot that is as old as its last event; what is kept of a leg may be younger than that.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from carillon_media.domain.key_memory import NOTHING_REMEMBERED, KeyMemory
from carillon_media.domain.media import LegMedia
from carillon_media.domain.state import CallState
from carillon_sip.resuming import SavedSession


@dataclass(frozen=True, slots=True)
class SavedCall:
    """The machine's state after its last event. Its times are monotonic: they mean nothing after a boot other than `boot`."""

    state: CallState
    boot: str
    max_forwards: int = 70
    codecs: tuple[str, ...] = ()
    answered_at: datetime | None = None


class SavedLeg(NamedTuple):
    """A leg's SIP session and media port. `plane`: the port's name on the media plane, `told`: that knows what was agreed."""

    leg_id: str
    plane: str
    session: SavedSession
    media: LegMedia | None = None
    told: bool = False
    answered: bool = False
    awaits_answer: bool = False
    bridged_with: str = ""
    outgoing: bool = False
    connected: tuple[str, str] | None = None
    refer: str = ""
    keys: KeyMemory = NOTHING_REMEMBERED
