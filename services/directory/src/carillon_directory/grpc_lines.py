"""The service of line.proto: what the directory knows of a line, with what media and cdr say of it when they are asked."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, TypeVar

import grpc.aio

from carillon.cdr.v1.cdr_pb2 import ListRecordsRequest, Record
from carillon.directory.v1 import line_pb2 as pb
from carillon.directory.v1.line_pb2_grpc import LineServiceServicer, add_LineServiceServicer_to_server
from carillon.media.v1.media_pb2 import ListRegistrationsRequest, ListRegistrationsResponse, Registration
from carillon_contracts.config import User
from carillon_contracts.rights import RECORD
from carillon_directory.domain.bounds import Reach, sees_account_code
from carillon_directory.domain.lines import Line, Phone, line_of
from carillon_directory.grpc_common import or_raise, reach_of
from carillon_directory.handlers import Directory
from carillon_kit.auth import ADMIN, DEPARTMENT_ADMIN, OPERATOR, USER
from carillon_kit.errors import InvalidArgument, NotFound
from carillon_kit.grpc_server import TENANT_KEY, GrpcServer, current_tenant
from carillon_kit.logs import get_logger

T = TypeVar("T")
_log = get_logger(__name__)
_SERVICE = "carillon.directory.v1.LineService"
_RIGHTS = {"GetLineStatus": frozenset(map(str, (OPERATOR, ADMIN, DEPARTMENT_ADMIN, USER)))}
#: For each of the other services; one that is down is known at once.
_SECONDS = 8.0
_CALLS, _MOST_CALLS = 10, 50
#: Whose calls are looked for.
_MOST_EXTENSIONS = 10


def add_services(server: GrpcServer, directory: Directory, media: Any | None, cdr: Any | None) -> None:
    """The service with its rights. `media`, `cdr`: stubs of RegistrationService and RecordService; None: not reached from here."""
    server.add(add_LineServiceServicer_to_server, LineApi(directory, media, cdr), _SERVICE, _RIGHTS)


class LineApi(LineServiceServicer):
    """See line.proto."""

    def __init__(self, directory: Directory, media: Any | None, cdr: Any | None) -> None:
        self._directory = directory
        self._media = media
        self._cdr = cdr

    async def GetLineStatus(self, request: pb.GetLineStatusRequest, context: object) -> pb.GetLineStatusResponse:
        """See line.proto."""
        if not 0 <= request.calls <= _MOST_CALLS:
            raise InvalidArgument({"calls": f"must be 0 to {_MOST_CALLS}"})
        config = or_raise(await self._directory.read(current_tenant()))
        user = config.get(User, request.user_id)
        reach = reach_of(config)
        if user is None or not reach.covers(user):
            raise NotFound(f"user {request.user_id[:64]!r}")
        line = line_of(config, await self._directory.index(config), user)
        registered, calls = await asyncio.gather(self._registered(config.tenant_id, line), self._calls(reach, line, request.calls))
        return pb.GetLineStatusResponse(line=_message(line, registered, calls))

    async def _registered(self, tenant: str, line: Line) -> ListRegistrationsResponse | None:
        """None: media did not answer."""
        if self._media is None:
            return None
        request = ListRegistrationsRequest(user_id=line.user.id)
        return await _answer(self._media.ListRegistrations(request, timeout=_SECONDS, metadata=((TENANT_KEY, tenant),)), "media")

    async def _calls(self, reach: Reach, line: Line, wanted: int) -> Sequence[Record] | None:
        """Newest first, of every extension of the line; for the person those of theirs since the line was handed over; for a department's
        admin those that were the department's. None: cdr did not answer."""
        if self._cdr is None:
            return None
        if not reach.level(RECORD):
            return ()
        size, bounds, department = wanted or _CALLS, reach.bounds, reach.bounds.department or ""
        lists = [ListRecordsRequest(user_id=line.user.id, page_size=size)]
        if not bounds.user:
            lists = [ListRecordsRequest(rung_user_id=line.user.id, department_id=department, page_size=size)]
            lists += [
                ListRecordsRequest(party=digits, department_id=department, page_size=size) for digits in line.extensions[:_MOST_EXTENSIONS]
            ]
        metadata = ((TENANT_KEY, reach.config.tenant_id),)
        asked = (_answer(self._cdr.ListRecords(each, timeout=_SECONDS, metadata=metadata), "cdr") for each in lists)
        found: dict[str, Record] = {}
        for answer in await asyncio.gather(*asked):
            if answer is None:
                return None
            found |= {record.call_id: record for record in answer.records}
        newest = sorted(found.values(), key=lambda each: (each.started_at.ToNanoseconds(), each.call_id), reverse=True)[:size]
        if not bounds.user:
            return newest
        return _own(newest, line.user.id, code=sees_account_code(reach.config, bounds, line.user))


def _own(calls: Iterable[Record], user_id: str, *, code: bool) -> Sequence[Record]:
    """As the person themselves is told of them: not those of who had the extension before, nor a code that is not shown to them."""
    own = [each for each in calls if any(leg.party == user_id for leg in each.legs)]
    for each in own if not code else ():
        each.ClearField("account_code")
    return own


async def _answer(call: Awaitable[T], service: str) -> T | None:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        _log.warning("a line's status lacks what a service knows", service=service, code=error.code().name)
        return None


def _message(line: Line, registered: ListRegistrationsResponse | None, calls: Sequence[Record] | None) -> pb.LineStatus:
    contacts = [*registered.registrations, *registered.departed] if registered is not None else []
    missing = [name for name, answer in (("media", registered), ("cdr", calls)) if answer is None]
    return pb.LineStatus(
        user_id=line.user.id,
        display_name=line.user.shown_name,
        department_id=line.user.department_id,
        extension_ids=line.extensions,
        number_ids=line.numbers,
        phones=[_phone(each, contacts, registered is not None) for each in line.phones],
        lamp_user_ids=line.lamps,
        supervisor_user_ids=line.supervisors,
        watched_by=sorted({name for each in contacts for name in each.watched_by}),
        last_calls=calls or (),
        missing=[*missing, *(registered.silent_nodes if registered is not None else ())],
    )


def _phone(phone: Phone, contacts: Iterable[Registration], known: bool) -> pb.LinePhone:
    heard = [each for each in contacts if each.sip_user == phone.credential.id]
    own = [each for each in heard if not each.HasField("left_at")]
    state = pb.LINE_STATE_ONLINE if own else pb.LINE_STATE_OFFLINE if known else pb.LINE_STATE_UNSPECIFIED
    message = pb.LinePhone(
        sip_credential_id=phone.credential.id,
        state=state,
        registrations=own,
        message_notices=max((each.message_notices for each in heard), default=0),
        home_user_id=phone.credential.home_user_id,
        departed=next((each for each in heard if each.HasField("left_at")), None),
    )
    if phone.device is not None and phone.on is not None:
        device = phone.device
        message.device_id, message.port, message.device_label = device.id, phone.on.port, phone.on.label or device.label
        message.vendor, message.model, message.mac = device.vendor, device.model, device.mac
        message.owner, message.site_id = device.owner, device.site_id
    return message
