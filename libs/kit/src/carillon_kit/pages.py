"""Page tokens and sizes of list calls (AIP-158).

Invariant: a token is opaque to clients and needs no secrecy: it only says where to go on, never what the caller may see.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import orjson

from carillon_kit.errors import InvalidArgument

T = TypeVar("T")
DEFAULT_PAGE_SIZE = 50
LARGEST_PAGE_SIZE = 1000
_LONGEST_TOKEN = 4096


def encode_token(position: Mapping[str, Any]) -> str:
    """A page token that holds `position` (JSON values only)."""
    return base64.urlsafe_b64encode(orjson.dumps(dict(position))).rstrip(b"=").decode()


def decode_token(token: str) -> dict[str, Any]:
    """What `encode_token` was given; the empty token is the empty position. Raises `InvalidArgument` on `page_token`."""
    if not token:
        return {}
    try:
        if len(token) > _LONGEST_TOKEN:
            raise ValueError("too long")
        position = orjson.loads(base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error) as error:
        raise InvalidArgument({"page_token": "not a token of this list"}) from error
    if not isinstance(position, dict):
        raise InvalidArgument({"page_token": "not a token of this list"})
    return position


def cut(found: Iterable[T], key: Callable[[T], str], size: int, token: str) -> tuple[list[T], str]:
    """The page of a list of what is there now, by `key`, which is unique, and the token of the next; `size` 0: all that is left.

    What comes and goes between two pages is on the later one or is not; the others are told once. Raises `InvalidArgument`."""
    after = decode_token(token).get("after", "")
    if not isinstance(after, str):
        raise InvalidArgument({"page_token": "not a token of this list"})
    left = sorted((name, index, each) for index, each in enumerate(found) if (name := key(each)) > after)
    most = page_size(size) if size else len(left)
    page = left[:most]
    return [each for _, _, each in page], encode_token({"after": page[-1][0]}) if len(left) > most else ""


def page_size(requested: int, default: int = DEFAULT_PAGE_SIZE, largest: int = LARGEST_PAGE_SIZE) -> int:
    """The size to use: 0 is the default, more than `largest` is `largest`; raises `InvalidArgument` when negative."""
    if requested < 0:
        raise InvalidArgument({"page_size": "must not be negative"})
    return min(requested or default, largest)
