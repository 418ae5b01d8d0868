"""What a datagram or a chunk of a stream is by its first bytes, before anything is parsed.

Invariant: only bytes are compared; what is not known to belong to a call or registration that exists counts as a request from outside.
"""

from enum import Enum, auto

from carillon_contracts.emergency_numbers import is_emergency

#: Responses, requests of dialogs that exist, keep-alives (RFC 5626 section 3.5.1; one NUL or line ends, as phones send them).
_WITHIN = (b"SIP/2.0 ", b"ACK ", b"BYE ", b"CANCEL ", b"PRACK ", b"UPDATE ", b"INFO ", b"NOTIFY ", b"\r\n", b"\0")
#: Requests that begin something, as they stand within a chunk of a stream.
_BEGINNINGS = (b"INVITE ", b"REGISTER ", b"OPTIONS ", b"SUBSCRIBE ", b"MESSAGE ", b"REFER ", b"PUBLISH ")
_LONGEST_NUMBER = 8


class Kind(Enum):
    """How a message is counted."""

    WITHIN = auto()
    OUTSIDE = auto()
    HELP = auto()


def kind_of(data: bytes, countries: frozenset[str]) -> Kind:
    """Of a datagram, or of the first message of a chunk; `countries` (ISO 3166): whose emergency numbers count."""
    if data.startswith(b"INVITE "):
        return Kind.HELP if _calls_for_help(data, countries) else Kind.OUTSIDE
    return Kind.WITHIN if data.startswith(_WITHIN) else Kind.OUTSIDE


def beginnings(chunk: bytes) -> int:
    """How many requests of a stream's chunk begin something; at most a few too many, never too few."""
    return sum(map(chunk.count, _BEGINNINGS))


def _calls_for_help(data: bytes, countries: frozenset[str]) -> bool:
    """`INVITE sip:112@`, `INVITE tel:112 `, `INVITE sips:112;phone-context=...`: an emergency number of one of them."""
    colon = data.find(b":", 7, 13)
    if colon < 0:
        return False
    number = data[colon + 1 : colon + 2 + _LONGEST_NUMBER]
    for end in (b"@", b";", b" "):
        number = number.partition(end)[0]
    return is_emergency(number.decode("ascii", "replace"), countries)
