"""Writes the first inputs of the fuzzer of the media plane into a folder: calls as plane_fuzz.c reads them, of each codec and suite."""

from __future__ import annotations

import random
import struct
import sys
from pathlib import Path

RAW, RAW_RTCP, SHAPED, KEY, WAIT, REPORTS, JUMP, COMMAND = range(8)
PROTECTED = 0x80
BRIDGE, ROOM = 1, 4


def step(what: int, line: int, *values: int, payload: bytes = b"") -> bytes:
    """One step for a line (0 to 2)."""
    return bytes([what | (line + 1) << 4, *values]) + payload


def report(how: int, line: int) -> bytes:
    """A sender report of the line's far end with a block, and its name (RFC 3550 section 6)."""
    sender = struct.pack("!BBHIQIII", 0x81, 200, 12, line + 1, 1 << 40, 160, 1, 160)
    block = struct.pack("!IIIIII", line, 1 << 24, 10, 3, 99, 7)
    name = struct.pack("!BBHIBB", 0x81, 202, 3, line + 1, 1, 4) + b"name\0\0"
    return step(RAW_RTCP, line, how, *struct.pack("!H", len(sender + block + name)), payload=sender + block + name)


def extended(how: int, line: int) -> bytes:
    """A receiver report, and an extended one with both blocks (RFC 3611 sections 4.6 and 4.7) of the stream that the line hears."""
    receiver = struct.pack("!BBHI", 0x80, 201, 1, line + 1)
    summary = struct.pack("!BBH9I", 6, 0xE0, 9, line, 1 << 16 | 9, 1, 0, 2, 9, 4, 1, 0)
    figures = (9, 0, 20, 1, 60, 900, 40, 20, 127, 127, 127, 16, 80, 127, 40, 39, 0x30, 0, 60, 80, 120)
    blocks = summary + struct.pack("!BBHI4B4H10B3H", 7, 0, 8, line, *figures)
    body = receiver + struct.pack("!BBHI", 0x80, 207, 1 + len(blocks) // 4, line + 1) + blocks
    return step(RAW_RTCP, line, how, *struct.pack("!H", len(body)), payload=body)


def call(arranged: int, codecs: tuple[int, int, int], suite: int, flags: int) -> bytes:
    """Audio both ways, a key, a report, a prompt, keys sent, a recording, and what is malformed."""
    how = PROTECTED if 0 < suite < 16 else 0
    lines = b"".join(bytes([codec, flags, suite]) for codec in codecs)
    told = b"".join(step(COMMAND, *command) for command in ((0, 4, 0, 0, 1), (1, 3, 63)))
    audio = b"".join(
        step(SHAPED, line, how, 1, 0, 40, payload=random.Random(line).randbytes(40)) for _ in range(6) for line in range(3)
    ) + step(WAIT, 0, 20)
    key = b"".join(step(KEY, 0, how, 1, 0x80, payload=struct.pack("!BBH", 5, end, 800)) for end in (10, 0x8A, 0x8A))
    rest = step(COMMAND, 0, 1, 0) + step(WAIT, 0, 40) + step(COMMAND, 1, 2, 1) + step(WAIT, 0, 60)
    rest += step(JUMP, 0, 12) + step(REPORTS, 0, 30)
    header = bytes.fromhex("b180 ffff 00000000 00000001 00000002 bede0001 10aa0000") + b"\x55" * 20 + b"\0\0\3"
    odd = step(RAW, 1, how, *struct.pack("!H", len(header)), payload=header) + step(RAW, 1, 0x41, 0, 3, payload=b"\x80\0\1")
    return bytes([arranged]) + lines + told + audio * 3 + key + report(how, 0) + report(how, 1) + extended(how, 0) + odd + rest + audio


def late_report() -> bytes:
    """Reports of ours within 50 days of the far end's last one: what lies between counts in 1/65536 s (RFC 3550 section 6.4.1)."""
    audio = step(SHAPED, 0, 0, 1, 0, 40, payload=bytes(40))
    return bytes([BRIDGE]) + bytes(9) + audio + report(0, 0) + step(JUMP, 0, 31) * 2 + step(REPORTS, 0, 60)


def malformed() -> bytes:
    """A short call, and in it an extension and a padding that are longer than their packets (RFC 3550 sections 5.1 and 5.3.1)."""
    audio = step(SHAPED, 0, 0, 1, 0, 40, payload=bytes(40))
    extended = bytes.fromhex("9008 fffe 00000000 00000001 bede0010") + bytes(24)
    padded = bytes.fromhex("a008 ffff 00000000 00000001") + b"\xff" * 24
    odd = b"".join(step(RAW, 0, 0, *struct.pack("!H", len(datagram)), payload=datagram) for datagram in (extended, padded))
    return bytes([BRIDGE]) + bytes(9) + audio + odd + audio


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "malformed").write_bytes(malformed())
    (folder / "late-report").write_bytes(late_report())
    for number in range(12):
        codecs = (number % 6, (number // 2 + 1) % 6, (number + 3) % 6)
        arranged = (BRIDGE, ROOM | 8, BRIDGE | 2)[number % 3]
        (folder / f"call-{number}").write_bytes(call(arranged, codecs, number % 7 or 0xC0, (0, 2, 0x10)[number % 3]))


if __name__ == "__main__":
    main()
