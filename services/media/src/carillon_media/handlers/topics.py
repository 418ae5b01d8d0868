"""What can be watched, and how it is told: one topic is one package about one user or mailbox, with all who watch it.

Invariant: a document is made once for all watchers of its topic, whose versions each count from 0 without a gap.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from carillon_media.domain import lamps
from carillon_media.domain.accounts import Accounts
from carillon_media.domain.lamps import House, LegDialog, slot_name
from carillon_media.handlers.actor import CallActor
from carillon_media.handlers.registrar import Device
from carillon_sip import dialog_info, event_list, message_summary, presence, reg_info
from carillon_sip.dialog_info import WatchedDialog
from carillon_sip.event_list import ListedResource
from carillon_sip.message_summary import VoiceMessages

#: What may be watched of many at once (RFC 4662), and how many.
LISTED = (dialog_info.EVENT, presence.EVENT)
MAX_LISTED = 100
PACKAGES = (dialog_info.EVENT, message_summary.EVENT, presence.EVENT, reg_info.EVENT)
_VERSION = b'version="0"'


class Document(NamedTuple):
    """A body for every watcher; with a `version="0"` that becomes the watcher's own where `versioned`."""

    body: bytes
    content_type: str
    full: bool = True
    versioned: bool = False

    def at(self, version: int) -> bytes:
        """As the watcher's document of this version."""
        return self.body.replace(_VERSION, b'version="%d"' % version) if self.versioned else self.body


@dataclass(slots=True, eq=False)
class Topic:
    """`about` is a user, a parking slot, a mailbox or a user's keys (`keys_name`), `entity` its URI for watchers; `watchers`: by
    subscription the next version. `members` are what the keys watch, each a topic with a `name` and without watchers of its own."""

    package: str
    tenant: str
    about: str
    entity: str
    watchers: dict[str, int] = field(default_factory=dict)
    told: tuple[WatchedDialog, ...] = ()
    body: bytes = b""
    name: str = ""
    members: "tuple[Topic, ...]" = ()

    @property
    def abouts(self) -> frozenset[str]:
        """Whose news are news of this topic."""
        return frozenset(member.about for member in self.members) if is_keys(self.about) else frozenset({self.about})


def keys_name(user_id: str) -> str:
    """What a user's function keys are called where users are called by their id, which has no colon."""
    return f"keys:{user_id}"


def is_keys(about: str) -> bool:
    """Whether it is a user's keys."""
    return about.startswith(keys_name(""))


class Mailboxes(Protocol):
    """How many messages wait."""

    def counts(self, tenant: str, mailbox_id: str) -> tuple[int, int]:
        """New and old ones."""


class SipDialogs(Protocol):
    """The SIP stack, as far as dialogs are known by names."""

    def dialog_ids(self, session: str) -> tuple[str, str, str] | None:
        """Call-ID, our tag, their tag; None: the session is over."""


class Documents:
    """Makes documents of what is so now. `calls_of` gives the calls that a user has a leg in, `online` whether a device is registered."""

    def __init__(
        self,
        accounts: Accounts,
        sip: SipDialogs,
        mailboxes: Mailboxes,
        calls_of: Callable[[str, str], Sequence[CallActor]],
        online: Callable[[str, str], bool],
        devices: Callable[[str, str], Sequence[Device]],
    ) -> None:
        #: What other nodes' calls look like to who watches a user or slot.
        self.elsewhere: Callable[[str, str], Sequence[WatchedDialog]] = lambda tenant, about: ()
        self._accounts = accounts
        self._sip = sip
        self._mailboxes = mailboxes
        self._calls_of = calls_of
        self._online = online
        self._devices = devices
        self._full: Mapping[str, Callable[[Topic], Document]] = {
            dialog_info.EVENT: self._all_dialogs,
            message_summary.EVENT: self._messages,
            presence.EVENT: self._presence,
            reg_info.EVENT: self._registrations,
        }

    def full(self, topic: Topic) -> Document:
        """The whole state."""
        return self._listed(topic, topic.members) if is_keys(topic.about) else self._full[topic.package](topic)

    def changed(self, topic: Topic) -> Document | None:
        """What has changed since the last time, for everybody who watches; None: nothing."""
        if is_keys(topic.about):
            changed = [member for member in topic.members if self.changed(member) is not None]
            before, topic.body = topic.body, "\n".join(f"{member.entity} {member.name}" for member in topic.members).encode()
            if topic.body != before:
                return self.full(topic)
            return self._listed(topic, changed, full=False) if changed else None
        if topic.package == dialog_info.EVENT:
            now = self._dialogs(topic.tenant, topic.about)
            news = lamps.told(topic.told, now)
            topic.told = tuple(dialog for dialog in now if dialog.state != "terminated")
            if not news:
                return None
            return Document(
                dialog_info.dialog_info(topic.entity, 0, news, full=False), dialog_info.CONTENT_TYPE, full=False, versioned=True
            )
        document = self.full(topic)
        if document.body == topic.body:
            return None
        topic.body = document.body
        return document

    def members_of(self, topic: Topic) -> tuple[Topic, ...]:
        """What the user's function keys watch now: colleagues, and parking slots where calls are watched."""
        tenant, user_id = topic.tenant, topic.about.removeprefix(keys_name(""))
        config, realm = self._accounts.config(tenant), self._accounts.realm_of(tenant)
        user = config.users.get(user_id) if config is not None else None
        members: dict[str, Topic] = {}
        for key in user.function_keys if user is not None else ():
            about, number = key.user_id, key.number
            if about:
                number = self._accounts.extension_of(tenant, about) or about
            elif topic.package == dialog_info.EVENT and self._accounts.is_slot(tenant, number):
                about = slot_name(number)
            if about and len(members) < MAX_LISTED:
                name = key.label or self._accounts.name_of(tenant, about)
                members.setdefault(about, Topic(topic.package, tenant, about, f"sip:{number}@{realm}", name=name))
        return tuple(members.values())

    def _listed(self, topic: Topic, members: Sequence[Topic], *, full: bool = True) -> Document:
        """Each member's whole state; its versions are the list's."""
        states = [(member, self.full(member)) for member in members]
        resources = [ListedResource(member.entity, member.name, state.body, state.content_type) for member, state in states]
        body, content_type = event_list.event_list(topic.entity, 0, resources, full=full)
        return Document(body, content_type, full=full, versioned=True)

    def _all_dialogs(self, topic: Topic) -> Document:
        alive = [dialog for dialog in self._dialogs(topic.tenant, topic.about) if dialog.state != "terminated"]
        return Document(dialog_info.dialog_info(topic.entity, 0, alive), dialog_info.CONTENT_TYPE, versioned=True)

    def _messages(self, topic: Topic) -> Document:
        counts = VoiceMessages(*self._mailboxes.counts(topic.tenant, topic.about))
        return Document(message_summary.message_summary(topic.entity, counts), message_summary.CONTENT_TYPE)

    def _presence(self, topic: Topic) -> Document:
        talks = any(dialog.state == "confirmed" for dialog in self._dialogs(topic.tenant, topic.about))
        state = presence.Presence(
            self._online(topic.tenant, topic.about), contact=topic.entity, activity="on-the-phone" if talks else "", note=""
        )
        return Document(presence.pidf(topic.entity, [state]), presence.CONTENT_TYPE)

    def _registrations(self, topic: Topic) -> Document:
        """Every address of record of the user: one for each SIP user name. What is not listed is gone, as the state is full."""
        realm = self._accounts.realm_of(topic.tenant)
        lines = [
            reg_info.Registration(sip_user, f"sip:{sip_user}@{realm}", "active" if contacts else "init", contacts)
            for sip_user in self._accounts.devices_of(topic.tenant, topic.about)
            for contacts in [tuple(_contact(device) for device in self._devices(topic.tenant, sip_user))]
        ]
        return Document(reg_info.reg_info(0, lines), reg_info.CONTENT_TYPE, versioned=True)

    def _dialogs(self, tenant: str, about: str) -> list[WatchedDialog]:
        here = [dialog for actor in self._calls_of(tenant, about) for dialog in self.of_call(actor, about)]
        return [*here, *self.elsewhere(tenant, about)]

    def of_call(self, actor: CallActor, about: str) -> tuple[WatchedDialog, ...]:
        """One call as who watches a user or a slot sees it."""
        accounts, tenant = self._accounts, actor.call.facts.tenant
        house = House(accounts.realm_of(tenant), lambda user: accounts.name_of(tenant, user))

        def dialog_of(leg_id: str) -> LegDialog:
            leg = actor.legs.get(leg_id)
            found = self._sip.dialog_ids(leg.session) if leg is not None and leg.session else None
            return LegDialog() if found is None else LegDialog(*found)

        if about.startswith(slot_name("")):
            return tuple(lamps.in_slot(actor.call.state, about, house))
        return tuple(lamps.dialogs(actor.call.state, about, accounts.extension_of(tenant, about), house, dialog_of))


def _contact(device: Device) -> reg_info.RegisteredContact:
    """Without seconds left and CSeq, so that a refresh is no news; its id never changes."""
    binding = device.binding
    identity = hashlib.sha256(f"{device.sip_user} {binding.key}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return reg_info.RegisteredContact(identity, binding.contact, "registered", q=binding.q, call_id=binding.call_id)
