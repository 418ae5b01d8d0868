"""SIP passwords become HA1 hashes (RFC 7616 section 3.4.2, RFC 8760) and are forgotten.

Other secrets are sealed or hashed before they come here: see `adapters.secrets_in`.
"""

import hashlib
import re
from collections.abc import Mapping

from pydantic import JsonValue

from carillon_contracts.config import SECRET_FIELDS

#: Long enough to resist guessing over SIP; a colon or control character would break digest clients.
_PASSWORD = re.compile(r"[\x21-\x39\x3b-\x7e]{8,128}")
PASSWORD_RULE = "8 to 128 printable ASCII characters without spaces or colons"

#: Fields as good as a password (RFC 7616 section 5.4) never leave by the API; a realm may.
_SECRETS = frozenset(kept for plain in SECRET_FIELDS.values() for fields in plain.values() for kept in fields) - {"realm"}


def is_secret(field: str) -> bool:
    """Whether a resource's field stands for its password."""
    return field in _SECRETS


def password_fits(password: str) -> bool:
    """Whether the password may be used for a device."""
    return _PASSWORD.fullmatch(password) is not None


def hashes(username: str, realm: str, password: str) -> Mapping[str, JsonValue]:
    """Realm and `H(username:realm:password)` by algorithm, as fields of `SipCredential`."""
    secret = f"{username}:{realm}:{password}".encode()
    return {
        "realm": realm,
        "ha1_md5": hashlib.md5(secret, usedforsecurity=False).hexdigest(),
        "ha1_sha256": hashlib.sha256(secret).hexdigest(),
    }
