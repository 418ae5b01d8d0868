"""`decide(config, command, taken)`: the changes that a command makes of a tenant's configuration, or why it is refused.

Nothing is changed by a refusal. Every change carries the whole fact, and its `after` the etag that its version gives it.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import date
from typing import assert_never

from carillon_contracts.config import RESOURCES, Resource, Tenant
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain import checks, documents, past, short_codes, things, verbs
from carillon_directory.domain.claims import CLAIMED, Claim, claims_of
from carillon_directory.domain.commands import (
    ApplyCompany,
    AssignDevice,
    AssignExtensions,
    AssignNumber,
    AssignShortCodes,
    Batch,
    Command,
    CreateResource,
    DeleteResource,
    Document,
    HotDesk,
    ImportHolidays,
    MoveDevice,
    MoveShortCodes,
    PutBack,
    ResetLine,
    UpdateResource,
)
from carillon_directory.domain.company import apply_company
from carillon_directory.domain.conclude import Key, Piece, State, conclude, with_passwords
from carillon_directory.domain.index import Index
from carillon_directory.domain.logins_of_names import with_login
from carillon_directory.domain.outcomes import Accepted, Decision, Exists, Held, Holder, Invalid, Missing, Refused, Stale, Violation, under
from carillon_directory.domain.short_numbers import Remarks, following, with_short_number
from carillon_directory.domain.texts import text_error
from carillon_directory.domain.usual_hours import begun

_NOTHING: frozenset[Claim] = frozenset()
_Single = CreateResource | UpdateResource | DeleteResource


def decide(
    config: TenantConfig, command: Command, taken: Set[Claim] = _NOTHING, index: Index | None = None, today: date | None = None
) -> Decision:
    """`taken`: those of `wanted_claims(command)` that another tenant holds; `index`: that of `config`, made if it is not given;
    `today`: the day, which a subscription may end on."""
    if reason := text_error(command.reason):
        return Invalid((Violation("reason", reason),))
    state = State(config, Index.of(config) if index is None else index, taken, today)
    if not config.all(Tenant) and not isinstance(command, ApplyCompany) and getattr(command, "kind", "") != Tenant.KIND:
        return Missing(Tenant.KIND, config.tenant_id)
    match command:
        case CreateResource() | UpdateResource() | DeleteResource():
            return _single(state, command)
        case ApplyCompany():
            return apply_company(state, command)
        case Batch():
            return _batch(state, command)
        case AssignNumber():
            return verbs.assign_number(state, command)
        case AssignExtensions():
            return verbs.assign_extensions(state, command)
        case AssignShortCodes():
            return short_codes.assign(state, command)
        case MoveShortCodes():
            return short_codes.move(state, command)
        case ResetLine():
            return verbs.reset_line(state, command)
        case HotDesk():
            return verbs.hot_desk(state, command)
        case ImportHolidays():
            return things.import_holidays(state, command)
        case MoveDevice():
            return things.move_device(state, command)
        case AssignDevice():
            return things.assign_device(state, command)
        case PutBack():
            return past.put_back(state, command)
        case _:
            assert_never(command)


def wanted_claims(command: Command) -> frozenset[Claim]:
    """Every claim that the command might take."""
    match command:
        case CreateResource() | UpdateResource():
            return claims_of(command.kind, command.document)
        case ApplyCompany():
            found = [claims_of(kind, document) for kind in CLAIMED for document in command.documents.get(kind, ())]
            return frozenset().union(*found)
        case Batch():
            return frozenset().union(*(wanted_claims(item) for item in command.items))
        case PutBack():
            return frozenset().union(*(claims_of(kind, document) for (kind, _), document in command.then.items()))
        case DeleteResource() | AssignNumber() | AssignExtensions() | ResetLine() | HotDesk():
            return frozenset()
        case ImportHolidays() | MoveDevice() | AssignDevice() | AssignShortCodes() | MoveShortCodes():
            return frozenset()
        case _:
            assert_never(command)


def _single(state: State, command: _Single) -> Decision:
    remarks: Remarks = []
    piece = _piece(state, command, {}, Index(), command.kind, remarks)
    if isinstance(piece, Refused):
        return piece
    changed, password = piece
    if changed.key[0] == Tenant.KIND and changed.after is None and (left := _left_in(state.config)):
        return Held(*changed.key, left)
    decision = _concluded(state, command, [changed], remarks)
    if changed.after is not None and not isinstance(decision, Invalid) and (held := _realm_held(state.config, changed.after)):
        return held
    return with_passwords(decision, {changed.key[1]: password} if password else {})


def _batch(state: State, command: Batch) -> Decision:
    """Item after item, each on what those before it made; the checks among resources come at the end."""
    pieces: dict[Key, Piece] = {}
    passwords: dict[str, str] = {}
    wrong: list[Violation] = []
    refused: set[Key] = set()
    remarks: Remarks = []
    index = Index()
    for number, item in enumerate(command.items):
        place = f"requests[{number}].{item.kind}"
        made = _piece(state, item, pieces, index, place, remarks)
        if isinstance(made, Invalid):
            wrong += made.violations
            refused.add((item.kind, _id(item)))
        elif isinstance(made, Refused):
            return made
        else:
            piece, password = made
            index = index.changed([(piece.before, piece.after)])
            first = pieces.pop(piece.key, piece)
            pieces[piece.key] = Piece(place, first.before, piece.after)
            if password:
                passwords[piece.key[1]] = password
    real = [piece for piece in pieces.values() if piece.before is not None or piece.after is not None]
    return with_passwords(_concluded(state, command, real, remarks, wrong, refused), passwords)


def _concluded(
    state: State,
    command: _Single | Batch,
    pieces: list[Piece],
    remarks: Remarks,
    wrong: Sequence[Violation] = (),
    refused: Set[Key] = frozenset(),
) -> Decision:
    """With the short numbers of numbers that change; what cannot be made of them is one more remark."""
    more = following(state, pieces, remarks)
    decision = conclude(
        state, command, [*(each for each in more if each.after is None), *pieces, *(each for each in more if each.after)], wrong, refused
    )
    return replace(decision, remarks=tuple(remarks)) if isinstance(decision, Accepted) else decision


def _id(item: _Single) -> str:
    return str(item.document.get("id", "")) if isinstance(item, CreateResource) else item.resource_id


def _piece(
    state: State, command: _Single, earlier: Mapping[Key, Piece], index: Index, place: str, remarks: Remarks
) -> tuple[Piece, str] | Refused:
    """The resource before and after, and the password made for it; `earlier` and its `index`: what those before in a batch made."""
    key = (command.kind, _id(command))
    current = earlier[key].after if key in earlier else state.config.resources.get(command.kind, {}).get(key[1])
    if isinstance(command, CreateResource):
        if current is not None:
            return Exists(*key)
        document = with_login(state.index, command.kind, begun(state.config, command))
        document = with_short_number(state, document, command.kind, lambda digits: any(index.takers("digits", digits)), remarks)
        return _parsed(state.config, command, None, document, place)
    if current is None:
        return Missing(*key)
    if command.etag and command.etag != current.etag:
        return Stale(*key, current.etag)
    if isinstance(command, DeleteResource):
        return Piece(place, current, None), ""
    document = documents.patched(documents.dump(current), command.document, command.paths)
    return _parsed(state.config, command, current, {**document, "id": command.resource_id}, place)


def _parsed(
    config: TenantConfig,
    command: CreateResource | UpdateResource,
    current: Resource | None,
    document: Document,
    place: str,
) -> tuple[Piece, str] | Refused:
    realm = config.tenant.realm if config.all(Tenant) else ""
    renew = isinstance(command, UpdateResource) and "password" in command.paths
    parsed = documents.parse(command.kind, document, current, documents.Secret(realm, command.spare_password, renew))
    if parsed.resource is None:
        return Invalid(tuple(under(place, violation) for violation in parsed.violations))
    return Piece(place, current, parsed.resource), parsed.made_password


def _left_in(config: TenantConfig) -> tuple[Holder, ...]:
    """What a tenant has beside itself, one of each kind."""
    kinds = ((kind, config.resources.get(kind, {})) for kind in RESOURCES if kind != Tenant.KIND)
    return tuple(Holder(kind, next(iter(found)), "tenant") for kind, found in kinds if found)


def _realm_held(config: TenantConfig, resource: Resource) -> Held | None:
    """Credentials are hashed for the realm that the tenant has."""
    if resource.KIND != Tenant.KIND:
        return None
    held = checks.realm_holders(config, documents.put(config, [resource]))
    return Held(Tenant.KIND, resource.id, held) if held else None
