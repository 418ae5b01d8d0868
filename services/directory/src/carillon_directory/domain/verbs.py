"""Where a verb is the truth: numbers and extensions that are assigned, lines that are reset, phones that somebody logs in on."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from carillon_contracts.config import (
    Agent,
    Contact,
    Device,
    Extension,
    ExtensionRange,
    Number,
    SipCredential,
    User,
)
from carillon_contracts.emergency_numbers import countries_in, is_emergency
from carillon_directory.domain import credentials, documents
from carillon_directory.domain.commands import AssignExtensions, AssignNumber, HotDesk, ResetLine
from carillon_directory.domain.conclude import Piece, State, conclude, with_passwords
from carillon_directory.domain.documents import Secret
from carillon_directory.domain.erasing.parting import parted
from carillon_directory.domain.outcomes import Accepted, Decision, Invalid, Missing, Stale, Violation, under
from carillon_directory.domain.short_numbers import following, why_taken

#: What a user keeps when the line goes to somebody else; the rest goes back to what a new user has.
_KEPT_BY_RESET = frozenset(
    {"id", "etag", "last_name", "department_id", "site_id", "services", "restriction_profile_id", "account_code_policy_id", "trunk_ids"}
    | {"provisioning_profile_id", "caller_number", "mailbox_id", "role", "rights_profile_id", "login", "recording_policy_id"}
)
#: Digits.
_LONGEST_EXTENSION = 6
_GROUPS = ("ring_group", "hunt_group", "pickup_group", "paging_group", "queue", "supervision")


def assign_number(state: State, command: AssignNumber) -> Decision:
    """The number's destination, and its short numbers; one that is dialled for something else already is told and not made."""
    number = state.config.numbers.get(command.number_id)
    if number is None:
        return Missing(Number.KIND, command.number_id)
    if command.etag and command.etag != number.etag:
        return Stale(Number.KIND, number.id, number.etag)
    parsed = documents.parse(
        Number.KIND,
        {
            **documents.dump(number),
            "destination": dict(command.destination) if command.destination is not None else None,
            "number_group_id": "",
        },
        number,
        Secret("", ""),
    )
    if not isinstance(parsed.resource, Number):
        return Invalid(parsed.violations)
    pieces, remarks = [Piece("", number, parsed.resource)], list[tuple[str, str]]()
    decision = conclude(state, command, [*pieces, *following(state, pieces, remarks)])
    return replace(decision, remarks=tuple(remarks)) if isinstance(decision, Accepted) else decision


def assign_extensions(state: State, command: AssignExtensions) -> Decision:
    """Free ones in order; users that have one already get another."""
    users = _users(state, command)
    if isinstance(users, Missing | Invalid):
        return users
    if len(command.first) > _LONGEST_EXTENSION:
        return Invalid((Violation("first", f"must be at most {_LONGEST_EXTENSION} digits"),))
    if command.exact:
        return _exact_extensions(state, command, users)
    free = _free_extensions(state, command.first)
    pieces: list[Piece] = []
    for user_id in users:
        digits = next(free, "")
        if not digits:
            where = f"from {command.first} on" if command.first else "in the extension ranges"
            return Invalid((Violation("first" if command.first else "user_ids", f"no extension is free {where} for user {user_id!r}"),))
        extension = documents.parse(Extension.KIND, {"id": digits, "destination": {"user_id": user_id}}, None, Secret("", ""))
        if extension.resource is None:
            return Invalid(tuple(under("first", each) for each in extension.violations))
        pieces.append(Piece("extension", None, extension.resource))
    return conclude(state, command, pieces)


def _users(state: State, command: AssignExtensions) -> tuple[str, ...] | Missing | Invalid:
    """Who gets one, in order."""
    if missing := next((name for name in command.user_ids if name not in state.config.users), ""):
        return Missing(User.KIND, missing)
    found = [*command.user_ids]
    for place, device_id in enumerate(command.device_ids):
        device = state.config.get(Device, device_id)
        if device is None:
            return Missing(Device.KIND, device_id)
        credentials = (state.config.sip_credentials[line.sip_credential_id] for line in sorted(device.lines, key=lambda line: line.port))
        users = [each.home_user_id or each.user_id for each in credentials]
        if not users:
            return Invalid((Violation(f"device_ids[{place}]", f"device {device_id!r} has no lines"),))
        found += users
    return tuple(found)


def _exact_extensions(state: State, command: AssignExtensions, users: Sequence[str]) -> Decision:
    """One after another; all that are taken are told."""
    first, width = command.first, len(command.first)
    if not (first.isascii() and first.isdigit()) or int(first) + len(users) > 10**width:
        return Invalid((Violation("first", f"there are no {len(users)} extensions from {first or 'nothing'} on"),))
    pieces: list[Piece] = []
    wrong: list[Violation] = []
    countries = countries_in(state.config)
    for place, user_id in enumerate(users):
        digits = f"{int(first) + place:0{width}}"
        parsed = documents.parse(Extension.KIND, {"id": digits, "destination": {"user_id": user_id}}, None, Secret("", ""))
        wrong += (under("first", each) for each in parsed.violations)
        wrong += (Violation("first", f"{digits} is taken by {kind} {name!r}") for kind, name in state.index.takers("digits", digits))
        if is_emergency(digits, countries):
            wrong.append(Violation("first", f"{digits} is an emergency number"))
        if parsed.resource is not None:
            pieces.append(Piece("extension", None, parsed.resource))
    return Invalid(tuple(wrong)) if wrong else conclude(state, command, pieces)


def _free_extensions(state: State, first: str) -> Iterator[str]:
    if first:
        ranges = [(first, "9" * len(first))]
    else:
        ranges = [(each.first, each.last) for each in state.config.all(ExtensionRange).values()]
    for low, high in ranges:
        if not low.isascii() or not low.isdigit():
            return
        for value in range(int(low), int(high) + 1):
            digits = str(value).zfill(len(low))
            if not why_taken(state, digits):
                yield digits


def reset_line(state: State, command: ResetLine) -> Decision:
    """Personal settings, contacts and the greeting go; every credential gets a new password, and PINs are new where there were some.
    A phone on which the user is a guest is its owner's again and keeps its password.

    By the event of the user and of a mailbox that is nobody else's, messages and the list of calls go too."""
    user = state.config.users.get(command.user_id)
    if user is None:
        return Missing(User.KIND, command.user_id)
    if command.etag and command.etag != user.etag:
        return Stale(User.KIND, user.id, user.etag)
    kept = {name: value for name, value in documents.dump(user).items() if name in _KEPT_BY_RESET}
    pins = {name: pin for name, pin in command.spare_pins.items() if getattr(user, name)}
    pieces = [Piece("user", user, User.model_validate(kept | pins), always=True)]
    mailbox = state.config.mailboxes.get(user.mailbox_id)
    if mailbox is not None and not any(each.mailbox_id == mailbox.id for each in state.config.users.values() if each.id != user.id):
        heard = {"greeting": (), "emails": (), "language": "", "pin_hash": "", "always_ask_pin": False, "trusted_numbers": ()}
        pieces.append(Piece("mailbox", mailbox, mailbox.model_copy(update=heard), always=True))
    pieces += [Piece("contact", each, None) for each in state.config.all(Contact).values() if each.owner_user_id == user.id]
    if command.leave_groups:
        left = _left_groups(state, user.id)
        if isinstance(left, Invalid):
            return left
        pieces += left
    realm, passwords = state.config.tenant.realm, {}
    for credential in state.config.sip_credentials.values():
        owner = credential.home_user_id or credential.user_id
        if owner != user.id and credential.user_id == user.id:
            pieces.append(Piece("sip_credential", credential, _as(credential, owner, "")))
        if owner == user.id:
            if credential.id not in command.spare_passwords:
                return Stale(SipCredential.KIND, credential.id, credential.etag)
            passwords[credential.id] = password = command.spare_passwords[credential.id]
            new = {"user_id": user.id, "home_user_id": "", **credentials.hashes(credential.id, realm, password)}
            pieces.append(Piece("sip_credential", credential, credential.model_copy(update=new)))
    return with_passwords(conclude(state, command, pieces), passwords)


def _left_groups(state: State, user_id: str) -> list[Piece] | Invalid:
    """Groups, queues and rights to supervise without the user, or the user's agents; one that would be empty is a refusal that names it."""
    pieces: list[Piece] = []
    agents = [each.id for each in state.config.all(Agent).values() if each.user_id == user_id]
    gone = {(User.KIND, user_id), *((Agent.KIND, name) for name in agents)}
    for kind, resource_id in sorted({key for each in gone for key in state.index.referring(*each)}):
        group = state.config.resources.get(kind, {}).get(resource_id)
        if kind in _GROUPS and group is not None:
            after = parted(group, gone)
            if after is group:
                return Invalid((Violation("leave_groups", f"{kind} {resource_id!r} would have no members"),))
            pieces.append(Piece(kind, group, after))
    return pieces


def hot_desk(state: State, command: HotDesk) -> Decision:
    """The credential rings and calls as the user; whoever was on it, and the user wherever else, is logged out."""
    credential = state.config.sip_credentials.get(command.sip_credential_id)
    if credential is None:
        return Missing(SipCredential.KIND, command.sip_credential_id)
    if command.etag and command.etag != credential.etag:
        return Stale(SipCredential.KIND, credential.id, credential.etag)
    home = credential.home_user_id or credential.user_id
    if not command.user_id:
        return conclude(state, command, [Piece("", credential, _as(credential, home, ""))])
    if command.user_id not in state.config.users:
        return Missing(User.KIND, command.user_id)
    pieces = [Piece("", credential, _as(credential, command.user_id, home if home != command.user_id else ""))]
    for other in state.config.sip_credentials.values():
        if other.id != credential.id and other.home_user_id and other.user_id == command.user_id:
            pieces.append(Piece("", other, _as(other, other.home_user_id, "")))
    return conclude(state, command, pieces)


def _as(credential: SipCredential, user_id: str, home_user_id: str) -> SipCredential:
    return credential.model_copy(update={"user_id": user_id, "home_user_id": home_user_id})
