"""The service of person.proto."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Literal
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.person_pb2_grpc import PersonServiceServicer, add_PersonServiceServicer_to_server
from carillon_contracts.erasure import PREFIX
from carillon_directory.access import Access
from carillon_directory.adapters.postgres_erasures import PostgresErasures
from carillon_directory.domain import persons
from carillon_directory.domain.commands import ErasePerson
from carillon_directory.domain.documents import dump
from carillon_directory.domain.index import Index
from carillon_directory.grpc_common import applied, bounds_of, or_raise, struct_of
from carillon_directory.grpc_history import change_message
from carillon_directory.handlers import Directory, TooBusy
from carillon_directory.whole_tenant import current_whole_tenant
from carillon_kit.auth import ADMIN, OPERATOR, USER
from carillon_kit.errors import InvalidArgument, NotFound, PermissionDenied, Unavailable
from carillon_kit.grpc_server import GrpcServer, current_principal, current_tenant

_SERVICE = "carillon.directory.v1.PersonService"
_ADMINS = frozenset({str(OPERATOR), str(ADMIN)})
_RECORDINGS: Mapping[int, Literal["delete", "keep"]] = {
    pb.ERASED_RECORDINGS_UNSPECIFIED: "delete",
    pb.ERASED_RECORDINGS_DELETE: "delete",
    pb.ERASED_RECORDINGS_KEEP: "keep",
}
Wake = Callable[[], None]
#: Changes looked through in one step.
_STEP = 500


def add_services(server: GrpcServer, directory: Directory, access: Access, erasures: PostgresErasures, wake: Wake) -> None:
    """The service with its rights."""
    api = PersonApi(directory, access, erasures, wake)
    rights = {"ExportPerson": _ADMINS | {str(USER)}, "ErasePerson": _ADMINS, "GetErasure": _ADMINS}
    server.add(add_PersonServiceServicer_to_server, api, _SERVICE, rights)


class PersonApi(PersonServiceServicer):
    """See person.proto."""

    def __init__(self, directory: Directory, access: Access, erasures: PostgresErasures, wake: Wake) -> None:
        self._directory = directory
        self._access = access
        self._erasures = erasures
        self._wake = wake

    async def ExportPerson(self, request: pb.ExportPersonRequest, context: object) -> AsyncIterator[pb.ExportPersonResponse]:
        """What is theirs now, what names them, their login, then the changes."""
        principal, user_id = current_principal(), request.user_id
        if principal.roles & _ADMINS:
            tenant_id = current_whole_tenant()
        elif principal.subject == f"user/{user_id}":
            tenant_id = current_tenant()
        else:
            raise PermissionDenied("users export themselves alone")
        config = or_raise(await self._directory.read(tenant_id))
        if user_id not in config.users:
            raise NotFound(f"user {user_id!r}")
        own = await asyncio.to_thread(lambda: list(persons.theirs(config, user_id)))
        for each in own:
            resource = pb.PersonalResource(kind=each.KIND, id=each.id, document=struct_of(dump(each)))
            yield pb.ExportPersonResponse(resource=resource)
        for kind, name in await asyncio.to_thread(lambda: persons.mentions(config, Index.of(config), user_id)):
            yield pb.ExportPersonResponse(mention=pb.Mention(kind=kind, id=name))
        if (login := await self._login(tenant_id, user_id)) is not None:
            yield pb.ExportPersonResponse(login=login)
        keys = {(each.KIND, each.id) for each in own}
        for first in range(1, config.seq + 1, _STEP):
            for recorded in await self._directory.changes(tenant_id, first, min(first + _STEP - 1, config.seq)):
                if persons.concerns(recorded.change, user_id, keys):
                    yield pb.ExportPersonResponse(change=change_message(recorded))

    async def _login(self, tenant_id: str, user_id: str) -> pb.PersonalLogin | None:
        try:
            person, stored = await self._access.login(tenant_id, user_id)
        except NotFound:
            return None
        found = pb.PersonalLogin(login=person.login, second_factor=stored.totp_confirmed)
        if stored.last_login_at is not None:
            stamp = Timestamp()
            stamp.FromDatetime(stored.last_login_at)
            found.last_login_at.CopyFrom(stamp)
        return found

    async def ErasePerson(self, request: pb.ErasePersonRequest, context: object) -> pb.ErasePersonResponse:
        """The changes at once; what follows them is a task of its own."""
        tenant_id, ids = current_whole_tenant(), self._erasures.ids
        if not request.user_id:
            raise InvalidArgument({"user_id": "is required"})
        if request.recordings not in _RECORDINGS:
            raise InvalidArgument({"recordings": "is no such choice"})
        command = ErasePerson(
            actor=current_principal().subject,
            bounds=bounds_of(current_principal()),
            reason=request.reason,
            user_id=request.user_id,
            pseudonym=f"{PREFIX}{ids.uuid7().hex[-12:]}",
            erasure_id=str(ids.uuid7()),
            recordings=_RECORDINGS[request.recordings],
        )
        try:
            erased = or_raise(await self._directory.erase(tenant_id, command, self._erasures, dry_run=request.dry_run))
        except TooBusy as busy:
            raise Unavailable(str(busy)) from busy
        if not request.dry_run:
            self._wake()
        return pb.ErasePersonResponse(
            erasure_id="" if request.dry_run else command.erasure_id,
            pseudonym=command.pseudonym,
            changes=applied(erased.erasing.changes),
            config_seq=erased.config.seq,
            remarks=[f"{subject}: {text}" for subject, text in erased.erasing.remarks],
        )

    async def GetErasure(self, request: pb.GetErasureRequest, context: object) -> pb.GetErasureResponse:
        """Of the caller's tenant."""
        try:
            erasure_id = UUID(request.erasure_id)
        except ValueError as error:
            raise InvalidArgument({"erasure_id": "is no id of an erasure"}) from error
        found = await self._erasures.get(current_whole_tenant(), erasure_id)
        if found is None:
            raise NotFound(f"erasure {request.erasure_id!r}")
        message = pb.Erasure(
            erasure_id=str(found.erasure_id),
            pseudonym=found.pseudonym,
            requested_by=found.requested_by,
            waits_for=found.waits_for,
            services=[pb.ServiceErasure(service=name, counts=found.counts[name]) for name in sorted(found.counts)],
        )
        message.requested_time.FromDatetime(found.requested_at)
        if found.done_at is not None:
            message.done_time.FromDatetime(found.done_at)
        return pb.GetErasureResponse(erasure=message)
