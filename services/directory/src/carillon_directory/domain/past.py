"""Going back is a change too: what resources were becomes what they are, by the same checks as any other change."""

from collections.abc import Iterable, Mapping
from typing import Any

from carillon_contracts.config import RESOURCES, ConfigChanged, Extension, Resource, Tenant
from carillon_contracts.erasure import PREFIX
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain import documents
from carillon_directory.domain.commands import PutBack
from carillon_directory.domain.conclude import Key, Piece, State, conclude
from carillon_directory.domain.erasing.parting import leads_to, parted
from carillon_directory.domain.outcomes import Conflict, Decision
from carillon_directory.domain.references import everything


def put_back(state: State, command: PutBack) -> Decision:
    """What has changed since is a conflict and stays."""
    conflicts = []
    for (kind, resource_id), etag in command.expected.items():
        current = state.config.resources.get(kind, {}).get(resource_id)
        now = current.etag if current is not None else ""
        if now != etag:
            what = (
                "it was deleted since"
                if current is None
                else "it was made again since"
                if not etag
                else f"it was changed since, by version {now}"
            )
            conflicts.append((f"{kind}/{resource_id}", what))
    if conflicts:
        return Conflict(tuple(conflicts))
    pieces = []
    for (kind, resource_id), document in command.then.items():
        current = state.config.resources.get(kind, {}).get(resource_id)
        after = None if document is None else RESOURCES[kind].model_validate(document)
        if after is not None:
            after = after.model_copy(update={"etag": current.etag if current is not None else ""})
        if current is not None or after is not None:
            pieces.append(Piece(f"{kind}/{resource_id}", current, after))
    after_all = documents.put(state.config, [each.after for each in pieces if each.after], [each.key for each in pieces if not each.after])
    if useless := [name for name, each in after_all.sip_credentials.items() if each.realm != after_all.tenant.realm]:
        return Conflict(tuple((f"sip_credential/{name}", "is hashed for the realm that the tenant has now") for name in useless))
    order = list(RESOURCES)
    pieces.sort(key=lambda piece: (piece.after is None, order.index(piece.key[0]) * (-1 if piece.after is None else 1)))
    return conclude(state, command, pieces)


def undoing(changes: Iterable[tuple[int, ConfigChanged]]) -> tuple[dict[Key, Mapping[str, Any] | None], dict[Key, str]]:
    """`then` and `expected` of `PutBack` that undo these changes (version, change), which follow one another."""
    then: dict[Key, Mapping[str, Any] | None] = {}
    expected: dict[Key, str] = {}
    for version, change in changes:
        key = (change.resource, change.resource_id)
        then.setdefault(key, change.before)
        expected[key] = str(version) if change.after is not None else ""
    return then, expected


def restoring(
    now: TenantConfig, then: TenantConfig, keeping: Iterable[str] = (), only: Key | None = None
) -> dict[Key, Mapping[str, Any] | None]:
    """`then` of `PutBack` that makes `now` what it was, but for who was erased since: nobody comes back.

    `keeping`: fields of the tenant that stay as they are; `only`: (kind, id) of the one resource that goes back, alone: short numbers of a
    number stay as they are."""
    wanted: dict[Key, Mapping[str, Any] | None] = {
        (each.KIND, each.id): None for each in _those(now, only) if each.id not in then.resources.get(each.KIND, {})
    }
    erased = {(kind, name) for kind, found in then.resources.items() for name in found if name.startswith(PREFIX)}
    for each in (parted(each, erased) if erased else each for each in _those(then, only)):
        if (each.KIND, each.id) in erased or (isinstance(each, Extension) and leads_to(each, erased)):
            continue
        current = now.resources.get(each.KIND, {}).get(each.id)
        if isinstance(each, Tenant) and current is not None:
            each = each.model_copy(update={name: getattr(current, name) for name in keeping})
        if current is None or current.model_copy(update={"etag": each.etag}) != each:
            wanted[each.KIND, each.id] = documents.dump(each)
    return wanted


def _those(config: TenantConfig, only: Key | None) -> Iterable[Resource]:
    if only is None:
        return everything(config)
    found = config.resources.get(only[0], {}).get(only[1])
    return () if found is None else (found,)


def as_now(now: TenantConfig, then: Iterable[Key]) -> dict[Key, str]:
    """`expected` of `PutBack` for what is worked out from `now`."""
    found = {key: now.resources.get(key[0], {}).get(key[1]) for key in then}
    return {key: each.etag if each is not None else "" for key, each in found.items()}


def comparing(before: TenantConfig, after: TenantConfig) -> list[tuple[str, str, Mapping[str, Any] | None, Mapping[str, Any] | None]]:
    """(kind, id, before, after) of every resource that differs, kind by kind; etags do not count."""
    found: list[tuple[str, str, Mapping[str, Any] | None, Mapping[str, Any] | None]] = []
    for kind in RESOURCES:
        old, new = before.resources.get(kind, {}), after.resources.get(kind, {})
        for resource_id in sorted({*old, *new}):
            left, right = old.get(resource_id), new.get(resource_id)
            if left is right or (left is not None and right is not None and left.model_copy(update={"etag": right.etag}) == right):
                continue
            found.append(
                (
                    kind,
                    resource_id,
                    documents.dump(left) if left is not None else None,
                    documents.dump(right) if right is not None else None,
                )
            )
    return found
