"""HTTP digest for SIP (RFC 3261 section 22, RFC 7616, RFC 8760): several challenges, MD5 and SHA-256, qop auth.

Invariant: nothing here knows a password on the server's side, only HA1; nonces are signed, expire, and a nonce count is
accepted once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

Algorithm: TypeAlias = Literal["MD5", "SHA-256"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client knows: user name, password, and the realm it is for ("" = any)."""

    username: str
    password: str
    realm: str = ""


class Verdict(Enum):
    """What to do with a request: let it pass, challenge again with or without stale, or refuse."""

    OK = "ok"
    NO_CREDENTIALS = "no credentials"
    STALE = "stale"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Authorization:
    """A parsed Authorization or Proxy-Authorization header with scheme Digest."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = "MD5"
    qop: str = ""
    nc: str = ""
    cnonce: str = ""
    opaque: str = ""


def ha1(username: str, realm: str, password: str, algorithm: Algorithm) -> str:
    """H(username:realm:password) in lower-case hex: what a directory stores."""
    raise NotImplementedError


def parse_authorization(value: str) -> Authorization | None:
    """Read one Authorization header's value; None when it is not a complete Digest."""
    raise NotImplementedError


class Authenticator:
    """The server's side. `key` signs nonces (share it between replicas); `max_nonces` bounds the table of nonce counts."""

    def __init__(self, key: bytes, *, nonce_seconds: float = 300.0, max_nonces: int = 50_000) -> None:
        raise NotImplementedError

    def challenges(
        self, realm: str, now: float, *, stale: bool = False, algorithms: Sequence[Algorithm] = ("SHA-256", "MD5"), salt: str = ""
    ) -> list[str]:
        """Values for WWW-Authenticate (or Proxy-Authenticate), one per algorithm, best first. `salt` makes nonces differ."""
        raise NotImplementedError

    def verify(
        self,
        authorizations: Sequence[str],
        method: str,
        realm: str,
        ha1_of: Callable[[str], Mapping[Algorithm, str] | None],
        now: float,
    ) -> tuple[Verdict, str]:
        """Check the Authorization headers of a request against `ha1_of(username)`; returns verdict and user name ("" if none)."""
        raise NotImplementedError


def answer_challenges(
    challenges: Sequence[str], credentials: Credentials, method: str, uri: str, cnonce: str, nonce_count: int = 1
) -> str | None:
    """The client's side: value for (Proxy-)Authorization answering the best challenge we can; None when there is none."""
    raise NotImplementedError
