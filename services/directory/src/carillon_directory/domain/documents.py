"""Documents become resources and back; what a document gets wrong is said by field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue, ValidationError

from carillon_contracts.config import (
    OUTPUT_ONLY,
    RESOURCES,
    SECRET_FIELDS,
    ConferenceRoom,
    Mailbox,
    Resource,
    SipCredential,
    TrunkCredential,
    User,
)
from carillon_contracts.sorted_map import SortedMap
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain import credentials, texts
from carillon_directory.domain.commands import Document
from carillon_directory.domain.outcomes import Violation

#: Twice that, before and after, must fit into one message of the bus (1 MiB).
LARGEST_RESOURCE = 256 * 1024
#: Texts of `texts.LONGEST_TEXT` characters, each twice as long as JSON at most, that are below it with what is filled in.
_FEW = 40
#: What no model has of a document that is right: what the directory makes, and secrets of which it keeps something else.
_NOT_KEPT = OUTPUT_ONLY | {"password", "outbound_pin", "phone_pin"}
#: What is kept of a secret -> the secret, as people know it.
_SHOWN = {kept: plain for kind in SECRET_FIELDS.values() for plain, fields in kind.items() for kept in fields if kept != "realm"}


#: Kind -> what a document says of its secrets that argon2 hashes -> the hash that is kept of it.
HASHED_SECRETS: Mapping[str, Mapping[str, str]] = {
    kind: {plain: kept for plain, (kept,) in SECRET_FIELDS[kind].items()} for kind in (ConferenceRoom.KIND, Mailbox.KIND)
}
#: What is kept of a user's PINs.
USER_PINS = ("outbound_pin_hash", "phone_pin_hash")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A resource, or what is wrong with its document (fields relative to it); `made_password` if the spare one was used."""

    resource: Resource | None
    violations: tuple[Violation, ...] = ()
    made_password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Secret:
    """How a credential gets new hashes: in which realm, with which password if it brings none, and whether it must not keep its old."""

    realm: str
    spare_password: str = field(repr=False)
    renew: bool = False


def dump(resource: Resource) -> dict[str, JsonValue]:
    """The whole fact as JSON values, without what is unset."""
    return resource.model_dump(mode="json", exclude_none=True)


def dotted(path: Sequence[str | int]) -> str:
    """`("members", 2, "user_id")` as `members[2].user_id`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def parse(kind: str, document: Document, current: Resource | None, new_secret: Secret) -> Parsed:
    """Check one document by itself; `current` is the resource that it replaces, whose hashes a credential without password keeps."""
    if unfit := tuple(texts.violations(document)):
        return Parsed(None, unfit)
    fields = {name: value for name, value in document.items() if name not in _NOT_KEPT}
    made = ""
    if kind == SipCredential.KIND:
        password = document.get("password") or ""
        if not isinstance(password, str) or (password and not credentials.password_fits(password)):
            return Parsed(None, (Violation("password", f"must be {credentials.PASSWORD_RULE}"),))
        if not password and not new_secret.renew and isinstance(current, SipCredential):
            fields |= {"realm": current.realm, "ha1_md5": current.ha1_md5, "ha1_sha256": current.ha1_sha256}
        else:
            made = "" if password else new_secret.spare_password
            fields |= credentials.hashes(str(document.get("id", "")), new_secret.realm, password or made)
    if kind == TrunkCredential.KIND and not fields.get("sealed_password"):
        if not isinstance(current, TrunkCredential):
            return Parsed(None, (Violation("password", "is needed"),))
        fields["sealed_password"] = current.sealed_password
    if isinstance(current, ConferenceRoom | Mailbox):
        kept = {name: getattr(current, name) for name in HASHED_SECRETS[kind].values()}
        fields = kept | fields
    if isinstance(current, User):
        fields = {name: getattr(current, name) for name in USER_PINS} | fields
    try:
        resource = RESOURCES[kind].model_validate(fields)
    except ValidationError as error:
        return Parsed(None, _violations(error))
    if not _is_small(fields) and len(resource.model_dump_json()) > LARGEST_RESOURCE:
        return Parsed(None, (Violation("", f"is larger than {LARGEST_RESOURCE} bytes as JSON"),))
    if current is not None:
        resource = resource.model_copy(update={"etag": current.etag})
    return Parsed(resource, made_password=made)


def _is_small(fields: Document) -> bool:
    """Whether so few texts, each of a length that `texts` allows, cannot be too large: most are so, and not dumped to be measured."""
    count = 0
    for value in fields.values():
        if isinstance(value, list) and value:
            return False
        inner = value.values() if isinstance(value, dict) else ()
        if any(isinstance(each, dict | list) for each in inner):
            return False
        count += len(inner) or 1
    return count <= _FEW


def _violations(error: ValidationError) -> tuple[Violation, ...]:
    """The innermost of what is wrong: a list that is too short only because an item of it is wrong is not an error of its own."""
    found = [(each["loc"], each["msg"].removeprefix("Value error, ")) for each in error.errors(include_url=False)]
    places = [place for place, _ in found]
    return tuple(
        Violation(dotted(place), reason)
        for place, reason in found
        if not any(len(other) > len(place) and other[: len(place)] == place for other in places)
    )


def patched(current: Document, document: Document, paths: Sequence[str]) -> dict[str, JsonValue]:
    """`current` with each path taken from `document`; a path that the document does not hold goes back to its default."""
    result = dict(current)
    for path in paths:
        _patch(result, document, path.split("."))
    return result


def _patch(into: dict[str, JsonValue], source: Mapping[str, JsonValue], path: Sequence[str]) -> None:
    name, *rest = path
    value = source.get(name)
    if not rest:
        if name in source:
            into[name] = value
        else:
            into.pop(name, None)
        return
    inner = into.get(name)
    below = dict(inner) if isinstance(inner, dict) else {}
    _patch(below, value if isinstance(value, dict) else {}, rest)
    into[name] = below
    if not below:
        del into[name]


def differing(before: Document, after: Document) -> tuple[str, ...]:
    """Names of the top-level fields that differ; what is kept of a secret counts as the secret."""
    names = sorted({*before, *after} - {"etag"})
    found = [_SHOWN.get(name, name) for name in names if before.get(name) != after.get(name)]
    return tuple(dict.fromkeys(found))


def put(config: TenantConfig, resources: Sequence[Resource], removed: Sequence[tuple[str, str]] = ()) -> TenantConfig:
    """`config` as it would be with these resources put and those removed; its version does not move."""
    kinds: dict[str, Mapping[str, Resource]] = {}
    put_by_kind: dict[str, dict[str, Resource]] = {}
    gone_by_kind: dict[str, list[str]] = {}
    for resource in resources:
        put_by_kind.setdefault(resource.KIND, {})[resource.id] = resource
    for kind, resource_id in removed:
        gone_by_kind.setdefault(kind, []).append(resource_id)
    for kind in {*put_by_kind, *gone_by_kind}:
        kinds[kind] = SortedMap.of(config.resources.get(kind, {})).update(put_by_kind.get(kind, {}), gone_by_kind.get(kind, ()))
    return config.advanced(config.seq, kinds)
