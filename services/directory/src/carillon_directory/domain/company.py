"""A whole company in one step: what differs between a tenant and the resources asked for, or everything that is wrong with them.

Applied twice, the second time nothing differs. A resource that is named is made exactly as named; a credential without a password
keeps its hashes. Changes come in the order of `RESOURCES`, deletions last and in the opposite order.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass, replace

from carillon_contracts.config import RESOURCES, Contact, Resource, Tenant
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain import checks, documents
from carillon_directory.domain.claims import Claim, claims_of, taken_violations
from carillon_directory.domain.commands import ApplyCompany, Document
from carillon_directory.domain.conclude import Key, Piece, State, conclude, with_passwords
from carillon_directory.domain.documents import Parsed
from carillon_directory.domain.outcomes import Accepted, Decision, Missing, Violation, under
from carillon_directory.domain.short_numbers import Remarks, following, with_short_number


@dataclass(frozen=True, slots=True)
class _Item:
    """One document of the request: where it stands (`users[3]`, `tenant`), what it replaces and what became of it."""

    place: str
    kind: str
    resource_id: str
    document: Document
    current: Resource | None
    parsed: Parsed


def apply_company(state: State, command: ApplyCompany) -> Decision:
    """Everything that is wrong is listed."""
    config = state.config
    if not config.all(Tenant) and not command.documents.get(Tenant.KIND):
        return Missing(Tenant.KIND, config.tenant_id)
    remarks: Remarks = []
    items = tuple(_items(state, command, remarks))
    pieces = [Piece(item.place, item.current, item.parsed.resource) for item in items if item.parsed.resource is not None]
    if not command.prune:
        pieces = [piece for piece in pieces if piece.before != piece.after]
    else:
        pieces += [Piece(each.KIND, each, None) for each in reversed(_removed(config, items))]
    after = documents.put(config, [item.parsed.resource for item in items if item.parsed.resource is not None], _gone(pieces))
    if command.short_numbers:
        pieces += following(state, pieces, remarks)
    refused = {(item.kind, item.resource_id) for item in items if item.parsed.resource is None}
    decision = conclude(state, command, pieces, [*_violations(items, state.taken), *_realm_violations(config, after)], refused)
    if isinstance(decision, Accepted):
        decision = replace(decision, remarks=tuple(remarks))
    return with_passwords(decision, {item.resource_id: item.parsed.made_password for item in items if item.parsed.made_password})


def _gone(pieces: list[Piece]) -> list[Key]:
    return [piece.key for piece in pieces if piece.after is None]


def _items(state: State, command: ApplyCompany, remarks: Remarks) -> Iterator[_Item]:
    config = state.config
    realm = _realm(config, command)
    given = {str(each.get("short_number", "")) for each in command.documents.get(Contact.KIND, ())}
    for kind, model in RESOURCES.items():
        for index, document in enumerate(command.documents.get(kind, ())):
            place = kind if kind == Tenant.KIND else f"{model.PLURAL}[{index}]"
            resource_id = str(document.get("id", ""))
            current = config.resources.get(kind, {}).get(resource_id)
            if command.short_numbers and current is None:
                document = with_short_number(state, document, kind, given.__contains__, remarks)
                given.add(str(document.get("short_number", "")))
            secret = documents.Secret(realm, command.spare_passwords.get(resource_id, ""))
            yield _Item(place, kind, resource_id, document, current, documents.parse(kind, document, current, secret))


def _realm(config: TenantConfig, command: ApplyCompany) -> str:
    """Of the tenant as it will be; credentials are hashed for it."""
    for document in command.documents.get(Tenant.KIND, ()):
        return str(document.get("realm", ""))
    return config.tenant.realm


def _violations(items: tuple[_Item, ...], taken: Set[Claim]) -> Iterator[Violation]:
    """What is wrong with the documents by themselves; claims of those that are refused are told with the rest."""
    seen: set[Key] = set()
    for item in items:
        if (item.kind, item.resource_id) in seen:
            yield Violation(f"{item.place}.id", f"{item.resource_id!r} stands twice")
            continue
        seen.add((item.kind, item.resource_id))
        if item.parsed.resource is None:
            found = [*item.parsed.violations, *taken_violations(claims_of(item.kind, item.document), taken)]
            yield from (under(item.place, violation) for violation in found)


def _realm_violations(before: TenantConfig, after: TenantConfig) -> Iterator[Violation]:
    if after.all(Tenant) and (held := checks.realm_holders(before, after)):
        names = ", ".join(holder.resource_id for holder in held)
        yield Violation("tenant.realm", f"cannot change while these credentials are hashed for it: {names}")


def _removed(config: TenantConfig, items: tuple[_Item, ...]) -> list[Resource]:
    """What the tenant has and the request does not name, in the order of `RESOURCES`."""
    named = {(item.kind, item.resource_id) for item in items}
    kinds = [kind for kind in RESOURCES if kind != Tenant.KIND]
    return [each for kind in kinds for each in config.resources.get(kind, {}).values() if (kind, each.id) not in named]
