"""The batch of batch.proto for what is above the tenants: resellers and tenants themselves, all of them or none.

What each request says is checked as by its own service; who is below whom, and how many tenants a reseller may have, at the end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message

from carillon.directory.v1 import directory_pb2 as pb
from carillon_contracts.config import Reseller, Tenant
from carillon_directory.adapters.postgres_resellers import By, Move, Resellers, expect
from carillon_directory.adapters.proto_mapping import to_document
from carillon_directory.adapters.tenant_log import PostgresTenantLog
from carillon_directory.domain import resellers as tree
from carillon_directory.domain.commands import Command
from carillon_directory.domain.documents import differing, dump
from carillon_directory.grpc_batch import below, packed, unpacked
from carillon_directory.grpc_common import applied, or_raise, paths_of, required, seen_of, tenant_message, tenants_of
from carillon_directory.grpc_resellers import by, check_free, checked, parsed, patch, reseller_message
from carillon_directory.grpc_tenants import Sold, check_known, creation_of, deletion_of, new_tenant, update_of
from carillon_directory.handlers import Executed
from carillon_directory.ports import Appends, Outrun
from carillon_kit.auth import OPERATOR
from carillon_kit.errors import AlreadyExists, FailedPrecondition, InvalidArgument, PermissionDenied, Unavailable
from carillon_kit.grpc_server import current_principal

_MOST = 100
_ATTEMPTS = 10
_NOUNS = ("Reseller", "Tenant")


@dataclass(frozen=True, slots=True)
class _Item:
    """A request: where it stands, what it does, and to whom."""

    place: str
    verb: str
    noun: str
    request: Any
    id: str

    @property
    def kind(self) -> str:
        """`reseller` or `tenant`."""
        return self.noun.lower()

    @property
    def message(self) -> Any:
        """The resource of a creation or an update."""
        return getattr(self.request, self.kind)

    @property
    def paths(self) -> tuple[str, ...]:
        """Of an update. Raises `InvalidArgument`."""
        return paths_of(self.request, self.message)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a batch asks for, on resellers as they are `known`: moves of resellers, commands by tenant."""

    known: Resellers
    after: Resellers
    moves: dict[str, Move]
    commands: dict[str, Command]


class InstallationBatch:
    """What `BatchServicer` does above the tenants."""

    def __init__(self, sold: Sold, log: PostgresTenantLog) -> None:
        self._sold = sold
        self._log = log

    async def apply(self, request: pb.ApplyInstallationBatchRequest) -> pb.ApplyInstallationBatchResponse:
        """All or none."""
        who, items = by(request), _items(request.requests)
        async with self._sold.resellers.selling():
            for _ in range(_ATTEMPTS):
                try:
                    return await self._apply(who, items, request.dry_run)
                except Outrun:
                    continue
        raise Unavailable("the tenants or resellers are being changed by others all the time; try again")

    async def _apply(self, who: By, items: Sequence[_Item], dry_run: bool) -> pb.ApplyInstallationBatchResponse:
        known = await self._sold.resellers.all()
        asked = _Asked(known, {**known}, {}, {})
        for item in items:
            with below(item.place):
                _move(asked, item)
        for item in items:
            if item.noun == "Reseller" and item.id in asked.after:
                with below(item.place):
                    checked(asked.after, asked.after[item.id])
            elif item.noun == "Tenant":
                with below(item.place):
                    asked.commands[item.id] = await self._command(asked, item, who[1])
        await self._check_tree(asked, items)
        kept: Resellers = {}

        async def append(appends: Appends) -> None:
            kept.update(await self._sold.resellers.apply(who, known, [*asked.moves.values()], self._log, appends))

        done = await self._sold.directory.execute_together(asked.commands, append, dry_run=dry_run)
        if isinstance(done, tuple):
            refused, why = done
            with below(next(item.place for item in items if (item.noun, item.id) == ("Tenant", refused))):
                or_raise(why)
        executed: Any = done
        return pb.ApplyInstallationBatchResponse(
            responses=() if dry_run else packed(_answer(item, kept, executed) for item in items),
            changes=[change for item in items for change in _changes(item, asked, executed)],
        )

    async def _command(self, asked: _Asked, item: _Item, reason: str) -> Command:
        """Of a tenant. Raises what refuses it."""
        seen = seen_of(asked.known)
        check: Callable[[str], None] = lambda seller: check_known(seller, asked.after if seen is None else seen, seen is None)  # noqa: E731
        if item.verb == "Create":
            tenant = new_tenant(item.request)
            check(tenant.reseller_id)
            await self._sold.check_past(tenant.id, asked.known)
            return creation_of(tenant, reason)
        await self._sold.check_seen(item.id, asked.known)
        if item.verb == "Delete":
            return deletion_of(item.request, reason)
        if "reseller_id" in item.paths:
            check(item.message.reseller_id)
        return update_of(item.message, item.paths, reason)

    async def _check_tree(self, asked: _Asked, items: Sequence[_Item]) -> None:
        """Nobody is left below a reseller that goes, and none to whom tenants come has too many. Raises `FailedPrecondition`."""
        before = {each.tenant_id: each.tenant.reseller_id async for each in tenants_of(self._sold.directory)}
        sold = {**before}
        for item in items:
            if item.noun == "Tenant" and item.verb == "Delete":
                sold.pop(item.id, None)
            elif item.noun == "Tenant" and (item.verb == "Create" or "reseller_id" in item.paths):
                sold[item.id] = item.message.reseller_id
        for name in asked.known.keys() - asked.after.keys():
            check_free(asked.after, sold.items(), name)
        for seller in sorted({each for name, each in sold.items() if each and each != before.get(name)}):
            if reason := tree.full(asked.after, seller, [*sold.values()], 0):
                raise FailedPrecondition([("SUBSCRIPTION", "reseller.max_tenants", reason)])


def _items(boxes: Sequence[Packed]) -> list[_Item]:
    """Raises `InvalidArgument`, and `PermissionDenied` for resellers' changes by others than operators."""
    if not 1 <= len(boxes) <= _MOST:
        raise InvalidArgument({"requests": f"must be 1 to {_MOST}"})
    found: dict[tuple[str, str], _Item] = {}
    for number, box in enumerate(boxes):
        place = f"requests[{number}]"
        verb, noun, request = unpacked(box, place, _NOUNS)
        if noun == "Reseller" and OPERATOR not in current_principal().roles:
            raise PermissionDenied("resellers are kept by operators")
        with below(place):
            name = request.id if verb == "Delete" else required(request, noun.lower()).id
        if (noun, name) in found:
            raise InvalidArgument({f"{place}.{'id' if verb == 'Delete' else f'{noun.lower()}.id'}": f"{name!r} stands twice"})
        found[noun, name] = _Item(place, verb, noun, request, name)
    return [*found.values()]


def _move(asked: _Asked, item: _Item) -> None:
    """What becomes of a reseller, by itself. Raises what refuses it."""
    if item.noun != "Reseller":
        return
    current = asked.known.get(item.id)
    wanted: Reseller | None = None
    if item.verb == "Create":
        if current is not None:
            raise AlreadyExists(f"reseller {item.id!r}")
        wanted = parsed(to_document(item.message))
    else:
        expect(asked.known, item.id, item.request.etag if item.verb == "Delete" else item.message.etag)
        if item.verb == "Update":
            wanted = patch(asked.known[item.id], item.message, item.paths)
    asked.moves[item.id] = current, wanted
    if wanted is None:
        del asked.after[item.id]
    else:
        asked.after[item.id] = wanted


def _answer(item: _Item, kept: Resellers, executed: dict[str, Executed]) -> Message:
    """As the kind's own service."""
    answer: Any = getattr(pb, f"{item.verb}{item.noun}Response")
    if item.verb == "Delete":
        return answer()  # type: ignore[no-any-return]
    shown = reseller_message(kept[item.id]) if item.noun == "Reseller" else tenant_message(executed[item.id].config)
    return answer(**{item.kind: shown})  # type: ignore[no-any-return]


def _changes(item: _Item, asked: _Asked, executed: dict[str, Executed]) -> list[pb.AppliedChange]:
    if item.noun == Tenant.__name__:
        return applied(executed[item.id].changes)
    before, after = asked.moves[item.id]
    if before is None or after is None:
        return [pb.AppliedChange(resource=item.kind, resource_id=item.id, fact="created" if before is None else "deleted")]
    fields = differing(dump(before), dump(after))
    return [pb.AppliedChange(resource=item.kind, resource_id=item.id, fact="updated", fields=fields)] if fields else []
