"""How records lie in a journal file: a marker, the body's length, the CRC-32 of length and body, the body.

Always: what `scan` gives as a record was written whole and is undamaged; what it cannot read it gives as damage and goes on behind it.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

RecordKind = Literal["event", "private"]
#: Tenant and call id.
CallKey = tuple[str, str]

#: One record's data; a call event is about 1 kB.
MAX_DATA_BYTES = 1024 * 1024
#: How each file begins.
MAGIC = b"CARJRNL1"
_MARKER = b"\xf1JR\xf2"
_LENGTH = struct.Struct("<I")
_HEADER = struct.Struct("<4sII")
_BODY = struct.Struct("<BIBH")
FORGOTTEN = 3
KINDS: dict[RecordKind, int] = {"event": 1, "private": 2}
KIND_NAMES: dict[int, RecordKind] = {number: name for name, number in KINDS.items()}


class JournalRecord(NamedTuple):
    """One fact of a call. `seq` is the event's number in its call, 0 for a private record."""

    kind: RecordKind
    tenant: str
    call_id: str
    seq: int
    data: bytes

    @property
    def call(self) -> CallKey:
        """Tenant and call id."""
        return self.tenant, self.call_id


@dataclass(frozen=True, slots=True)
class Found:
    """A stretch of a segment: a record of `kind` and body fields, or damage when `kind` is 0."""

    offset: int
    end: int
    kind: int
    seq: int = 0
    tenant: str = ""
    call_id: str = ""
    data: bytes = b""


def frame(kind: int, seq: int, tenant: str, call_id: str, data: bytes) -> bytes:
    """One record as bytes. Raises `ValueError` when it is too large."""
    raw_tenant, raw_call = tenant.encode(), call_id.encode()
    if len(raw_tenant) > 255 or len(raw_call) > 1024 or len(data) > MAX_DATA_BYTES:
        raise ValueError(f"record of call {call_id[:64]!r} is too large for the journal: {len(data)} bytes of data")
    body = _BODY.pack(kind, seq, len(raw_tenant), len(raw_call)) + raw_tenant + raw_call + data
    length = _LENGTH.pack(len(body))
    return _HEADER.pack(_MARKER, len(body), zlib.crc32(body, zlib.crc32(length))) + body


def _record_at(data: bytes, offset: int) -> Found | None:
    """The record that begins at the offset, or None if there is no whole and undamaged one."""
    start = offset + _HEADER.size
    if start > len(data):
        return None
    marker, length, checksum = _HEADER.unpack_from(data, offset)
    if marker != _MARKER or length < _BODY.size or start + length > len(data):
        return None
    body = data[start : start + length]
    if zlib.crc32(body, zlib.crc32(_LENGTH.pack(length))) != checksum:
        return None
    kind, seq, tenant_size, call_size = _BODY.unpack_from(body)
    call_at = _BODY.size + tenant_size
    data_at = call_at + call_size
    if data_at > length:
        return None
    tenant, call_id = body[_BODY.size : call_at].decode(), body[call_at:data_at].decode()
    return Found(offset, start + length, kind, seq, tenant, call_id, body[data_at:])


def scan(data: bytes) -> Iterator[Found]:
    """Every record in order, and each stretch between records as damage (`kind` 0). Zeros at the end are space not yet used."""
    offset = len(MAGIC) if data.startswith(MAGIC) else 0
    while offset < len(data):
        found = _record_at(data, offset)
        if found is None:
            end = data.find(_MARKER, offset + 1)
            while end != -1 and _record_at(data, end) is None:
                end = data.find(_MARKER, end + 1)
            if end == -1:
                end = offset + len(data[offset:].rstrip(b"\0"))
                if end > offset:
                    yield Found(offset, end, 0)
                return
            found = Found(offset, end, 0)
        yield found
        offset = found.end
