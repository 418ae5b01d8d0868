"""JSON as routing keeps it: compact, in UTF-8; what orjson does not take (half a surrogate pair, huge integers) the slower encoder does."""

import json
from typing import Any

import orjson

#: One encoder, because `json.dumps` makes a new one every time.
_COMPACT = json.JSONEncoder(separators=(",", ":"), default=dict)


def encode(document: dict[str, Any]) -> bytes:
    """Of what JSON has, and mappings. Raises TypeError for anything else."""
    try:
        return orjson.dumps(document, dict)
    except orjson.JSONEncodeError:
        return _COMPACT.encode(document).encode()


def decode(raw: bytes) -> Any:
    """What `encode` made, or other JSON. Raises ValueError and RecursionError."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return json.loads(raw)
