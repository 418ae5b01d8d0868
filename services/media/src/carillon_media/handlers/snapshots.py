"""Snapshots of calls and legs as private records of the journal, sealed: digits, keys and digests are in them.

Invariant: a record opens only with the installation's key, and for its own call.
"""

from carillon_kit.sealing import SealBroken, Sealer
from carillon_media.domain.facts import CallFacts, Limits
from carillon_media.domain.key_memory import KeyMemory
from carillon_media.domain.media import LegMedia
from carillon_media.domain.outputs import Ask
from carillon_media.domain.plain import Writer, read
from carillon_media.domain.snapshots import SavedCall, SavedLeg
from carillon_media.domain.steps import Ring
from carillon_media.ports import Entry
from carillon_sip.flow import Flow
from carillon_sip.peer import Peer

#: First bytes of a sealed record; a begun recording is plain JSON.
_CALL, _LEG = b"C", b"L"
PURPOSE = "snapshots of calls"
#: What a call keeps as it is from one snapshot to the next.
_LASTING: frozenset[type] = frozenset({Ask, CallFacts, Flow, KeyMemory, LegMedia, Limits, Peer, Ring})


def writer() -> Writer:
    """For the snapshots of one call."""
    return Writer(_LASTING)


class Snapshots:
    """`ports.SnapshotPort`, and back."""

    def __init__(self, key: bytes) -> None:
        self._sealer = Sealer(key, PURPOSE)

    def call(self, call_id: str, saved: SavedCall, writer: Writer) -> Entry:
        """The call itself, by the call's writer."""
        return self._entry(_CALL, call_id, writer.write(saved))

    def leg(self, call_id: str, saved: SavedLeg, writer: Writer) -> Entry:
        """One of its legs."""
        return self._entry(_LEG, call_id, writer.write(saved))

    def _entry(self, kind: bytes, call_id: str, data: bytes) -> Entry:
        return Entry("private", 0, kind + self._sealer.seal_bytes(data, call_id))

    def open(self, call_id: str, data: bytes) -> SavedCall | SavedLeg | None:
        """What a private record holds; None: it is no snapshot. Raises ValueError for one that cannot be read."""
        kind = data[:1]
        if kind not in (_CALL, _LEG):
            return None
        try:
            plain = self._sealer.open_bytes(data[1:], call_id)
        except SealBroken as error:
            raise ValueError("the snapshot was sealed with another key") from error
        found: SavedCall | SavedLeg = read(SavedCall if kind == _CALL else SavedLeg, plain)
        return found
