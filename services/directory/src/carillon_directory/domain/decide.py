"""`decide(config, command, taken)`: the changes that a command makes of a tenant's configuration, or why it is refused.

Nothing is changed by a refusal. Every change carries the whole fact, and its `after` the etag that its version gives it.
"""

from collections.abc import Iterable, Set
from typing import assert_never

from carillon_contracts.config import Resource, Tenant
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain import checks, documents
from carillon_directory.domain.changes import changes
from carillon_directory.domain.claims import Claim, claims_of, taken_violations
from carillon_directory.domain.commands import ApplyCompany, Command, CreateResource, DeleteResource, Document, UpdateResource
from carillon_directory.domain.company import apply_company
from carillon_directory.domain.outcomes import Accepted, Decision, Exists, Held, Invalid, Missing, Stale, Violation, under
from carillon_directory.domain.references import holders
from carillon_directory.domain.texts import text_error

_NOTHING: frozenset[Claim] = frozenset()


def decide(config: TenantConfig, command: Command, taken: Set[Claim] = _NOTHING) -> Decision:
    """`taken`: those of `wanted_claims(command)` that another tenant holds."""
    if reason := text_error(command.reason):
        return Invalid((Violation("reason", reason),))
    match command:
        case CreateResource():
            return _create(config, command, taken)
        case UpdateResource():
            return _update(config, command, taken)
        case DeleteResource():
            return _delete(config, command)
        case ApplyCompany():
            return apply_company(config, command, taken)
        case _:
            assert_never(command)


def wanted_claims(command: Command) -> frozenset[Claim]:
    """Every claim that the command might take."""
    match command:
        case CreateResource() | UpdateResource():
            return claims_of(command.kind, command.document)
        case DeleteResource():
            return frozenset()
        case ApplyCompany():
            found = [claims_of(kind, document) for kind, listed in command.documents.items() for document in listed]
            return frozenset().union(*found)
        case _:
            assert_never(command)


def _create(config: TenantConfig, command: CreateResource, taken: Set[Claim]) -> Decision:
    if not config.seq and command.kind != Tenant.KIND:
        return Missing(Tenant.KIND, config.tenant_id)
    resource_id = str(command.document.get("id", ""))
    if resource_id in config.resources.get(command.kind, {}):
        return Exists(command.kind, resource_id)
    return _put(config, command, None, command.document, taken)


def _update(config: TenantConfig, command: UpdateResource, taken: Set[Claim]) -> Decision:
    current = config.resources.get(command.kind, {}).get(command.resource_id)
    if current is None:
        return Missing(command.kind, command.resource_id)
    if command.etag and command.etag != current.etag:
        return Stale(command.kind, command.resource_id, current.etag)
    document = documents.patched(documents.dump(current), command.document, command.paths)
    return _put(config, command, current, {**document, "id": command.resource_id}, taken)


def _put(
    config: TenantConfig, command: CreateResource | UpdateResource, current: Resource | None, document: Document, taken: Set[Claim]
) -> Decision:
    realm = config.tenant.realm if config.seq else ""
    renew = isinstance(command, UpdateResource) and "password" in command.paths
    parsed = documents.parse(command.kind, document, current, documents.Secret(realm, command.spare_password, renew))
    if parsed.resource is None:
        return _invalid(command.kind, parsed.violations)
    after = documents.put(config, [parsed.resource])
    found = [*checks.violations(after, parsed.resource), *taken_violations(claims_of(command.kind, document), taken)]
    if found:
        return _invalid(command.kind, found)
    if command.kind == Tenant.KIND and (held := checks.realm_holders(config, after)):
        return Held(Tenant.KIND, parsed.resource.id, held)
    passwords = {parsed.resource.id: parsed.made_password} if parsed.made_password else {}
    return Accepted(changes(config.seq, command, [(current, parsed.resource)]), passwords)


def _delete(config: TenantConfig, command: DeleteResource) -> Decision:
    current = config.resources.get(command.kind, {}).get(command.resource_id)
    if current is None:
        return Missing(command.kind, command.resource_id)
    if command.etag and command.etag != current.etag:
        return Stale(command.kind, command.resource_id, current.etag)
    if held := holders(config, command.kind, command.resource_id):
        return Held(command.kind, command.resource_id, held)
    return Accepted(changes(config.seq, command, [(current, None)]))


def _invalid(prefix: str, found: Iterable[Violation]) -> Invalid:
    return Invalid(tuple(under(prefix, violation) for violation in found))
