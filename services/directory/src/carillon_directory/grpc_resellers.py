"""Resellers: for operators, and for resellers themselves what is below them. Always: what is not below a reseller is not there for it."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.reseller_pb2_grpc import ResellerServiceServicer
from carillon_contracts.config import Reseller
from carillon_directory.adapters.postgres_resellers import By, PostgresResellers, Resellers
from carillon_directory.adapters.proto_mapping import to_document, to_message
from carillon_directory.domain import resellers as tree
from carillon_directory.domain import texts
from carillon_directory.domain.documents import dump, patched
from carillon_directory.grpc_common import moment_of, page_of, paged, paths_of, position_of, required, seen_of, struct_of, tenants_of
from carillon_directory.handlers import Directory
from carillon_kit import pages
from carillon_kit.auth import OPERATOR, RESELLER
from carillon_kit.errors import FailedPrecondition, InvalidArgument, NotFound
from carillon_kit.grpc_server import current_principal

_OPERATORS = frozenset({str(OPERATOR)})
_BOTH = _OPERATORS | {str(RESELLER)}
_NO_END = 2**63 - 1
RESELLER_RIGHTS: Mapping[str, frozenset[str]] = dict.fromkeys(
    ("GetReseller", "ListResellers", "ListResellerChanges"), _BOTH
) | dict.fromkeys(("CreateReseller", "UpdateReseller", "DeleteReseller"), _OPERATORS)


class ResellerServicer(ResellerServiceServicer):
    """See reseller.proto."""

    def __init__(self, directory: Directory, resellers: PostgresResellers) -> None:
        self._directory = directory
        self._resellers = resellers

    async def GetReseller(self, request: pb.GetResellerRequest, context: object) -> pb.GetResellerResponse:
        """One."""
        known = await self._resellers.all(moment_of(request))
        seen = seen_of(known)
        if request.id not in (known if seen is None else seen):
            raise NotFound(f"reseller {request.id!r}")
        return pb.GetResellerResponse(reseller=reseller_message(known[request.id]))

    async def ListResellers(self, request: pb.ListResellersRequest, context: object) -> pb.ListResellersResponse:
        """A page by id, or in the order that is asked for."""
        known = await self._resellers.all(moment_of(request))
        seen = seen_of(known)
        page, token = paged(Reseller, (each for name, each in known.items() if seen is None or name in seen), request)
        return pb.ListResellersResponse(resellers=[reseller_message(each) for each in page], next_page_token=token)

    async def ListResellerChanges(self, request: pb.ListResellerChangesRequest, context: object) -> pb.ListResellerChangesResponse:
        """Newest first."""
        top = position_of(request.page_token, {"before": int}).get("before", _NO_END)
        principal, told = current_principal(), iter(await self._resellers.changes())
        changes = list(told if OPERATOR in principal.roles else tree.visible(told, principal.reseller))
        found = [each for each in reversed(changes) if each.seq < top and request.reseller_id in ("", each.reseller_id)]
        page, more = page_of(found, pages.page_size(request.page_size))
        token = pages.encode_token({"before": page[-1].seq}) if more else ""
        return pb.ListResellerChangesResponse(changes=[_change(each) for each in page], next_page_token=token)

    async def CreateReseller(self, request: pb.CreateResellerRequest, context: object) -> pb.CreateResellerResponse:
        """A new one."""
        wanted = parsed(to_document(required(request, Reseller.KIND)))
        made = await self._resellers.create(by(request), lambda known: checked(known, wanted))
        return pb.CreateResellerResponse(reseller=reseller_message(made))

    async def UpdateReseller(self, request: pb.UpdateResellerRequest, context: object) -> pb.UpdateResellerResponse:
        """The fields of the mask."""
        message = required(request, Reseller.KIND)
        paths = paths_of(request, message)

        def change(known: Resellers) -> Reseller:
            return checked(known, patch(known[message.id], message, paths))

        kept = await self._resellers.update(by(request), message.id, message.etag, change)
        return pb.UpdateResellerResponse(reseller=reseller_message(kept))

    async def DeleteReseller(self, request: pb.DeleteResellerRequest, context: object) -> pb.DeleteResellerResponse:
        """Its API keys go with it."""
        async with self._resellers.selling():
            sold = [(each.tenant_id, each.tenant.reseller_id) async for each in tenants_of(self._directory)]
            await self._resellers.delete(by(request), request.id, request.etag, lambda known: check_free(known, sold, request.id))
        return pb.DeleteResellerResponse()


def parsed(document: Mapping[str, Any]) -> Reseller:
    """By itself. Raises `InvalidArgument` with every field that is wrong."""
    if unfit := {f"reseller.{each.field}": each.reason for each in texts.violations(document)}:
        raise InvalidArgument(unfit)
    try:
        return Reseller.model_validate({name: value for name, value in document.items() if name != "etag"})
    except ValidationError as error:
        found = InvalidArgument.of(error).violations
        raise InvalidArgument({f"reseller.{field}": reason for field, reason in found.items()}) from error


def patch(current: Reseller, message: pb.Reseller, paths: tuple[str, ...]) -> Reseller:
    """With what the message says in its paths. Raises `InvalidArgument`."""
    return parsed({**patched(dump(current), to_document(message), paths), "id": current.id})


def checked(known: Resellers, reseller: Reseller) -> Reseller:
    """Among the others. Raises `InvalidArgument`."""
    if wrong := tree.wrong(known, reseller):
        raise InvalidArgument(wrong)
    return reseller


def check_free(known: Resellers, sold: Iterable[tuple[str, str]], reseller_id: str) -> None:
    """That nobody is below one that goes; `sold`: tenants and who sells to them. Raises `FailedPrecondition`."""
    holders = [f"reseller/{each.id}" for each in known.values() if each.parent_reseller_id == reseller_id]
    holders += [f"tenant/{name}" for name, seller in sold if seller == reseller_id]
    if holders:
        raise FailedPrecondition([("REFERENCE", holder, f"is below reseller {reseller_id!r}") for holder in holders])


def reseller_message(reseller: Reseller) -> pb.Reseller:
    return to_message(dump(reseller), pb.Reseller)


def _change(each: tree.Changed) -> pb.ResellerChange:
    before, after = (None if side is None else struct_of(dump(side)) for side in (each.before, each.after))
    message = pb.ResellerChange(
        seq=each.seq, actor=each.actor, reseller_id=each.reseller_id, fact=each.fact, before=before, after=after, reason=each.reason
    )
    message.time.FromDatetime(each.at)
    return message


def by(request: Any) -> By:
    """Who asks, and why. Raises `InvalidArgument`."""
    if reason := texts.text_error(request.reason):
        raise InvalidArgument({"reason": reason})
    return current_principal().subject, request.reason
