"""Who is asking: signed tokens (JWT, HS256) and the principal they stand for.

Invariant: a token's tenant and roles are believed only after its signature and expiry were checked; there is no unsigned path.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import jwt

from carillon_kit.errors import Unauthenticated

_ALGORITHM = "HS256"
_AUDIENCE = "carillon"
#: RFC 7518 section 3.2: the key of HS256 has at least as many bits as the hash.
_SHORTEST_KEY = 32
#: A verifier remembers this many tokens it has checked, so that a call costs a dictionary look-up instead of an HMAC.
_REMEMBERED = 1024


class Role(StrEnum):
    """What a principal may be."""

    #: Above the tenants.
    OPERATOR = "operator"
    #: Administers one tenant.
    ADMIN = "admin"
    #: One of our own processes.
    SERVICE = "service"


OPERATOR = Role.OPERATOR
ADMIN = Role.ADMIN
SERVICE = Role.SERVICE


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking; `tenant` is None for operators and services, which name theirs per call."""

    subject: str
    tenant: str | None
    roles: frozenset[str]


def issue_token(key: str, subject: str, tenant: str | None, roles: Iterable[str], expires_in: timedelta | float | None = None) -> str:
    """Sign a token for `subject`; `expires_in` in seconds or as a timedelta, None for a token without end."""
    _check_key(key)
    claims: dict[str, object] = {"sub": subject, "aud": _AUDIENCE, "roles": sorted(str(role) for role in roles)}
    if tenant is not None:
        claims["tenant"] = tenant
    if expires_in is not None:
        lifetime = expires_in if isinstance(expires_in, timedelta) else timedelta(seconds=expires_in)
        claims["exp"] = datetime.now(UTC) + lifetime
    return jwt.encode(claims, key, algorithm=_ALGORITHM)


class TokenVerifier:
    """Checks tokens signed with one key."""

    def __init__(self, key: str) -> None:
        _check_key(key)
        self._key = key
        self._known: dict[str, tuple[Principal, float | None]] = {}

    def verify(self, token: str) -> Principal:
        """The principal behind `token`; raises `Unauthenticated` for anything but a valid, unexpired token."""
        known = self._known.get(token)
        if known is not None:
            principal, expires = known
            if expires is None or datetime.now(UTC).timestamp() < expires:
                return principal
            del self._known[token]
        principal, expires = self._decode(token)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[token] = (principal, expires)
        return principal

    def _decode(self, token: str) -> tuple[Principal, float | None]:
        try:
            claims = jwt.decode(token, self._key, algorithms=[_ALGORITHM], audience=_AUDIENCE, options={"require": ["sub", "aud"]})
        except jwt.PyJWTError as error:
            raise Unauthenticated("the token is not valid") from error
        tenant, roles = claims.get("tenant"), claims.get("roles")
        if not (tenant is None or isinstance(tenant, str)) or not isinstance(roles, list):
            raise Unauthenticated("the token is not valid")
        expires = claims.get("exp")
        return Principal(str(claims["sub"]), tenant, frozenset(str(role) for role in roles)), None if expires is None else float(expires)


def _check_key(key: str) -> None:
    if len(key.encode()) < _SHORTEST_KEY:
        raise ValueError(f"the token key needs at least {_SHORTEST_KEY} bytes")
