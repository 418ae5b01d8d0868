"""Who is asking: signed tokens (JWT) and the principal they stand for.

People and systems have tokens signed with EdDSA (RFC 8037) by keys that one service makes and publishes; our own processes and
operators at the machine itself have tokens signed with the key that all services share (HS256).

Invariant: a token's tenant and roles are believed only after its signature and expiry were checked; there is no unsigned path.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from carillon_kit.ended_tokens import EndedTokens
from carillon_kit.errors import Unauthenticated

_SHARED, _PUBLISHED = "HS256", "EdDSA"
_AUDIENCE = "carillon"
#: RFC 7518 section 3.2: the key of HS256 has at least as many bits as the hash.
_SHORTEST_KEY = 32
#: A verifier remembers this many tokens it has checked, so that a call costs a dictionary look-up instead of an HMAC.
_REMEMBERED = 1024


class Role(StrEnum):
    """What a principal may be."""

    #: Above the tenants.
    OPERATOR = "operator"
    #: Between operator and tenants: sees those that it sells to.
    RESELLER = "reseller"
    #: Administers one tenant.
    ADMIN = "admin"
    #: Administers a department of a tenant and what is below it.
    DEPARTMENT_ADMIN = "department_admin"
    #: A person of a tenant, for what is their own.
    USER = "user"
    #: One of our own processes.
    SERVICE = "service"


#: Stands among an rpc's rights for "no token is needed".
ANYONE = frozenset({"anyone"})
OPERATOR = Role.OPERATOR
RESELLER = Role.RESELLER
ADMIN = Role.ADMIN
DEPARTMENT_ADMIN = Role.DEPARTMENT_ADMIN
USER = Role.USER
SERVICE = Role.SERVICE


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking; `tenant` is None for those above the tenants and for services, which name theirs per call."""

    subject: str
    tenant: str | None
    roles: frozenset[str]
    #: Of a department's admin; empty: none.
    department: str = ""
    #: Narrows what the roles allow; empty: nothing does.
    rights_profile: str = ""
    #: Of those with the role reseller: which.
    reseller: str = ""


def issue_token(
    key: str,
    subject: str,
    tenant: str | None,
    roles: Iterable[str],
    expires_in: timedelta | float | None = None,
    *,
    department: str = "",
    rights_profile: str = "",
    reseller: str = "",
) -> str:
    """Sign a token for `subject`; `expires_in` in seconds or as a timedelta, None for a token without end."""
    _check_key(key)
    claims: dict[str, object] = {"sub": subject, "aud": _AUDIENCE, "roles": sorted(str(role) for role in roles)}
    if tenant is not None:
        claims["tenant"] = tenant
    claims |= _narrowing(department=department, rights_profile=rights_profile, reseller=reseller)
    if expires_in is not None:
        lifetime = expires_in if isinstance(expires_in, timedelta) else timedelta(seconds=expires_in)
        claims["exp"] = datetime.now(UTC) + lifetime
    return jwt.encode(claims, key, algorithm=_SHARED)


def sign_token(
    key: Ed25519PrivateKey,
    kid: str,
    subject: str,
    tenant: str | None,
    roles: Iterable[str],
    issued_at: datetime,
    expires_at: datetime,
    *,
    department: str = "",
    rights_profile: str = "",
    reseller: str = "",
) -> str:
    """Sign a token that whoever has the public key can check; `issued_at`: not later than what it says was known to be true."""
    issued = issued_at.timestamp()
    claims: dict[str, object] = {"sub": subject, "aud": _AUDIENCE, "roles": sorted(roles), "iat": issued, "exp": expires_at}
    if tenant is not None:
        claims["tenant"] = tenant
    claims |= _narrowing(department=department, rights_profile=rights_profile, reseller=reseller)
    return jwt.encode(claims, key, algorithm=_PUBLISHED, headers={"kid": kid})


def _narrowing(**claims: str) -> dict[str, str]:
    return {name: value for name, value in claims.items() if value}


class PublicKeys:
    """The published keys by their `kid`, as they come; those that are not published any more are forgotten with the process."""

    def __init__(self) -> None:
        self._keys: dict[str, Ed25519PublicKey] = {}

    def add(self, kid: str, x: str) -> None:
        """One more; `x` as a JWK has it (RFC 8037 section 2). Raises `ValueError`."""
        try:
            raw = base64.urlsafe_b64decode(x + "=" * (-len(x) % 4))
        except binascii.Error as error:
            raise ValueError("x is not base64url") from error
        self._keys[kid] = Ed25519PublicKey.from_public_bytes(raw)

    def get(self, kid: object) -> Ed25519PublicKey | None:
        """The key, or None."""
        return self._keys.get(kid) if isinstance(kid, str) else None


@dataclass(frozen=True, slots=True)
class Verified:
    """What a token says that was checked; times in seconds since 1970."""

    principal: Principal
    #: None: never.
    expires: float | None
    #: None: signed with the shared key, by those whose tokens nobody ends.
    issued: float | None


class TokenVerifier:
    """Checks tokens signed with the shared key, or with one of the published keys unless they were ended."""

    def __init__(self, key: str, published: PublicKeys | None = None, ended: EndedTokens | None = None) -> None:
        _check_key(key)
        self._key = key
        self._published = published or PublicKeys()
        self.ended = ended or EndedTokens()
        self._known: dict[str, Verified] = {}

    def verify(self, token: str) -> Verified:
        """What `token` says; raises `Unauthenticated` for anything but a valid token that has not expired and was not ended."""
        known = self._known.get(token)
        if known is None or (known.expires is not None and datetime.now(UTC).timestamp() >= known.expires):
            self._known.pop(token, None)
            known = self._decode(token)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[token] = known
        if self.has_ended(known):
            raise Unauthenticated("the token was ended; log in again")
        return known

    def has_ended(self, token: Verified) -> bool:
        """Whether a token that was checked before counts no more, although it has not expired."""
        who = token.principal
        return token.issued is not None and self.ended.covers(who.tenant or "", who.subject, token.issued)

    def _decode(self, token: str) -> Verified:
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") == _PUBLISHED:
                public = self._published.get(header.get("kid"))
                if public is None:
                    raise Unauthenticated("the token is not valid")
                # Another machine's clock may be ahead of ours.
                claims = jwt.decode(
                    token,
                    public,
                    algorithms=[_PUBLISHED],
                    audience=_AUDIENCE,
                    options={"require": ["sub", "aud", "exp"], "verify_iat": False},
                )
                issued = float(claims.get("iat", 0.0))
            else:
                claims = jwt.decode(token, self._key, algorithms=[_SHARED], audience=_AUDIENCE, options={"require": ["sub", "aud"]})
                issued = None
        except jwt.PyJWTError as error:
            raise Unauthenticated("the token is not valid") from error
        tenant, roles = claims.get("tenant"), claims.get("roles")
        if not (tenant is None or isinstance(tenant, str)) or not isinstance(roles, list):
            raise Unauthenticated("the token is not valid")
        expires = claims.get("exp")
        within = [str(claims.get(name, "")) for name in ("department", "rights_profile", "reseller")]
        principal = Principal(str(claims["sub"]), tenant, frozenset(str(role) for role in roles), *within)
        return Verified(principal, None if expires is None else float(expires), issued)


def _check_key(key: str) -> None:
    if len(key.encode()) < _SHORTEST_KEY:
        raise ValueError(f"the token key needs at least {_SHORTEST_KEY} bytes")
