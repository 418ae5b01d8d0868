"""Subscriptions go on after kill -9: each is kept when it begins, is refreshed or has counted far, and taken up by the next process.

Invariant: a subscription that is over is not kept; who may not watch any more is not taken up.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from pydantic import ValidationError

from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_media.domain.kept_watcher import RESERVE, KeptWatcher, key_of
from carillon_media.handlers.topics import Topic
from carillon_sip.errors import ParseError
from carillon_sip.subscription_commands import SubscriptionFacts
from carillon_sip.uri import address_uri

_log = get_logger(__name__)


class WatcherStore(Protocol):
    """Where they are kept; writes happen in the background."""

    def keep(self, watcher: KeptWatcher) -> None:
        """New, or in place of what was kept by this key."""

    def forget(self, key: str) -> None:
        """It is over."""

    def kept(self) -> Sequence[KeptWatcher]:
        """By the process before."""


class AdoptingSip(Protocol):
    """The SIP stack, as far as taking up subscriptions goes."""

    def subscription(self, subscription: str) -> SubscriptionFacts | None: ...
    def adopt_subscription(self, facts: SubscriptionFacts) -> str: ...


class TakenUp(NamedTuple):
    """A subscription that goes on; `name` as the SIP stack has it, `version` of its next document."""

    name: str
    kept: KeptWatcher
    version: int


class KeptWatchers:
    """Keeps by the names of the SIP stack."""

    def __init__(self, sip: AdoptingSip, store: WatcherStore, clock: Clock) -> None:
        self._sip = sip
        self._store = store
        self._clock = clock
        self._keys: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def keep(self, name: str, topic: Topic, account: str, version: int) -> None:
        """As it is now."""
        facts = self._sip.subscription(name)
        if facts is None or facts.expires_at <= (now := self._clock.monotonic()):
            return
        until = self._clock.now().timestamp() + facts.expires_at - now
        try:
            kept = _kept(facts, topic, account, until, max(facts.dialog.local_cseq, version) + RESERVE)
        except ValidationError as error:
            # Its headers hold what is no text, or it has counted too far: it lives as long as this process.
            _log.warning("a subscription is not kept", tenant=topic.tenant, errors=error.error_count())
            return
        self._keys[name], self._counts[name] = kept.key, kept.count
        self._store.keep(kept)

    def counted(self, name: str, topic: Topic, account: str, version: int) -> None:
        """It told something once more; each document is one NOTIFY at most."""
        if self._counts.get(name, version) - version < RESERVE // 2:
            self.keep(name, topic, account, version)

    def forget(self, name: str) -> None:
        """It is over."""
        self._counts.pop(name, None)
        key = self._keys.pop(name, None)
        if key is not None:
            self._store.forget(key)

    def take_up(self, allowed: Callable[[KeptWatcher], bool]) -> Iterator[TakenUp]:
        """What the process before kept and whoever watches still may watch, each adopted by the SIP stack."""
        wall, now = self._clock.now().timestamp(), self._clock.monotonic()
        for kept in self._store.kept():
            if kept.expires_at <= wall or not allowed(kept):
                self._store.forget(kept.key)
                continue
            try:
                for uri in (kept.remote_target, *kept.route_set[:1]):
                    address_uri(uri)
            except ParseError as error:
                _log.warning("a subscription cannot be taken up", key=kept.key, error=str(error))
                self._store.forget(kept.key)
                continue
            until = now + kept.expires_at - wall
            facts = SubscriptionFacts(kept.dialog, kept.flow, kept.contact, kept.package, kept.event_id, until)
            name = self._sip.adopt_subscription(facts)
            self._keys[name] = kept.key
            yield TakenUp(name, kept, kept.count)


def _kept(facts: SubscriptionFacts, topic: Topic, account: str, until: float, count: int) -> KeptWatcher:
    dialog, flow = facts.dialog, facts.flow
    return KeptWatcher(
        key=key_of(dialog, facts.event, facts.event_id),
        account=account,
        package=topic.package,
        tenant=topic.tenant,
        about=topic.about,
        entity=topic.entity,
        call_id=dialog.call_id,
        local_tag=dialog.local_tag,
        remote_tag=dialog.remote_tag,
        local=dialog.local,
        remote=dialog.remote,
        remote_target=dialog.remote_target,
        route_set=dialog.route_set,
        remote_cseq=dialog.remote_cseq,
        transport=flow.transport,
        local_address=flow.local,
        remote_address=flow.remote,
        contact=facts.contact,
        event_id=facts.event_id,
        expires_at=until,
        count=count,
    )
