"""Who watches whom: busy lamps, message lamps and presence for phones of the same house (RFC 6665).

Invariant: a watcher has proved who it is and watches only its own tenant; its own mailbox only, and its own registrations unless it is
an admin; what has changed is told within `GATHER_SECONDS` and the time it takes to tell the others; watchers are counted, by account
and all in all.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Protocol

from carillon_contracts.config import ConfigChanged, User
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_media.domain.accounts import Accounts, Credential
from carillon_media.domain.kept_watcher import KeptWatcher
from carillon_media.domain.lamps import slot_name
from carillon_media.domain.state import Parked
from carillon_media.handlers.actor import CallActor
from carillon_media.handlers.authenticated import KEYS, HousePhones, Refused
from carillon_media.handlers.kept_watchers import AdoptingSip, KeptWatchers, WatcherStore
from carillon_media.handlers.registrar import Device, DeviceStore
from carillon_media.handlers.topics import LISTED, Document, Documents, Mailboxes, SipDialogs, Topic, is_keys, keys_name
from carillon_media.ports import Fields
from carillon_sip import dialog_info, event_list, message_summary, presence, reg_info
from carillon_sip.message import Request
from carillon_sip.outputs import StateWanted, SubscribeReceived, SubscriptionEnded

_log = get_logger(__name__)
#: Changes that come so close together are told at once.
GATHER_SECONDS = 0.05
#: Watchers of one topic that are told in one turn, and how long the loop is everybody else's before the next.
PER_TURN, TURN_SECONDS = 20, 0.005
#: Watchers that a process that starts anew tells at once, and how long it waits before the next ones, in seconds.
AGAIN_AT_ONCE, AGAIN_SECONDS = 20, 0.02
#: Subscriptions of one SIP account: a phone with all its key modules.
MAX_PER_ACCOUNT = 250
_TYPES = {
    dialog_info.EVENT: dialog_info.CONTENT_TYPE,
    message_summary.EVENT: message_summary.CONTENT_TYPE,
    presence.EVENT: presence.CONTENT_TYPE,
    reg_info.EVENT: reg_info.CONTENT_TYPE,
}
Key = tuple[str, str]


class WatchedSip(SipDialogs, AdoptingSip, Protocol):
    """The SIP stack, as far as subscriptions go."""

    def accept_subscription(self, subscription: str, body: bytes, content_type: str) -> None: ...
    def reject_subscription(self, subscription: str, status: int, headers: Fields = ()) -> None: ...
    def notify(self, subscription: str, body: bytes, content_type: str, *, full: bool) -> None: ...
    def terminate_subscription(self, subscription: str, reason: str) -> None: ...


class Watching:
    """All watchers of this node. `run` as a task; `changed` is told by the switchboard, `online` asks the registrar."""

    def __init__(
        self,
        accounts: Accounts,
        phones: HousePhones,
        sip: WatchedSip,
        calls: Mapping[str, CallActor],
        mailboxes: Mailboxes,
        online: Callable[[str, str], bool],
        devices: Callable[[str, str], Sequence[Device]],
        store: WatcherStore,
        clock: Clock,
    ) -> None:
        self._kept = KeptWatchers(sip, store, clock)
        self._accounts = accounts
        self._phones = phones
        self._sip = sip
        self._calls = calls
        self.documents = Documents(accounts, sip, mailboxes, self._calls_of, online, devices)
        self._legs: dict[Key, set[str]] = {}
        self._slots: dict[str, frozenset[str]] = {}
        self._topics: dict[tuple[str, str, str, str], Topic] = {}
        self._of_user: dict[Key, list[Topic]] = {}
        self._of_mailbox: dict[Key, list[Topic]] = {}
        self._watchers: dict[str, tuple[Topic, str]] = {}
        self._per_account: Counter[str] = Counter()
        self._dirty: set[Topic] = set()
        self._news = asyncio.Event()
        self._again: list[str] = []
        #: Notices of waiting messages that were sent, by account.
        self.message_notices: Counter[str] = Counter()
        self.closed = False

    # -- from phones --------------------------------------------------------------------------------------------------

    def heard(self, output: SubscribeReceived | StateWanted | SubscriptionEnded) -> None:
        """A subscription begins, wants its state, or is over."""
        if isinstance(output, SubscribeReceived):
            self._asked(output)
        elif isinstance(output, StateWanted):
            self._wanted(output.subscription)
        else:
            self._over(output.subscription)

    def _asked(self, asked: SubscribeReceived) -> None:
        name, request = asked.subscription, asked.request
        admitted = Refused(503, (("Retry-After", "5"),)) if self.closed else self._phones.admit(request, asked.flow)
        if isinstance(admitted, Refused):
            self._sip.reject_subscription(name, admitted.status, admitted.headers)
            return
        topic = self._topic(asked.event, request, admitted)
        if isinstance(topic, Refused):
            self._sip.reject_subscription(name, topic.status, topic.headers)
            return
        if self._per_account[admitted.sip_user] >= MAX_PER_ACCOUNT:
            self._sip.reject_subscription(name, 503, (("Retry-After", "60"),))
            return
        self._begin(name, topic, admitted.sip_user, 1)
        document = self.documents.full(topic)
        self._sip.accept_subscription(name, document.at(0), document.content_type)
        self._kept.keep(name, topic, admitted.sip_user, 1)
        self._count(topic, admitted.sip_user)

    def _begin(self, name: str, topic: Topic, account: str, version: int) -> None:
        self._enter(topic)
        self._per_account[account] += 1
        self._watchers[name] = (topic, account)
        topic.watchers[name] = version

    def _topic(self, event: str, request: Request, credential: Credential) -> Topic | Refused:
        """What is to be watched, or how to refuse it."""
        if "accept" in request.headers and not request.accepts(_TYPES[event]):
            return Refused(406)
        tenant = credential.tenant
        name, about = self._phones.meant(tenant, request.uri)
        if not about and event in LISTED and self._phones.means_keys(tenant, request.uri):
            # "If a subscriber ... does not include 'eventlist' in Supported, ... 421 (Extension Required)" (RFC 4662 section 4.1)
            if event_list.EXTENSION not in request.headers.all("supported"):
                return Refused(421, (("Require", event_list.EXTENSION),))
            name, about = KEYS, keys_name(credential.user_id)
        if not about or (about.startswith(slot_name("")) and event != dialog_info.EVENT):
            return Refused(404)
        if event == message_summary.EVENT:
            about = self._accounts.mailbox_of(tenant, about)
            if not about:
                return Refused(404)
        if self._forbidden(event, tenant, about, credential.sip_user):
            return Refused(403)
        entity = f"sip:{name}@{self._accounts.realm_of(tenant)}"
        return self._topics.get((event, tenant, about, entity)) or Topic(event, tenant, about, entity)

    def _wanted(self, name: str) -> None:
        """A refresh, or too much waited: the whole state, if its watcher still may have it."""
        topic, account = self._watchers.get(name, (None, ""))
        if topic is None:
            return
        if reason := self._forbidden(topic.package, topic.tenant, topic.about, account):
            self._sip.terminate_subscription(name, reason)
            self._over(name)
            return
        self._send(topic, name, self.documents.full(topic))
        self._kept.keep(name, topic, account, topic.watchers[name])

    def _forbidden(self, package: str, tenant: str, about: str, account: str) -> str:
        """Why who could watch this may not any more, in a word of RFC 6665 section 4.1.3; empty: still may."""
        credential = self._accounts.credential(account)
        if credential is None or credential.tenant != tenant:
            return "rejected"
        if package == message_summary.EVENT and self._accounts.mailbox_of(tenant, credential.user_id) != about:
            return "noresource"
        if package == reg_info.EVENT and credential.user_id != about and not self._accounts.is_admin(tenant, credential.user_id):
            return "rejected"
        if is_keys(about) and about != keys_name(credential.user_id):
            return "noresource"
        return ""

    def _over(self, name: str) -> None:
        self._kept.forget(name)
        topic, account = self._watchers.pop(name, (None, ""))
        if topic is None:
            return
        self._per_account[account] -= 1
        if self._per_account[account] <= 0:
            del self._per_account[account]
        topic.watchers.pop(name, None)
        if not topic.watchers:
            self._leave(topic)

    # -- after a restart ----------------------------------------------------------------------------------------------

    def take_up(self) -> int:
        """Have the subscriptions of the process before, before SIP is heard; returns how many. `tell_again` tells them."""

        def allowed(kept: KeptWatcher) -> bool:
            return kept.package in _TYPES and not self._forbidden(kept.package, kept.tenant, kept.about, kept.account)

        for name, kept, version in self._kept.take_up(allowed):
            key = (kept.package, kept.tenant, kept.about, kept.entity)
            topic = self._topics.get(key) or Topic(*key)
            self._begin(name, topic, kept.account, version)
            self._kept.keep(name, topic, kept.account, version)
            self._again.append(name)
        return len(self._again)

    async def tell_again(self) -> None:
        """Everything to those who were taken up, a few at a time. Connections ended with the process: who had one asks by a new one."""
        again, self._again = self._again, []
        for count, name in enumerate(again, 1):
            facts = self._sip.subscription(name)
            found = self._watchers.get(name)
            if found is not None and facts is not None and not facts.flow.reliable:
                self._send(found[0], name, self.documents.full(found[0]))
            if count % AGAIN_AT_ONCE == 0:
                await asyncio.sleep(AGAIN_SECONDS)

    # -- topics -------------------------------------------------------------------------------------------------------

    def _index(self, topic: Topic) -> dict[Key, list[Topic]]:
        return self._of_mailbox if topic.package == message_summary.EVENT else self._of_user

    def _enter(self, topic: Topic) -> None:
        """Somebody watches it from now on."""
        key = (topic.package, topic.tenant, topic.about, topic.entity)
        if key not in self._topics:
            self._topics[key] = topic
            topic.members = self.documents.members_of(topic) if is_keys(topic.about) else ()
            self._link(topic)
            self.documents.changed(topic)

    def _link(self, topic: Topic) -> None:
        for about in topic.abouts:
            self._index(topic).setdefault((topic.tenant, about), []).append(topic)

    def _unlink(self, topic: Topic) -> None:
        index = self._index(topic)
        for key in [(topic.tenant, about) for about in topic.abouts]:
            others = [other for other in index.get(key, ()) if other is not topic]
            if others:
                index[key] = others
            else:
                index.pop(key, None)

    def _leave(self, topic: Topic) -> None:
        self._topics.pop((topic.package, topic.tenant, topic.about, topic.entity), None)
        self._dirty.discard(topic)
        self._unlink(topic)

    # -- what happens -------------------------------------------------------------------------------------------------

    def changed(self, actor: CallActor) -> None:
        """Something has happened in this call, or it is over."""
        facts = actor.call.facts
        up = facts.call_id in self._calls
        for party in {leg.party for leg in actor.call.legs.values()} | self._slots_of(actor, up=up):
            key = (facts.tenant, party)
            if up:
                self._legs.setdefault(key, set()).add(facts.call_id)
            elif (known := self._legs.get(key)) is not None:
                known.discard(facts.call_id)
                if not known:
                    del self._legs[key]
            self._mark(self._of_user.get(key, ()))

    def _slots_of(self, actor: CallActor, *, up: bool) -> set[str]:
        """Where the call is parked, and where it was before."""
        call_id, phase = actor.call.facts.call_id, actor.call.state.phase
        slots = self._slots.get(call_id, frozenset())
        if isinstance(phase, Parked):
            slots = self._slots[call_id] = slots | {slot_name(phase.slot)}
        if not up:
            self._slots.pop(call_id, None)
        return set(slots)

    def elsewhere_changed(self, tenant: str, abouts: Iterable[str]) -> None:
        """Calls of other nodes look different to who watches these."""
        for about in abouts:
            self._mark(self._of_user.get((tenant, about), ()))

    def devices_changed(self, devices: Iterable[Device]) -> None:
        """These came, went or were refreshed."""
        for device in devices:
            topics = self._of_user.get((device.tenant, device.user_id), ())
            self._mark(topic for topic in topics if topic.package in (presence.EVENT, reg_info.EVENT))

    def configured(self, config: TenantConfig, changes: Iterable[ConfigChanged]) -> None:
        """Users' function keys may watch others from now on: who watches the keys is told everything."""
        for change in changes:
            if change.resource == User.KIND and (change.before or {}).get("function_keys") != (change.after or {}).get("function_keys"):
                self._keys_changed(config, change.resource_id)

    def _keys_changed(self, config: TenantConfig, user_id: str) -> None:
        about, realm = keys_name(user_id), self._accounts.realm_of(config.tenant_id)
        for package in LISTED:
            topic = self._topics.get((package, config.tenant_id, about, f"sip:{KEYS}@{realm}"))
            if topic is not None:
                self._unlink(topic)
                topic.members = self.documents.members_of(topic)
                self._link(topic)
                self._mark((topic,))

    def mailbox_changed(self, tenant: str, mailbox_id: str) -> None:
        """Another number of messages waits."""
        self._mark(self._of_mailbox.get((tenant, mailbox_id), ()))

    def _mark(self, topics: Iterable[Topic]) -> None:
        self._dirty.update(topics)
        if self._dirty:
            self._news.set()

    def _calls_of(self, tenant: str, user_id: str) -> Sequence[CallActor]:
        ids = sorted(self._legs.get((tenant, user_id), ()))
        return [self._calls[call_id] for call_id in ids if call_id in self._calls]

    # -- telling ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Tell what has changed, until cancelled."""
        under_way: deque[tuple[Topic, Document, Iterator[str]]] = deque()
        while True:
            if not under_way:
                await self._news.wait()
                self._news.clear()
                await asyncio.sleep(GATHER_SECONDS)
            busy = {topic for topic, _, _ in under_way}
            dirty, self._dirty = self._dirty - busy, self._dirty & busy
            for topic in dirty:
                if document := self._news_of(topic):
                    under_way.append((topic, document, iter(tuple(topic.watchers))))
            if under_way:
                await self._tell_some(under_way)

    def _news_of(self, topic: Topic) -> Document | None:
        try:
            return self.documents.changed(topic)
        except Exception:  # noqa: BLE001 - the edge of a topic: its fault must not darken other lamps
            _log.exception("a lamp was not told", tenant=topic.tenant, package=topic.package)
            return None

    async def _tell_some(self, under_way: deque[tuple[Topic, Document, Iterator[str]]]) -> None:
        """Some watchers of the topic whose turn it is: nobody's lamp waits for the thousands that watch another. What changes meanwhile in
        a topic of which not all are told yet, they are told together afterwards."""
        topic, document, names = under_way.popleft()
        some = tuple(islice(names, PER_TURN))
        try:
            for name in some:
                self._send(topic, name, document)
        except Exception:  # noqa: BLE001 - as above
            _log.exception("watchers were not told", tenant=topic.tenant, package=topic.package)
        if len(some) == PER_TURN:
            under_way.append((topic, document, names))
            # So long others have the loop, however many watch: it bounds NOTIFYs a second, too.
            await asyncio.sleep(TURN_SECONDS)

    def _send(self, topic: Topic, name: str, document: Document) -> None:
        version = topic.watchers.get(name)
        if version is not None:
            topic.watchers[name] = version + 1
            self._sip.notify(name, document.at(version), document.content_type, full=document.full)
            account = self._watchers[name][1]
            self._kept.counted(name, topic, account, version + 1)
            self._count(topic, account)

    def _count(self, topic: Topic, account: str) -> None:
        if topic.package == message_summary.EVENT:
            self.message_notices[account] += 1

    def watchers_of(self, tenant: str, user_id: str) -> list[str]:
        """Ids of the users who watch this one's calls, presence or registrations here, sorted."""
        accounts = {self._watchers[name][1] for topic in self._of_user.get((tenant, user_id), ()) for name in topic.watchers}
        return sorted({credential.user_id for account in accounts if (credential := self._accounts.credential(account)) is not None})

    def close(self) -> None:
        """The service ends: watchers are asked to subscribe again at once, which they do with the process that comes after."""
        self.closed = True
        for name in tuple(self._watchers):
            self._sip.terminate_subscription(name, "deactivated")
            self._kept.forget(name)


class ToldDevices:
    """A `DeviceStore` whose changes somebody is told."""

    def __init__(self, store: DeviceStore, told: Callable[[Iterable[Device]], None]) -> None:
        self._store = store
        self._told = told

    def save(self, devices: Iterable[Device]) -> None:
        """Added or refreshed, or gone."""
        saved = tuple(devices)
        self._store.save(saved)
        self._told(saved)
