"""What the servicers share: commands carried out for the caller, moments, page tokens, and messages that several of them answer with."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any, TypeVar

from google.protobuf.struct_pb2 import Struct

from carillon.directory.v1 import directory_pb2 as pb
from carillon_contracts.config import ConfigChanged, Reseller, Resource, SipCredential
from carillon_contracts.languages import LANGUAGES, Language, told_in
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.adapters.proto_mapping import mask_error, mask_paths, to_message
from carillon_directory.adapters.refusals import api_error
from carillon_directory.domain import lists
from carillon_directory.domain.bounds import Reach
from carillon_directory.domain.commands import Bounds, Command
from carillon_directory.domain.credentials import is_secret
from carillon_directory.domain.documents import differing, dump
from carillon_directory.domain.outcomes import Refused
from carillon_directory.domain.resellers import below
from carillon_directory.handlers import Directory, Executed, Moment, TooBusy
from carillon_kit import pages
from carillon_kit.auth import ADMIN, DEPARTMENT_ADMIN, OPERATOR, RESELLER, SERVICE, USER, Principal
from carillon_kit.errors import InvalidArgument, NotFound, PermissionDenied, Unavailable
from carillon_kit.grpc_server import current_principal

T = TypeVar("T")
R = TypeVar("R", bound=Resource)
#: Of a password that the directory makes: 96 bits.
PASSWORD_BYTES = 12
#: Place that no list reaches.
_FARTHEST = 2**31


async def execute(directory: Directory, tenant_id: str, command: Command, *, dry_run: bool = False) -> Executed:
    """Decide and store; raises the `ApiError` of a refusal."""
    try:
        return or_raise(await directory.execute(tenant_id, command, dry_run=dry_run))
    except TooBusy as busy:
        raise Unavailable(str(busy)) from busy


def or_raise(result: T | Refused) -> T:
    """The result, unless it is a refusal: raises its `ApiError`."""
    if isinstance(result, Refused):
        raise api_error(result)
    return result


def resource_of(config: TenantConfig, kind: str, resource_id: str) -> Resource:
    """Raises `NotFound`."""
    resource = config.resources.get(kind, {}).get(resource_id)
    if resource is None:
        raise NotFound(f"{kind} {resource_id!r}")
    return resource


def language_of(config: TenantConfig, wanted: str = "") -> Language:
    """The one to tell in; empty: the tenant's. Raises `InvalidArgument`."""
    language = told_in(wanted, config.tenant.language)
    if language is None:
        raise InvalidArgument({"language": f"must be one of {', '.join(LANGUAGES)}"})
    return language


def reach_of(config: TenantConfig) -> Reach:
    """How far the caller reaches in a configuration."""
    return Reach.of(config, bounds_of(current_principal()))


def bounds_of(principal: Principal) -> Bounds:
    """How far a token reaches; one without any of the roles reaches nothing."""
    above = principal.roles & {OPERATOR, SERVICE} or (principal.tenant is None and RESELLER in principal.roles)
    if above or ADMIN in principal.roles:
        return Bounds(rights_profile=principal.rights_profile, inside=not above, visiting=visiting(principal))
    if principal.roles & {DEPARTMENT_ADMIN}:
        return Bounds(department=principal.department or None, rights_profile=principal.rights_profile, inside=True)
    kind, _, user_id = principal.subject.partition("/")
    if principal.roles & {USER} and kind == "user" and user_id:
        return Bounds(user=user_id, rights_profile=principal.rights_profile, inside=True)
    return Bounds(department=None, inside=True)


def visiting(principal: Principal) -> bool:
    """Whether it is a reseller that entered a tenant."""
    return principal.tenant is not None and bool(principal.reseller)


def check_not_visiting() -> None:
    """Raises `PermissionDenied` for a reseller that entered a tenant: a secret that outlives the visit is not theirs to see."""
    if visiting(current_principal()):
        raise PermissionDenied("a reseller that entered a tenant makes no keys, sets no passwords, and has none made there")


def required(request: Any, field: str) -> Any:
    """A message that must be set; raises `InvalidArgument`."""
    if not request.HasField(field):
        raise InvalidArgument({field: "is required"})
    return getattr(request, field)


def moment_of(request: Any, field: str = "as_of") -> Moment:
    """What `field` of a request says; None for now."""
    as_of = getattr(request, field)
    which = as_of.WhichOneof("moment") if request.HasField(field) else None
    if which is None:
        return None
    if which == "config_seq":
        return int(as_of.config_seq)
    try:
        return as_of.time.ToDatetime(tzinfo=UTC)  # type: ignore[no-any-return]
    except (ValueError, OverflowError) as error:
        raise InvalidArgument({f"{field}.time": "is not a moment of the years 1 to 9999"}) from error


async def tenants_of(directory: Directory) -> AsyncIterator[TenantConfig]:
    """Every tenant, by id."""
    for name in await directory.tenants():
        config = await directory.read(name)
        if isinstance(config, TenantConfig):
            yield config


def paths_of(request: Any, message: Any) -> tuple[str, ...]:
    """Of the update mask; raises `InvalidArgument`."""
    wrong = {path: mask_error(path, message.DESCRIPTOR) for path in request.update_mask.paths if path != "*"}
    if violations := {f"update_mask.{path}": reason for path, reason in wrong.items() if reason}:
        raise InvalidArgument(violations)
    return mask_paths(request.update_mask.paths, message)


def seen_of(known: Mapping[str, Reseller]) -> frozenset[str] | None:
    """Resellers that the caller sees; None: an operator sees everything."""
    principal = current_principal()
    return None if OPERATOR in principal.roles else below(known, principal.reseller)


def paged(kind: type[R], resources: Iterable[R], request: Any) -> tuple[Sequence[R], str]:
    """The page that a request for a list asks for (of what is no one tenant's), and the token of the next."""
    shape: dict[str, type] = {"skip": int} if request.order_by.strip() else {"after": str}
    position = position_of(request.page_token, shape)
    try:
        found = lists.selected(kind, resources, request.filter, request.order_by)
    except lists.BadQuery as bad:
        raise InvalidArgument({bad.field: str(bad)}) from bad
    skip = max(0, position.get("skip", 0))
    page, more = page_of([each for each in found[skip:] if each.id > position.get("after", "")], pages.page_size(request.page_size))
    following = {"skip": skip + len(page)} if "skip" in shape else {"after": page[-1].id if page else ""}
    return page, pages.encode_token(following) if more else ""


def position_of(token: str, shape: Mapping[str, type]) -> dict[str, Any]:
    """What a page token says; every field of `shape` is there with its type, or the token is empty."""
    position = pages.decode_token(token)
    if position and not all(_fits(position.get(name), kind) for name, kind in shape.items()):
        raise InvalidArgument({"page_token": "not a token of this list"})
    return position


def _fits(value: Any, kind: type) -> bool:
    """Numbers are 0 to 2^31, texts without NUL."""
    if kind is str:
        return isinstance(value, str) and "\0" not in value
    return type(value) is int and 0 <= value <= _FARTHEST


def page_of(items: Sequence[Any], size: int) -> tuple[Sequence[Any], bool]:
    """The first `size`, and whether there are more."""
    return items[:size], len(items) > size


def tenant_message(config: TenantConfig) -> pb.Tenant:
    """The tenant with its version."""
    message = to_message(dump(config.tenant), pb.Tenant)
    message.config_seq = config.seq
    return message


def credential_message(credential: SipCredential, password: str) -> pb.SipCredential:
    """A credential whose password was made just now."""
    return pb.SipCredential(id=credential.id, etag=credential.etag, user_id=credential.user_id, password=password)


def struct_of(document: Mapping[str, Any] | None) -> Struct | None:
    """A document as it is shown: without what stands for a secret."""
    if document is None:
        return None
    struct = Struct()
    struct.update({name: value for name, value in document.items() if not is_secret(name)})
    return struct


def is_operator() -> bool:
    """Whether the caller stands above the tenants."""
    return OPERATOR in current_principal().roles


def clashes_of(remarks: Iterable[tuple[str, str]]) -> list[pb.ShortNumberClash]:
    """Short numbers that were not made."""
    return [pb.ShortNumberClash(digits=about.partition("/")[2], reason=reason) for about, reason in remarks]


def applied(changes: Iterable[ConfigChanged]) -> list[pb.AppliedChange]:
    """What a step did, resource by resource."""
    return [
        pb.AppliedChange(
            resource=change.resource,
            resource_id=change.resource_id,
            fact=change.action,
            fields=differing(change.before, change.after or {}) if change.action == "updated" and change.before else (),
        )
        for change in changes
    ]
