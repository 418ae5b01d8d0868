"""STUN Binding as a SIP server answers it on its own port, so that phones keep their NAT bindings alive (RFC 5626 section 4.4.2, RFC 5389).

Invariant: a reply is made for well-formed Binding requests only, is at most 28 bytes longer than the request, and says nothing but what
the asker's own packet said.
"""

import ipaddress
import struct
import zlib

from carillon_sip.flow import Address

MAGIC_COOKIE = 0x2112A442
_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_BINDING_REQUEST, _BINDING_SUCCESS, _BINDING_ERROR = 0x0001, 0x0101, 0x0111
_ERROR_CODE, _UNKNOWN_ATTRIBUTES, _XOR_MAPPED_ADDRESS, _FINGERPRINT = 0x0009, 0x000A, 0x0020, 0x8028
_FINGERPRINT_XOR = 0x5354554E
#: Attributes that a receiver must understand, and that mean nothing to a server without credentials (RFC 5389 section 18.2).
_HARMLESS = frozenset({0x0006, 0x0008, 0x0014, 0x0015})
_COMPREHENSION_OPTIONAL = 0x8000
#: A request with more attributes is no keep-alive.
_MAX_ATTRIBUTES = 16


def is_stun(data: bytes) -> bool:
    """Whether a datagram on the SIP port is STUN: SIP starts with a letter, STUN with two zero bits and has its cookie."""
    return len(data) >= 20 and data[0] < 4 and data[4:8] == b"\x21\x12\xa4\x42"


def answer(data: bytes, source: Address) -> bytes | None:
    """The reply to a Binding request that came from `source`; None for anything else (indications, responses, damaged ones)."""
    if not is_stun(data):
        return None
    kind, length, _, transaction = _HEADER.unpack_from(data)
    if kind != _BINDING_REQUEST or length % 4 or length != len(data) - 20:
        return None
    attributes = _attributes(data)
    if attributes is None:
        return None
    wants_fingerprint = False
    unknown: list[int] = []
    for attribute, start in attributes:
        if attribute == _FINGERPRINT:
            # "The FINGERPRINT attribute MUST be the last attribute" and is checked before anything is believed (section 15.5).
            if start != len(data) - 8 or _fingerprint(data[:start]) != data[start + 4 :]:
                return None
            wants_fingerprint = True
        elif attribute < _COMPREHENSION_OPTIONAL and attribute not in _HARMLESS:
            unknown.append(attribute)
    if unknown:
        return _message(_BINDING_ERROR, transaction, _unknown_attributes(unknown), wants_fingerprint)
    return _message(_BINDING_SUCCESS, transaction, _xor_mapped_address(source, transaction), wants_fingerprint)


def binding_request(transaction: bytes) -> bytes:
    """A Binding request with a transaction id of 12 bytes."""
    return _HEADER.pack(_BINDING_REQUEST, 0, MAGIC_COOKIE, transaction)


def mapped_address(data: bytes, transaction: bytes) -> Address | None:
    """The XOR-MAPPED-ADDRESS of the success response to our request; None when it is none."""
    if not is_stun(data) or _HEADER.unpack_from(data)[0] != _BINDING_SUCCESS or data[8:20] != transaction:
        return None
    for attribute, start in _attributes(data) or ():
        if attribute == _XOR_MAPPED_ADDRESS:
            value = data[start + 4 : start + 4 + _ATTRIBUTE.unpack_from(data, start)[1]]
            if len(value) in (8, 20):
                port, packed = int.from_bytes(value[2:4], "big") ^ (MAGIC_COOKIE >> 16), _masked(value[4:], transaction)
                return str(ipaddress.ip_address(packed)), port
    return None


def _attributes(data: bytes) -> list[tuple[int, int]] | None:
    """(type, offset) of each; None when they do not fit into the message."""
    found: list[tuple[int, int]] = []
    position = 20
    while position < len(data):
        if position + 4 > len(data) or len(found) >= _MAX_ATTRIBUTES:
            return None
        attribute, length = _ATTRIBUTE.unpack_from(data, position)
        found.append((attribute, position))
        position += 4 + (length + 3) // 4 * 4
    return found if position == len(data) else None


def _message(kind: int, transaction: bytes, attributes: bytes, fingerprint: bool) -> bytes:
    length = len(attributes) + (8 if fingerprint else 0)
    message = _HEADER.pack(kind, length, MAGIC_COOKIE, transaction) + attributes
    return message + _ATTRIBUTE.pack(_FINGERPRINT, 4) + _fingerprint(message) if fingerprint else message


def _fingerprint(before: bytes) -> bytes:
    return (zlib.crc32(before) ^ _FINGERPRINT_XOR).to_bytes(4, "big")


def _xor_mapped_address(source: Address, transaction: bytes) -> bytes:
    address = ipaddress.ip_address(source[0].partition("%")[0])
    family = 1 if address.version == 4 else 2
    value = struct.pack("!BBH", 0, family, source[1] ^ (MAGIC_COOKIE >> 16)) + _masked(address.packed, transaction)
    return _ATTRIBUTE.pack(_XOR_MAPPED_ADDRESS, len(value)) + value


def _masked(packed: bytes, transaction: bytes) -> bytes:
    mask = MAGIC_COOKIE.to_bytes(4, "big") + transaction
    return bytes(a ^ b for a, b in zip(packed, mask, strict=False))


def _unknown_attributes(unknown: list[int]) -> bytes:
    """420 with what was not understood (section 15.6); an odd number is padded with zero bytes."""
    reason = b"Unknown Attribute"
    error = struct.pack("!HBB", 0, 4, 20) + reason
    listed = b"".join(item.to_bytes(2, "big") for item in unknown[:4])
    return _padded(_ERROR_CODE, error) + _padded(_UNKNOWN_ATTRIBUTES, listed)


def _padded(attribute: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(attribute, len(value)) + value + bytes(-len(value) % 4)
