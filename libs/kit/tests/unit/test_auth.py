"""Tokens."""

from datetime import timedelta

import jwt
import pytest

from carillon_kit.auth import ADMIN, OPERATOR, Principal, TokenVerifier, issue_token
from carillon_kit.errors import Unauthenticated

KEY = "0123456789abcdef0123456789abcdef"


def test_a_token_says_who_which_tenant_and_which_roles() -> None:
    token = issue_token(KEY, "alice", "dupont", {ADMIN}, timedelta(hours=1))
    assert TokenVerifier(KEY).verify(token) == Principal("alice", "dupont", frozenset({"admin"}))


def test_a_token_above_the_tenants_names_none() -> None:
    assert TokenVerifier(KEY).verify(issue_token(KEY, "root", None, [OPERATOR])).tenant is None


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
    verifier._known[token] = (first, 0.0)
    assert verifier.verify(token) == first
    verifier._known[token] = (first, 0.0)
    monkeypatch.setattr(TokenVerifier, "_decode", lambda *_: pytest.fail("decoded again"))
    with pytest.raises(pytest.fail.Exception):
        verifier.verify(token)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        TokenVerifier("short")
    with pytest.raises(ValueError, match="32 bytes"):
        issue_token("short", "alice", None, {ADMIN})
