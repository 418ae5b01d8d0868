"""HTTP digest for SIP (RFC 3261 section 22, RFC 7616, RFC 8760): several challenges, MD5 and SHA-256, qop auth.

Invariant: nothing here knows a password on the server's side, only HA1; nonces are signed, expire, and a nonce count is
accepted once.
"""

import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import md5, sha256
from typing import Literal, TypeAlias

from carillon_sip.uri import quote

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


#: Stands for the HA1 of users whom we do not know, of the same length.
_NOBODY: Mapping[Algorithm, str] = {"MD5": "0" * 32, "SHA-256": "0" * 64}
_HASHES = {"MD5": md5, "SHA-256": sha256}
_PAIR = re.compile(r'\s*([A-Za-z0-9_-]{1,32})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))\s*(?:,|$)')
_NONCE_COUNT = re.compile(r"[0-9A-Fa-f]{8}")
_MAX_VALUE = 4096


def ha1(username: str, realm: str, password: str, algorithm: Algorithm) -> str:
    """H(username:realm:password) in lower-case hex: what a directory stores."""
    return _digest(algorithm, f"{username}:{realm}:{password}")


def response_of(ha1_hex: str, method: str, authorization: Authorization, algorithm: Algorithm) -> str:
    """The response that the fields of `authorization` demand (RFC 7616 section 3.4.1); with qop auth or none."""
    ha2 = _digest(algorithm, f"{method}:{authorization.uri}")
    if not authorization.qop:
        return _digest(algorithm, f"{ha1_hex}:{authorization.nonce}:{ha2}")
    middle = f"{authorization.nonce}:{authorization.nc}:{authorization.cnonce}:{authorization.qop}"
    return _digest(algorithm, f"{ha1_hex}:{middle}:{ha2}")


def parse_authorization(value: str) -> Authorization | None:
    """Read one Authorization header's value; None when it is not a complete Digest."""
    fields = _fields(value)
    if fields is None or not {"username", "realm", "nonce", "uri", "response"} <= fields.keys():
        return None
    return Authorization(
        username=fields["username"],
        realm=fields["realm"],
        nonce=fields["nonce"],
        uri=fields["uri"],
        response=fields["response"].lower(),
        algorithm=fields.get("algorithm", "MD5").upper(),
        qop=fields.get("qop", ""),
        nc=fields.get("nc", ""),
        cnonce=fields.get("cnonce", ""),
        opaque=fields.get("opaque", ""),
    )


class Authenticator:
    """The server's side. `key` signs nonces (share it between replicas); `max_nonces` bounds the table of nonce counts.

    A nonce is its time of issue, a salt, whom it was sent to, and a MAC over these and the realm; nothing is remembered until it is used.
    `now` is in seconds; replicas that share the key must also share its clock (seconds since the epoch).
    """

    def __init__(self, key: bytes, *, nonce_seconds: float = 300.0, max_nonces: int = 50_000) -> None:
        self._key = key
        self._nonce_seconds = nonce_seconds
        self._max_nonces = max_nonces
        #: Highest nonce count accepted, by nonce and user; the oldest are dropped first, and a dropped nonce is stale.
        self._counts: dict[tuple[str, str], int] = {}
        self._dropped_until = float("-inf")

    def challenges(
        self,
        realm: str,
        now: float,
        *,
        stale: bool = False,
        algorithms: Sequence[Algorithm] = ("SHA-256", "MD5"),
        salt: str = "",
        client: str = "",
    ) -> list[str]:
        """Values for WWW-Authenticate (or Proxy-Authenticate), one per algorithm, best first. `salt` makes nonces differ, `client` is whom
        they are sent to (its address): see `is_for`."""
        nonce = self._nonce(realm, now, salt, client)
        flag = ", stale=true" if stale else ""
        return [f'Digest realm={quote(realm)}, nonce="{nonce}", algorithm={name}, qop="auth"{flag}' for name in algorithms]

    def verify(
        self,
        authorizations: Sequence[str],
        method: str,
        realm: str,
        ha1_of: Callable[[str], Mapping[Algorithm, str] | None],
        now: float,
    ) -> tuple[Verdict, str]:
        """Check the Authorization headers of a request against `ha1_of(username)`; returns verdict and user name ("" if none).

        The URI in the header is not compared with the Request-URI: edges rewrite that (RFC 3261 section 22.4 item 5).
        """
        for value in authorizations:
            authorization = parse_authorization(value)
            if authorization is None or authorization.realm != realm:
                continue
            return self.verify_answer(authorization, method, realm, ha1_of, now), authorization.username
        return Verdict.NO_CREDENTIALS, ""

    def is_for(self, nonce: str, realm: str, client: str) -> bool:
        """Whether this nonce is ours and was sent to that client, however long ago: who brings it back can receive at that address."""
        return self._issued(nonce, realm) is not None and hmac.compare_digest(nonce.split(".")[1][8:].encode(), self._mark(client).encode())

    def verify_answer(
        self, authorization: Authorization, method: str, realm: str, ha1_of: Callable[[str], Mapping[Algorithm, str] | None], now: float
    ) -> Verdict:
        """As `verify`, of one header that was read already and is for this realm."""
        algorithm: Algorithm
        if authorization.algorithm == "MD5":
            algorithm = "MD5"
        elif authorization.algorithm == "SHA-256":
            algorithm = "SHA-256"
        else:
            return Verdict.WRONG
        issued = self._issued(authorization.nonce, realm)
        # Unknown users cost the same work as known ones.
        stored = (ha1_of(authorization.username) or {}).get(algorithm)
        wanted = response_of(stored or _NOBODY[algorithm], method, authorization, algorithm)
        right = hmac.compare_digest(wanted.encode(), authorization.response.encode("utf-8", "surrogateescape"))
        if issued is None:
            # Not our nonce (or made with another key): with the right password it is only old.
            return Verdict.STALE if right and stored else Verdict.WRONG
        if not right or stored is None or authorization.qop != "auth" or not authorization.cnonce:
            return Verdict.WRONG
        if not now - self._nonce_seconds <= issued <= now + 1.0 or issued <= self._dropped_until:
            return Verdict.STALE
        return self._count(authorization, issued)

    def _count(self, authorization: Authorization, issued: float) -> Verdict:
        """ "The nc value ... if the same nc-value is seen twice, then the request is a replay" (RFC 7616 section 3.4)."""
        count = int(authorization.nc, 16) if _NONCE_COUNT.fullmatch(authorization.nc) else 0
        if count <= 0:
            return Verdict.WRONG
        key = (authorization.nonce, authorization.username)
        if count <= self._counts.get(key, 0):
            return Verdict.STALE
        if key not in self._counts and len(self._counts) >= self._max_nonces:
            oldest = next(iter(self._counts))
            del self._counts[oldest]
            self._dropped_until = max(self._dropped_until, _time_of(oldest[0]) or self._dropped_until)
        self._counts[key] = count
        return Verdict.OK if issued > self._dropped_until else Verdict.STALE

    def _nonce(self, realm: str, now: float, salt: str, client: str) -> str:
        issued = f"{int(now * 1000):012x}.{sha256(salt.encode()).hexdigest()[:8]}{self._mark(client)}"
        return f"{issued}.{self._sign(issued, realm)}"

    def _mark(self, client: str) -> str:
        """What stands for a client in its nonces; others cannot make it, and it cannot be changed without the nonce's MAC."""
        return hmac.digest(self._key, b"client:" + client.encode("utf-8", "surrogateescape"), "sha256").hex()[:8] if client else ""

    def _sign(self, issued: str, realm: str) -> str:
        return hmac.digest(self._key, f"{issued}:{realm}".encode("utf-8", "surrogateescape"), "sha256").hex()[:32]

    def _issued(self, nonce: str, realm: str) -> float | None:
        """When this nonce of ours was issued, or None when it is not ours."""
        issued, _, signature = nonce.rpartition(".")
        signed = self._sign(issued, realm).encode()
        return _time_of(nonce) if hmac.compare_digest(signed, signature.encode("utf-8", "surrogateescape")) else None


def answer_challenges(
    challenges: Sequence[str], credentials: Credentials, method: str, uri: str, cnonce: str, nonce_count: int = 1
) -> str | None:
    """The client's side: value for (Proxy-)Authorization answering the best challenge we can; None when there is none."""
    best: tuple[int, dict[str, str], Algorithm] | None = None
    for challenge in challenges:
        fields = _fields(challenge)
        if fields is None or "nonce" not in fields or (credentials.realm and fields.get("realm") != credentials.realm):
            continue
        named = fields.get("algorithm", "MD5").upper()
        # "the UAC MUST use the topmost header field that it supports" (RFC 8760 section 2.4), but we rather take the stronger.
        if named == "SHA-256" and (best is None or best[0] < 2):
            best = (2, fields, "SHA-256")
        elif named == "MD5" and best is None:
            best = (1, fields, "MD5")
    return None if best is None else _answer(best[1], best[2], credentials, method, uri, cnonce, nonce_count)


def _answer(
    fields: dict[str, str], algorithm: Algorithm, credentials: Credentials, method: str, uri: str, cnonce: str, nonce_count: int
) -> str | None:
    offered = [word.strip() for word in fields.get("qop", "").lower().split(",") if word.strip()]
    if offered and "auth" not in offered:
        return None
    realm, nonce = fields.get("realm", ""), fields["nonce"]
    qop, nc, cnonce = ("auth", f"{nonce_count:08x}", cnonce) if offered else ("", "", "")
    draft = Authorization(credentials.username, realm, nonce, uri, "", algorithm, qop, nc, cnonce)
    response = response_of(ha1(credentials.username, realm, credentials.password, algorithm), method, draft, algorithm)
    parts = [f"username={quote(credentials.username)}", f"realm={quote(realm)}", f"nonce={quote(nonce)}", f"uri={quote(uri)}"]
    parts += [f'response="{response}"', f"algorithm={algorithm}"]
    parts += [f"qop=auth, nc={nc}, cnonce={quote(cnonce)}"] if qop else []
    parts += [f"opaque={quote(fields['opaque'])}"] if "opaque" in fields else []
    return "Digest " + ", ".join(parts)


def _fields(value: str) -> dict[str, str] | None:
    """Parameters of a Digest credential or challenge by lower-case name; None when malformed or another scheme."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest" or len(value) > _MAX_VALUE:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    fields: dict[str, str] = {}
    position, rest = 0, rest.strip()
    while position < len(rest):
        found = _PAIR.match(rest, position)
        if found is None:
            return None
        name, quoted, plain = found.groups()
        if quoted is not None:
            plain = re.sub(r"\\(.)", r"\1", quoted) if "\\" in quoted else quoted
        fields.setdefault(name.lower(), plain)
        position = found.end()
    return fields


def _digest(algorithm: Algorithm, text: str) -> str:
    return _HASHES[algorithm](text.encode("utf-8", "surrogateescape")).hexdigest()


def _time_of(nonce: str) -> float | None:
    try:
        return int(nonce[:12], 16) / 1000
    except ValueError:
        return None
