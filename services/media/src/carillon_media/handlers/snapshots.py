"""Snapshots of calls and legs as private records of the journal, sealed: digits, keys and digests are in them.

Invariant: a record opens only with the installation's key, and for its own call.
"""

from carillon_kit.sealing import SealBroken, Sealer
from carillon_media.domain.plain import read, write
from carillon_media.domain.snapshots import SavedCall, SavedLeg
from carillon_media.ports import Entry

#: First bytes of a sealed record; a begun recording is plain JSON.
_CALL, _LEG = b"C", b"L"
PURPOSE = "snapshots of calls"


class Snapshots:
    """`ports.SnapshotPort`, and back."""

    def __init__(self, key: bytes) -> None:
        self._sealer = Sealer(key, PURPOSE)

    def call(self, call_id: str, saved: SavedCall) -> Entry:
        """The call itself."""
        return self._entry(_CALL, call_id, write(saved))

    def leg(self, call_id: str, saved: SavedLeg) -> Entry:
        """One of its legs."""
        return self._entry(_LEG, call_id, write(saved))

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
