"""PINs of conference rooms and mailboxes are hashed at the door: neither a decision, nor the log, nor an event ever sees one.

The salt follows from the installation's key, the tenant, the resource and the field, so that the same PIN given again changes nothing;
nobody without the key can prepare tables. Hashing takes some 20 ms and lets other threads run meanwhile.
"""

import hashlib
import re

from argon2.low_level import Type, hash_secret
from pydantic import JsonValue

from carillon_directory.domain.commands import Document
from carillon_directory.domain.documents import HASHED_SECRETS
from carillon_kit.errors import InvalidArgument
from carillon_kit.sealing import Sealer

_PIN = re.compile(r"[0-9]{4,12}")
#: RFC 9106 section 4, its second choice scaled down: a PIN is guessed by telephone, where tries are counted.
_PASSES, _MEMORY_KIB, _LANES, _BYTES = 2, 16 * 1024, 1, 32


def hashed(
    sealer: Sealer, tenant_id: str, kind: str, document: Document, place: str, emptied: frozenset[str] = frozenset()
) -> dict[str, JsonValue]:
    """A document with hashes in place of its PINs; those in `emptied` are taken away. Raises `InvalidArgument`."""
    secrets = HASHED_SECRETS[kind]
    kept = {name: value for name, value in document.items() if name not in (*secrets, *secrets.values())}
    for plain, field in secrets.items():
        pin = document.get(plain) or ""
        if not pin:
            if plain in emptied:
                kept[field] = ""
            continue
        if not isinstance(pin, str) or not _PIN.fullmatch(pin):
            raise InvalidArgument({f"{place}.{plain}": "must be 4 to 12 digits"})
        salt = hashlib.sha256(sealer.seal("", tenant_id, kind, str(document.get("id", "")), plain).encode()).digest()[:16]
        kept[field] = hash_secret(pin.encode(), salt, _PASSES, _MEMORY_KIB, _LANES, _BYTES, Type.ID).decode()
    return kept
