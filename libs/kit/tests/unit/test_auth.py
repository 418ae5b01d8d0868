"""Tokens."""

from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from carillon_kit.auth import ADMIN, OPERATOR, Principal, PublicKeys, TokenVerifier, issue_token, sign_token
from carillon_kit.ended_tokens import ANY_TENANT, EndedTokens
from carillon_kit.errors import Unauthenticated

KEY = "0123456789abcdef0123456789abcdef"


def test_a_token_says_who_which_tenant_and_which_roles() -> None:
    token = issue_token(KEY, "alice", "dupont", {ADMIN}, timedelta(hours=1))
    assert TokenVerifier(KEY).verify(token).principal == Principal("alice", "dupont", frozenset({"admin"}))


def test_a_token_above_the_tenants_names_none() -> None:
    assert TokenVerifier(KEY).verify(issue_token(KEY, "root", None, [OPERATOR])).principal.tenant is None


@pytest.mark.parametrize(
    "token",
    [
        "",
        "abc",
        issue_token(KEY[::-1], "alice", "dupont", {ADMIN}),
        issue_token(KEY, "alice", "dupont", {ADMIN}, -1),
        jwt.encode({"sub": "alice", "aud": "carillon", "roles": ["operator"]}, "", algorithm="none"),
        jwt.encode({"sub": "alice", "aud": "other", "roles": ["operator"]}, KEY),
        jwt.encode({"aud": "carillon", "roles": ["operator"]}, KEY),
        jwt.encode({"sub": "alice", "aud": "carillon", "roles": "operator"}, KEY),
        jwt.encode({"sub": "alice", "aud": "carillon", "roles": [], "tenant": 7}, KEY),
    ],
    ids=["empty", "garbage", "other key", "expired", "unsigned", "other audience", "no subject", "roles no list", "tenant no name"],
)
def test_what_is_not_a_valid_token_is_refused(token: str) -> None:
    with pytest.raises(Unauthenticated):
        TokenVerifier(KEY).verify(token)


def test_a_token_that_was_seen_before_still_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = TokenVerifier(KEY)
    token = issue_token(KEY, "alice", None, {ADMIN}, 3600)
    first = verifier.verify(token)
    assert verifier.verify(token) is first
    verifier._known[token] = replace(first, expires=0.0)
    assert verifier.verify(token) == first
    verifier._known[token] = replace(first, expires=0.0)
    monkeypatch.setattr(TokenVerifier, "_decode", lambda *_: pytest.fail("decoded again"))
    with pytest.raises(pytest.fail.Exception):
        verifier.verify(token)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        TokenVerifier("short")
    with pytest.raises(ValueError, match="32 bytes"):
        issue_token("short", "alice", None, {ADMIN})


class Signer:
    """Signs as the directory does, at seconds after now; and a verifier that knows its key."""

    def __init__(self, most: int = 100) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.now = datetime.now(UTC)
        self.ended = EndedTokens(most)
        published = PublicKeys()
        published.add("k", urlsafe_b64encode(self.key.public_key().public_bytes_raw()).rstrip(b"=").decode())
        self.verifier = TokenVerifier(KEY, published, self.ended)

    def token(self, subject: str, tenant: str | None, after: float = 0) -> str:
        issued = self.now + timedelta(seconds=after)
        return sign_token(self.key, "k", subject, tenant, [ADMIN], issued, issued + timedelta(hours=1))

    def end(self, tenant: str, subject: str, before: float, until: float = 3600) -> None:
        now = self.now.timestamp()
        self.ended.add(tenant, subject, now + before, now + until)

    def good(self, token: str) -> bool:
        try:
            self.verifier.verify(token)
        except Unauthenticated:
            return False
        return True


def test_a_token_is_refused_once_it_was_ended_and_a_later_one_is_not() -> None:
    signer = Signer()
    token, later = signer.token("user/ann", "dupont"), signer.token("user/ann", "dupont", 0.002)
    assert signer.good(token)
    signer.end("dupont", "user/ann", 0.001)
    assert not signer.good(token), "though it is remembered"
    assert signer.good(later)
    signer.end("dupont", "user/ann", 0.0005)
    assert not signer.good(token), "an older end takes none back"
    assert signer.good(later)


def test_an_end_is_for_its_subject_and_tenant_alone_or_for_whatever_tenant() -> None:
    signer = Signer()
    ann, key = signer.token("user/ann", "dupont"), signer.token("key/7", "dupont")
    for tenant, subject in (("other", "user/ann"), ("", "user/ann"), ("dupont", "user/anna"), ("dupont", "key/8")):
        signer.end(tenant, subject, 1)
    assert signer.good(ann)
    assert signer.good(key)
    signer.end(ANY_TENANT, "key/7", 1)
    assert not signer.good(key)
    assert signer.good(ann)
    operator = signer.token("user/olga", None)
    signer.end("", "user/olga", 1)
    assert not signer.good(operator)


def test_tokens_of_the_shared_key_are_ended_by_nobody() -> None:
    signer = Signer()
    signer.end(ANY_TENANT, "user/ann", 10)
    assert signer.good(issue_token(KEY, "user/ann", "dupont", [ADMIN]))


def test_what_is_past_is_forgotten_and_too_many_end_more_rather_than_fewer() -> None:
    signer = Signer(most=2)
    token, later = signer.token("user/ann", "dupont"), signer.token("user/zoe", "dupont", 5)
    for name in "abcdef":
        signer.end("dupont", f"user/{name}", 1, -1)
    signer.end("dupont", "user/ann", 2)
    assert not signer.good(token)
    assert signer.good(signer.token("user/a", "dupont")), "what had expired anyway is not looked at"
    for name in "ghi":
        signer.end("dupont", f"user/{name}", 3)
    assert not signer.good(token)
    assert not signer.good(signer.token("user/zoe", "dupont"))
    assert signer.good(later)
