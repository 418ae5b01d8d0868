"""What is left of a document that was a person's own: the shape of it, and nothing that tells who they were.

Every field of these kinds stands in one of the two tables; a test fails for one that stands in neither.
"""

from collections.abc import Mapping
from typing import Any

from carillon_contracts.erasure import ERASED

_USER_GONE = ("first_name", "email", "language", "mobile", "title", "function", "description", "login", "display_name", "account_code")
_USER_KEPT = {"id", "etag", "department_id", "caller_number", "ring_seconds", "forwarding", "mailbox_id", "do_not_disturb", "simultaneous"}
_CONTACT_GONE = ("first_name", "company", "function", "email", "phone", "mobile", "comment", "short_number")
#: Name of no object: audio that was erased.
NO_AUDIO = f"sha256-{'0' * 64}"
#: Kind -> field that goes -> what stands in its place (None: the default).
PERSONAL: Mapping[str, Mapping[str, Any]] = {
    "user": dict.fromkeys((*_USER_GONE, "outbound_pin_hash", "phone_pin_hash", "function_keys", "door_phone")) | {"last_name": ERASED},
    "sip_credential": dict.fromkeys(("ha1_md5", "ha1_sha256")),
    "contact": dict.fromkeys(_CONTACT_GONE) | {"last_name": ERASED},
    "mailbox": dict.fromkeys(("display_name", "emails", "greeting", "language", "pin_hash", "always_ask_pin", "trusted_numbers")),
    "agent": {"display_name": None},
    "audio": dict.fromkeys(("display_name", "text")) | {"rights_confirmed_by": ERASED, "object": NO_AUDIO, "wide_object": NO_AUDIO},
}
#: Kind -> fields that tell nothing by themselves, so that a call of the past is decided again as it was; numbers in them are masked.
KEPT: Mapping[str, frozenset[str]] = {
    "user": frozenset(_USER_KEPT)
    | {"screening", "quiet_hours", "secretary", "recording_policy_id", "hold_music_id", "ringback_music_id", "busy_music_id", "role"}
    | {"rights_profile_id", "site_id", "services", "withhold", "restriction_profile_id", "account_code_policy_id", "trunk_ids"}
    | {"provisioning_profile_id"},
    "sip_credential": frozenset({"id", "etag", "user_id", "home_user_id", "realm"}),
    "contact": frozenset({"id", "etag", "department_id", "owner_user_id"}),
    "mailbox": frozenset({"id", "etag", "department_id", "max_seconds", "silence_seconds"}),
    "agent": frozenset({"id", "etag", "user_id", "skills"}),
    "audio": frozenset({"id", "etag", "purpose", "language", "duration_ms", "rights_confirmed_at"}),
}
#: Digits of an outside number that stay: its country and kind of network.
_SHOWN_DIGITS = 4


def husk(kind: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """The document without what is personal."""
    gone = PERSONAL[kind]
    kept = {name: _masked(value, name) for name, value in document.items() if name in KEPT[kind]}
    return kept | {name: value for name, value in gone.items() if value is not None}


def masked(number: str) -> str:
    """`+41791234567` as `+41790000000`; without a plus sign as many digits."""
    shown = _SHOWN_DIGITS + number.startswith("+")
    return number[:shown] + "0" * (len(number) - shown)


def _masked(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {inner: _masked(each, inner) for inner, each in value.items()}
    if isinstance(value, list):
        return [_masked(each, name) for each in value]
    return masked(value) if isinstance(value, str) and name in ("external_number", "external") else value
