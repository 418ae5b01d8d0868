"""Who somebody is: requests authenticated by digest against the credentials that media holds.

Invariant: an unknown user costs the same work and gets the same answers as a known one with a wrong password; no digest is computed for a
nonce that was not sent to the very address that answers, nor for who is over the limits.
"""

import re
from collections.abc import Mapping
from typing import Protocol

from carillon_kit.clock import Clock
from carillon_media.domain.accounts import Accounts, Credential
from carillon_sip.digest import Algorithm, Authenticator, Authorization, Verdict, parse_authorization
from carillon_sip.errors import ParseError
from carillon_sip.flow import Flow
from carillon_sip.message import Request
from carillon_sip.uri import Uri

#: Answers to a challenge that one request may carry.
_MAX_ANSWERS = 4
TRY_LATER = (("Retry-After", "30"),)


class TryLater(Exception):
    """Not looked at now: too many wrong passwords. To be answered with 503 and `TRY_LATER`."""


class Passwords(Protocol):
    """The guard, as far as passwords go; see `handlers.gate.Gate`."""

    def client(self, flow: Flow) -> str: ...
    def may_try(self, flow: Flow, account: str) -> bool: ...
    def challenged(self, flow: Flow) -> None: ...
    def succeeded(self, flow: Flow, account: str) -> None: ...
    def failed(self, flow: Flow, account: str, method: str) -> None: ...


class Doorkeeper:
    """SHA-256 is offered beside MD5 to user agents that `sha256_agents` matches: many others (libre before 2.0, SIPp) give up when any
    challenge names an algorithm that they do not know, though RFC 3261 section 22.4 has them pass over it.
    """

    def __init__(
        self, accounts: Accounts, authenticator: Authenticator, clock: Clock, passwords: Passwords, sha256_agents: str = ""
    ) -> None:
        self._sha256_agents = re.compile(sha256_agents, re.IGNORECASE)
        self._accounts = accounts
        self._authenticator = authenticator
        self._clock = clock
        self._passwords = passwords

    def check(self, request: Request, header: str, flow: Flow) -> tuple[Verdict, Credential | None, str]:
        """Verdict, the credential if it is OK, and the realm to challenge with. `header`: Authorization or Proxy-Authorization.

        Raises TryLater, and ParseError (400, RFC 7616 section 3.4.6) when what was signed is not what is asked for.
        """
        answers = [parsed for value in request.headers.raw(header)[:_MAX_ANSWERS] if (parsed := parse_authorization(value)) is not None]
        realm = self._accounts.realm_for(request.from_.uri.host, answers[0].username if answers else request.from_.uri.user)
        answer = next((answer for answer in answers if answer.realm == realm), None)
        if answer is None:
            return Verdict.NO_CREDENTIALS, None, realm
        if not self._authenticator.is_for(answer.nonce, realm, self._passwords.client(flow)):
            # Old, forged, or sent to somebody else. To say whether the password is right would let it be guessed without a challenge.
            return Verdict.STALE, None, realm
        if not self._passwords.may_try(flow, answer.username):
            raise TryLater
        if not _same_target(answer, request):
            raise ParseError("the digest is for another request")
        return *self._verified(answer, request, realm, flow), realm

    def _verified(self, answer: Authorization, request: Request, realm: str, flow: Flow) -> tuple[Verdict, Credential | None]:
        def ha1_of(sip_user: str) -> Mapping[Algorithm, str] | None:
            credential = self._accounts.credential(sip_user)
            return credential.ha1 if credential is not None and credential.realm == realm else None

        verdict = self._authenticator.verify_answer(answer, request.method, realm, ha1_of, self._clock.monotonic())
        if verdict is Verdict.OK:
            self._passwords.succeeded(flow, answer.username)
            return verdict, self._accounts.credential(answer.username)
        if verdict is Verdict.WRONG:
            self._passwords.failed(flow, answer.username, request.method)
        return verdict, None

    def challenges(self, request: Request, realm: str, flow: Flow, *, stale: bool, salt: str) -> list[str]:
        """Values for WWW-Authenticate or Proxy-Authenticate, one for each algorithm, best first (RFC 8760 section 2.4)."""
        self._passwords.challenged(flow)
        agent = request.headers.get("User-Agent") or ""
        algorithms: tuple[Algorithm, ...] = ("SHA-256", "MD5") if self._sha256_agents.search(agent) else ("MD5",)
        now, client = self._clock.monotonic(), self._passwords.client(flow)
        return self._authenticator.challenges(realm, now, stale=stale, algorithms=algorithms, salt=salt, client=client)


def _same_target(answer: Authorization, request: Request) -> bool:
    """Whether the digest's `uri` names whom the Request-URI names. Hosts and parameters are not compared, because edges rewrite them
    (RFC 3261 section 22.4 item 5); a `uri` without a user, as SIPp and some gateways send it, names nobody."""
    if answer.uri == request.uri:
        return True
    signed = Uri.parse(answer.uri)
    return not signed.user or signed.user == Uri.parse(request.uri).user
