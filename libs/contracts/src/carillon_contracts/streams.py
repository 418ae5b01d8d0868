"""JetStream streams and subjects: tenant first, so that a tenant's subscriber is given `carillon.<tenant>.>` and nothing else."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stream:
    """A durable stream: its name, what it holds, which service writes it (`*`: all), and how long it keeps (None: for ever)."""

    name: str
    subjects: tuple[str, ...]
    publisher: str
    max_age_seconds: int | None = None


_DAY = 86_400
CONFIG = Stream("CONFIG", ("carillon.*.config.>",), "directory")
CALLS = Stream("CALLS", ("carillon.*.call.>",), "media", 30 * _DAY)
REGISTRATIONS = Stream("REGISTRATIONS", ("carillon.*.registration.>",), "media", 7 * _DAY)
MAILBOXES = Stream("MAILBOXES", ("carillon.*.mailbox.>",), "voicemail", 30 * _DAY)
CONFERENCES = Stream("CONFERENCES", ("carillon.*.conference.>",), "media", 30 * _DAY)
#: Callers, agents and members of hunt groups; calls that routing makes itself.
QUEUES = Stream(
    "QUEUES",
    ("carillon.*.queue.>", "carillon.*.agent.>", "carillon.*.hunt_group.>", "carillon.*.call_back.>", "carillon.*.emergency_notice.>"),
    "routing",
    30 * _DAY,
)
RECORDS = Stream("RECORDS", ("carillon.*.cdr.>",), "cdr", 30 * _DAY)
AUDIT = Stream("AUDIT", ("carillon.*.audit.>",), "*", 90 * _DAY)
#: E-mails to be sent, above the tenants.
LETTERS = Stream("LETTERS", ("carillon._operator.letter.>",), "*", 7 * _DAY)
#: What tokens are signed with (a key is published again and again as long as it counts), and which of them are ended.
KEYS = Stream("KEYS", ("carillon._operator.keys.>",), "directory", 2 * _DAY)
#: Orders to erase persons and their answers, above the tenants; the directory deletes them when all is done.
ERASURES = Stream("ERASURES", ("carillon._operator.erasure.>",), "*")
#: What the media nodes tell each other of their calls; private to media.
NODES = Stream("NODES", ("carillon._operator.node.>",), "media", 300)
STREAMS = (CONFIG, CALLS, CONFERENCES, QUEUES, REGISTRATIONS, MAILBOXES, RECORDS, AUDIT, KEYS, LETTERS, ERASURES, NODES)
#: JetStream object store bucket of audio; object names are content hashes.
AUDIO_BUCKET = "audio"


def config_subject(tenant: str, resource: str, fact: str) -> str:
    """`carillon.dupont.config.user.created`"""
    return f"carillon.{tenant}.config.{resource}.{fact}"


def call_subject(tenant: str, call_id: str, fact: str) -> str:
    """`carillon.dupont.call.<call id>.leg_answered`"""
    return f"carillon.{tenant}.call.{call_id}.{fact}"


def registration_subject(tenant: str, fact: str) -> str:
    """`carillon.dupont.registration.registered`"""
    return f"carillon.{tenant}.registration.{fact}"


def mailbox_subject(tenant: str, mailbox_id: str, fact: str) -> str:
    """`carillon.dupont.mailbox.main.message_stored`"""
    return f"carillon.{tenant}.mailbox.{mailbox_id}.{fact}"


def conference_subject(tenant: str, meeting_id: str, fact: str) -> str:
    """`carillon.dupont.conference.<meeting id>.party_joined`"""
    return f"carillon.{tenant}.conference.{meeting_id}.{fact}"


def queue_subject(tenant: str, queue_id: str, fact: str) -> str:
    """`carillon.dupont.queue.hotline.caller_joined`"""
    return f"carillon.{tenant}.queue.{queue_id}.{fact}"


def agent_subject(tenant: str, agent_id: str, fact: str) -> str:
    """`carillon.dupont.agent.dumas.paused`"""
    return f"carillon.{tenant}.agent.{agent_id}.{fact}"


def hunt_group_subject(tenant: str, hunt_group_id: str, fact: str) -> str:
    """`carillon.dupont.hunt_group.support.member_logged_in`"""
    return f"carillon.{tenant}.hunt_group.{hunt_group_id}.{fact}"


def call_back_subject(tenant: str, call_back_id: str, fact: str) -> str:
    """`carillon.dupont.call_back.<id>.requested`"""
    return f"carillon.{tenant}.call_back.{call_back_id}.{fact}"


def emergency_notice_subject(tenant: str, notice_id: str, fact: str) -> str:
    """`carillon.dupont.emergency_notice.<id>.ended`"""
    return f"carillon.{tenant}.emergency_notice.{notice_id}.{fact}"


def record_subject(tenant: str, fact: str) -> str:
    """`carillon.dupont.cdr.recorded`"""
    return f"carillon.{tenant}.cdr.{fact}"


def audit_subject(tenant: str, fact: str) -> str:
    """`carillon.dupont.audit.account_locked`; without a tenant `carillon._operator.audit.source_banned`"""
    return f"carillon.{tenant}.audit.{fact}"


def key_subject(kid: str) -> str:
    """`carillon._operator.keys.<kid>`: above the tenants."""
    return f"carillon._operator.keys.{kid}"


def ended_tokens_subject() -> str:
    """`carillon._operator.keys.ended`; no key has that name."""
    return "carillon._operator.keys.ended"


def node_subject(node: str) -> str:
    """`carillon._operator.node.media-0.calls`"""
    return f"carillon._operator.node.{re.sub('[^A-Za-z0-9_-]', '_', node)}.calls"


def letter_subject(tenant: str) -> str:
    """`carillon._operator.letter.dupont.requested`; an empty tenant is the operator's own."""
    return f"carillon._operator.letter.{tenant or '_operator'}.requested"


def erasure_subject(tenant: str, fact: str) -> str:
    """`carillon._operator.erasure.dupont.ordered`"""
    return f"carillon._operator.erasure.{tenant}.{fact}"
