"""What holds of logins: when one is locked, which passwords do, and codes of authenticators (RFC 6238). Pure.

Always: a wrong try is never told apart from another; a code counts once; a lock grows with each one before it, up to an hour.
"""

import base64
import hashlib
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

#: Wrong tries until a lock, the length of the first lock, and of the longest.
TRIES = 5
FIRST_LOCK = timedelta(minutes=1)
LONGEST_LOCK = timedelta(hours=1)
SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 256
PASSWORD_RULE = f"must be {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters, not the login, and not one character again and again"
#: RFC 6238: six digits of thirty seconds, and one step either way for clocks that differ.
STEP_SECONDS, DIGITS, DRIFT = 30, 6, 1
RECOVERY_CODES = 10
#: What systems' keys begin with.
KEY = "ck_"


@dataclass(frozen=True, slots=True)
class Tries:
    """Wrong tries of a login since the last right one."""

    failures: int = 0
    locks: int = 0
    locked_until: datetime | None = None

    def locked(self, now: datetime) -> bool:
        """Whether nothing is taken now, right or wrong."""
        return self.locked_until is not None and now < self.locked_until

    def failed(self, now: datetime) -> "Tries":
        """After one more wrong try."""
        if self.failures + 1 < TRIES:
            return Tries(self.failures + 1, self.locks, self.locked_until)
        return Tries(0, self.locks + 1, now + min(FIRST_LOCK * 2 ** min(self.locks, 10), LONGEST_LOCK))


def password_fits(password: str, login: str) -> bool:
    """Whether the password may be used; see `PASSWORD_RULE`. Length beats composition (NIST SP 800-63B section 5.1.1.2)."""
    plain = password.casefold()
    return (
        SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD
        and len(set(plain)) > 1
        and login.casefold() not in (plain, plain[::-1])
        and "\0" not in password
    )


def code_at(secret: bytes, step: int) -> str:
    """The code of a time step: HOTP (RFC 4226 section 5.3) with SHA-1, as authenticators have it."""
    digest = hmac.digest(secret, struct.pack(">Q", step), hashlib.sha1)
    offset = digest[-1] & 15
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def step_of(secret: bytes, code: str, now: datetime, last_step: int) -> int | None:
    """The time step that the code is of, later than the last one taken; None: it is no code of now."""
    current = int(now.timestamp()) // STEP_SECONDS
    found = None
    for step in range(current - DRIFT, current + DRIFT + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode()) and step > last_step:
            found = step
    return found


def base32(secret: bytes) -> str:
    """The secret as people type it."""
    return base64.b32encode(secret).decode().rstrip("=")


def authenticator_uri(secret: bytes, login: str, issuer: str = "Carillon") -> str:
    """What a QR code for authenticators holds."""
    return f"otpauth://totp/{quote(issuer)}:{quote(login)}?secret={base32(secret)}&issuer={quote(issuer)}&digits={DIGITS}&period={STEP_SECONDS}"


def recovery_hash(code: str) -> str:
    """How a recovery code is kept: it has 80 random bits, so that a plain hash does."""
    return hashlib.sha256(code.replace("-", "").strip().lower().encode()).hexdigest()


def without_recovery(hashes: Sequence[str], code: str) -> list[str] | None:
    """The other codes once this one is used; None: it is none of them."""
    used = recovery_hash(code)
    return [each for each in hashes if each != used] if used in hashes else None


@dataclass(frozen=True, slots=True)
class Login:
    """`name@realm` taken apart; the operator's people have no realm."""

    name: str
    realm: str

    @classmethod
    def of(cls, text: str) -> "Login":
        """The part after the last @ is the realm."""
        name, at, realm = text.strip().lower().rpartition("@")
        return cls(name, realm) if at else cls(realm, "")


def digest(secret: str) -> bytes:
    """What is kept of a secret that was made here: it is long enough for a hash without salt."""
    return hashlib.sha256(secret.encode()).digest()


def fours(text: str) -> list[str]:
    """As people read a long code."""
    return [text[index : index + 4] for index in range(0, len(text), 4)]


def typed(code: str) -> str:
    """A code from a letter, as people type it."""
    return code.replace("-", "").replace(" ", "").lower()
