"""The service of history.proto: what happened, what differs between two moments, and ways back."""

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.history_pb2_grpc import HistoryServiceServicer
from carillon_contracts.config import RESOURCES, Tenant
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.adapters.refusals import api_error
from carillon_directory.domain import past
from carillon_directory.domain.bounds import SOLD, shown
from carillon_directory.domain.commands import PutBack
from carillon_directory.domain.conclude import Key
from carillon_directory.domain.documents import differing
from carillon_directory.domain.outcomes import Stale
from carillon_directory.grpc_common import (
    applied,
    bounds_of,
    execute,
    moment_of,
    or_raise,
    page_of,
    position_of,
    reach_of,
    struct_of,
)
from carillon_directory.handlers import Directory, Executed
from carillon_directory.ports import Recorded
from carillon_directory.whole_tenant import current_whole_tenant
from carillon_kit import pages
from carillon_kit.errors import InvalidArgument, NotFound
from carillon_kit.grpc_server import current_principal, current_tenant

#: Changes undone in one step.
_MOST_UNDONE = 10_000


class HistoryServicer(HistoryServiceServicer):
    """What happened to a tenant's configuration."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def ListChanges(self, request: pb.ListChangesRequest, context: object) -> pb.ListChangesResponse:
        """Newest first."""
        tenant_id = current_whole_tenant()
        if request.resource:
            _check_kind(request.resource)
        before = position_of(request.page_token, {"before": int}).get("before")
        size = pages.page_size(request.page_size)
        reach = reach_of(or_raise(await self._directory.read(tenant_id)))
        seen = None if reach.bounds.whole else partial(shown, reach)
        page = or_raise(await self._directory.history(tenant_id, before, size, request.resource, request.resource_id, seen))
        token = pages.encode_token({"before": page.before}) if page.before else ""
        return pb.ListChangesResponse(changes=[change_message(each) for each in page.changes], next_page_token=token)

    async def UndoChange(self, request: pb.UndoChangeRequest, context: object) -> pb.UndoChangeResponse:
        """As a change of its own; what was changed again since is told and stays."""
        tenant_id, first = current_tenant(), request.config_seq
        last = request.last_config_seq or first
        now = or_raise(await self._directory.read(tenant_id))
        if not 1 <= first <= now.seq:
            raise InvalidArgument({"config_seq": f"must be 1 to {now.seq}, the current version"})
        if not first <= last <= min(now.seq, first + _MOST_UNDONE - 1):
            raise InvalidArgument({"last_config_seq": f"must be {first} to {now.seq}, at most {_MOST_UNDONE} changes"})
        recorded = await self._directory.changes(tenant_id, first, last)
        if any(each.change.resource == Tenant.KIND and each.change.before is None for each in recorded):
            raise InvalidArgument({"config_seq": "made the tenant, which stays"})
        if all(each.change.resource not in RESOURCES for each in recorded):
            raise InvalidArgument({"config_seq": "says that somebody was erased, which stays"})
        then, expected = past.undoing((each.version, each.change) for each in recorded)
        which = str(first) if first == last else f"{first} to {last}"
        executed = await self._put_back(request, f"undo of {which}", then, expected)
        return pb.UndoChangeResponse(changes=applied(executed.changes), config_seq=executed.config.seq)

    async def CompareConfigurations(self, request: pb.CompareConfigurationsRequest, context: object) -> pb.CompareConfigurationsResponse:
        """Later pages compare the versions of the first."""
        tenant_id = current_tenant()
        position = position_of(request.page_token, {"from": int, "to": int, "skip": int})
        before = or_raise(await self._directory.read(tenant_id, position.get("from", moment_of(request, "from"))))
        after = or_raise(await self._directory.read(tenant_id, position.get("to", moment_of(request, "to"))))
        size, skip = pages.page_size(request.page_size), max(0, position.get("skip", 0))
        found = await asyncio.to_thread(past.comparing, before, after)
        allowed = reach_of(after)
        page, more = page_of([each for each in found if allowed.level(each[0])][skip:], size)
        token = pages.encode_token({"from": before.seq, "to": after.seq, "skip": skip + size}) if more else ""
        return pb.CompareConfigurationsResponse(
            differences=[_difference(*each) for each in page],
            from_config_seq=before.seq,
            to_config_seq=after.seq,
            next_page_token=token,
        )

    async def RestoreTenant(self, request: pb.RestoreTenantRequest, context: object) -> pb.RestoreTenantResponse:
        """All of it, or nothing; the decision is refused as stale if somebody changes a resource meanwhile.

        In the middle of a change of several resources references may dangle, and nobody ever had that configuration: its end counts.
        """
        then, now = await self._then_and_now(current_tenant(), request)
        wanted = await asyncio.to_thread(past.restoring, now, then, _keeping())
        executed = await self._put_back(request, f"restored to version {then.seq}", wanted, past.as_now(now, wanted))
        return pb.RestoreTenantResponse(changes=applied(executed.changes), config_seq=executed.config.seq)

    async def RestoreResource(self, request: pb.RestoreResourceRequest, context: object) -> pb.RestoreResourceResponse:
        """One of them; what refers to it, or it to, is looked at as for any change."""
        tenant_id, key = current_tenant(), (request.resource, request.resource_id)
        _check_kind(request.resource)
        then, now = await self._then_and_now(tenant_id, request)
        if not any(key[1] in config.resources.get(key[0], {}) for config in (now, then)):
            raise NotFound(f"{key[0]} {key[1]!r}")
        wanted = past.restoring(now, then, _keeping(), key)
        expected = past.as_now(now, wanted)
        if request.etag and request.etag != expected.get(key, request.etag):
            raise api_error(Stale(*key, expected[key]))
        executed = await self._put_back(request, f"restored to version {then.seq}", wanted, expected)
        change = next(iter(executed.changes), None)
        difference = None if change is None else _difference(*key, change.before, change.after)
        return pb.RestoreResourceResponse(difference=difference, config_seq=executed.config.seq)

    async def _then_and_now(self, tenant_id: str, request: Any) -> tuple[TenantConfig, TenantConfig]:
        """As of the moment of the request, and as it is."""
        moment = moment_of(request, "moment")
        if moment is None:
            raise InvalidArgument({"moment": "is required"})
        then = or_raise(await self._directory.read(tenant_id, moment, whole=True))
        return then, or_raise(await self._directory.read(tenant_id))

    async def _put_back(
        self, request: Any, why: str, then: Mapping[Key, Mapping[str, Any] | None], expected: Mapping[Key, str]
    ) -> Executed:
        """`why`: where the request gives no reason."""
        principal = current_principal()
        command = PutBack(actor=principal.subject, bounds=bounds_of(principal), reason=request.reason or why, then=then, expected=expected)
        return await execute(self._directory, current_tenant(), command, dry_run=request.dry_run)


def _check_kind(name: str) -> None:
    if name not in RESOURCES:
        raise InvalidArgument({"resource": f"must be one of {', '.join(RESOURCES)}"})


def _keeping() -> Iterable[str]:
    """Fields of the tenant that stay whatever they were."""
    return SOLD if bounds_of(current_principal()).inside else ()


def _difference(kind: str, resource_id: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> pb.Difference:
    return pb.Difference(
        resource=kind,
        resource_id=resource_id,
        fact="created" if old is None else "deleted" if new is None else "updated",
        fields=differing(old, new) if old is not None and new is not None else (),
        before=struct_of(old),
        after=struct_of(new),
    )


def change_message(each: Recorded) -> pb.Change:
    change = each.change
    message = pb.Change(
        config_seq=each.version,
        actor=change.actor,
        resource=change.resource,
        resource_id=change.resource_id,
        fact=change.action,
        reason=change.reason,
        before=struct_of(change.before),
        after=struct_of(change.after),
    )
    message.time.FromDatetime(each.at)
    return message
