"""What numbers, extensions, users, SIP credentials, devices and schedules can be told to do, beside what every kind of resource can."""

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Any, Protocol

from google.protobuf.message import Message

from carillon.directory.v1 import directory_pb2 as pb
from carillon_contracts.config import Device, Extension, Number, NumberBlock, Schedule, ShortCode, SipCredential, User
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.adapters.proto_mapping import to_document, to_message
from carillon_directory.adapters.public_holidays import holidays_of
from carillon_directory.domain.blocks import is_used, numbers_of
from carillon_directory.domain.commands import (
    AssignDevice,
    AssignExtensions,
    AssignNumber,
    AssignShortCodes,
    HotDesk,
    ImportHolidays,
    MoveDevice,
    MoveShortCodes,
    ResetLine,
    UpdateResource,
)
from carillon_directory.domain.documents import USER_PINS, dump
from carillon_directory.grpc_common import (
    PASSWORD_BYTES,
    bounds_of,
    check_not_visiting,
    clashes_of,
    credential_message,
    execute,
    moment_of,
    or_raise,
    position_of,
    reach_of,
    required,
    resource_of,
)
from carillon_directory.handlers import Directory
from carillon_kit.errors import InvalidArgument, NotFound
from carillon_kit.grpc_server import current_principal, current_tenant
from carillon_kit.ids import Ids
from carillon_kit.pages import encode_token, page_size
from carillon_kit.pins import hash_pin

Verb = Callable[[Any, object], Any]
#: Users who get an extension in one step.
_MOST_USERS = 1000
#: Short codes that are given in one step, and digits of one.
_MOST_CODES = 1000
_CODE_DIGITS = 6


class Logins(Protocol):
    """What people log in with."""

    async def renew(self, tenant: str, user_id: str, by: str) -> tuple[str, str]:
        """Login and new password of who has a login, whose second factor and tokens end; both empty: they have none."""
        ...


class Verbs:
    """By kind of resource: the name of each rpc and what it does."""

    def __init__(self, directory: Directory, ids: Ids, logins: Logins) -> None:
        self._directory = directory
        self._logins = logins
        self._ids = ids
        self.by_kind: dict[str, dict[str, Verb]] = {
            Number.KIND: {"AssignNumber": self.assign_number, "FreeNumber": self.free_number},
            NumberBlock.KIND: {"ListBlockNumbers": self.list_block_numbers},
            Extension.KIND: {"AssignExtensions": self.assign_extensions},
            ShortCode.KIND: {"AssignShortCodes": self.assign_short_codes, "MoveShortCodes": self.move_short_codes},
            User.KIND: {"ResetLine": self.reset_line},
            SipCredential.KIND: {"LogInPhone": self.log_in_phone, "LogOutPhone": self.log_out_phone},
            Device.KIND: {"MoveDevice": self.move_device, "AssignDevice": self.assign_device, "FreeDevice": self.free_device},
            Schedule.KIND: {"ImportHolidays": self.import_holidays, "SetScheduleMode": self.set_schedule_mode},
        }

    async def assign_number(self, request: pb.AssignNumberRequest, context: object) -> pb.AssignNumberResponse:
        """With its short numbers; those that are taken are told and not made."""
        destination = to_document(required(request, "destination"))
        command = AssignNumber(**_asked(request), number_id=request.id, destination=destination, etag=request.etag)
        executed = await execute(self._directory, current_tenant(), command)
        made = [each.id for each in executed.config.extensions.values() if each.number_id == request.id]
        number = _shown(executed.config, Number.KIND, request.id)
        return pb.AssignNumberResponse(number=number, short_numbers=sorted(made), clashes=clashes_of(executed.remarks))

    async def free_number(self, request: pb.FreeNumberRequest, context: object) -> pb.FreeNumberResponse:
        """Its short numbers go with it."""
        command = AssignNumber(**_asked(request), number_id=request.id, destination=None, etag=request.etag)
        executed = await execute(self._directory, current_tenant(), command)
        return pb.FreeNumberResponse(number=_shown(executed.config, Number.KIND, request.id))

    async def assign_extensions(self, request: pb.AssignExtensionsRequest, context: object) -> pb.AssignExtensionsResponse:
        """Free ones in order."""
        if request.user_ids and request.device_ids:
            raise InvalidArgument({"device_ids": "user_ids and device_ids: only one of them"})
        if not 1 <= len(request.user_ids) + len(request.device_ids) <= _MOST_USERS:
            raise InvalidArgument({"device_ids" if request.device_ids else "user_ids": f"must be 1 to {_MOST_USERS}"})
        command = AssignExtensions(
            **_asked(request),
            user_ids=tuple(request.user_ids),
            first=request.first,
            device_ids=tuple(request.device_ids),
            exact=request.exact,
        )
        executed = await execute(self._directory, current_tenant(), command)
        made = [_shown(executed.config, Extension.KIND, change.resource_id) for change in executed.changes]
        return pb.AssignExtensionsResponse(extensions=made)

    async def list_block_numbers(self, request: pb.ListBlockNumbersRequest, context: object) -> pb.ListBlockNumbersResponse:
        """A page; later ones show the same version as the first."""
        position = position_of(request.page_token, {"seq": int, "after": str})
        moment = position["seq"] if position else moment_of(request)
        config = or_raise(await self._directory.read(current_tenant(), moment))
        block, reach = config.get(NumberBlock, request.id), reach_of(config)
        if block is None or not reach.covers(block):
            raise NotFound(f"{NumberBlock.KIND} {request.id!r}")
        used = {pb.BLOCK_NUMBER_STATE_FREE: False, pb.BLOCK_NUMBER_STATE_USED: True}.get(request.state)
        after, size = position.get("after", ""), page_size(request.page_size)
        if after and not (after in block and after[1:].isascii() and after[1:].isdecimal()):
            raise InvalidArgument({"page_token": "not a token of this list"})
        found = await asyncio.to_thread(lambda: list(islice(numbers_of(block, config.numbers, used, after), size + 1)))
        answer = pb.ListBlockNumbersResponse()
        for digits, number in found[:size]:
            shown = number is not None and reach.covers(number)
            message = to_message(dump(number), pb.Number) if number is not None and shown else None
            answer.numbers.add(id=digits, used=is_used(number), number=message)
        if len(found) > size:
            answer.next_page_token = encode_token({"seq": config.seq, "after": found[size - 1][0]})
        return answer

    async def assign_short_codes(self, request: pb.AssignShortCodesRequest, context: object) -> pb.AssignShortCodesResponse:
        """One after another."""
        if not 1 <= len(request.entries) <= _MOST_CODES:
            raise InvalidArgument({"entries": f"must be 1 to {_MOST_CODES}"})
        if not 1 <= len(request.first) <= _CODE_DIGITS:
            raise InvalidArgument({"first": f"must be 1 to {_CODE_DIGITS} digits"})
        entries = tuple((each.number, each.label) for each in request.entries)
        command = AssignShortCodes(**_asked(request), first=request.first, entries=entries, department_id=request.department_id)
        return pb.AssignShortCodesResponse(short_codes=await self._short_codes(command))

    async def move_short_codes(self, request: pb.MoveShortCodesRequest, context: object) -> pb.MoveShortCodesResponse:
        """A range."""
        command = MoveShortCodes(
            **_asked(request),
            first=request.first,
            last=request.last or request.first,
            from_department_id=request.from_department_id,
            department_id=request.department_id,
        )
        return pb.MoveShortCodesResponse(short_codes=await self._short_codes(command))

    async def _short_codes(self, command: AssignShortCodes | MoveShortCodes) -> list[Any]:
        executed = await execute(self._directory, current_tenant(), command)
        return [_shown(executed.config, ShortCode.KIND, change.resource_id) for change in executed.changes]

    async def reset_line(self, request: pb.ResetLineRequest, context: object) -> pb.ResetLineResponse:
        """The new passwords are in the answer and nowhere else."""
        check_not_visiting()
        tenant_id = current_tenant()
        config = or_raise(await self._directory.read(tenant_id))
        spare = {
            each.id: self._ids.token(PASSWORD_BYTES)
            for each in config.sip_credentials.values()
            if request.user_id == (each.home_user_id or each.user_id)
        }
        pins = {name: _pin(self._ids.token(PASSWORD_BYTES)) for name in USER_PINS}
        hashes = await asyncio.to_thread(lambda: {name: hash_pin(pin, self._ids.token(PASSWORD_BYTES)) for name, pin in pins.items()})
        before = config.users.get(request.user_id)
        command = ResetLine(
            **_asked(request),
            user_id=request.user_id,
            spare_passwords=spare,
            leave_groups=request.leave_groups,
            spare_pins=hashes,
            etag=request.etag,
        )
        executed = await execute(self._directory, tenant_id, command)
        shown = {name.removesuffix("_hash"): pin for name, pin in pins.items() if getattr(before, name, "")}
        renewed = await self._logins.renew(tenant_id, request.user_id, current_principal().subject)
        credentials = executed.config.sip_credentials
        return pb.ResetLineResponse(
            user=_shown(executed.config, User.KIND, request.user_id),
            credentials=[credential_message(credentials[name], password) for name, password in executed.passwords.items()],
            login=renewed[0],
            password=renewed[1],
            **shown,
        )

    async def log_in_phone(self, request: pb.LogInPhoneRequest, context: object) -> pb.LogInPhoneResponse:
        """A guest on a phone."""
        if not request.user_id:
            raise InvalidArgument({"user_id": "is required"})
        return pb.LogInPhoneResponse(sip_credential=await self._hot_desk(request, request.user_id))

    async def log_out_phone(self, request: pb.LogOutPhoneRequest, context: object) -> pb.LogOutPhoneResponse:
        """The phone is its owner's again."""
        return pb.LogOutPhoneResponse(sip_credential=await self._hot_desk(request, ""))

    async def move_device(self, request: pb.MoveDeviceRequest, context: object) -> pb.MoveDeviceResponse:
        """To a site, or into stock."""
        command = MoveDevice(**_asked(request), device_id=request.id, site_id=request.site_id, etag=request.etag)
        return pb.MoveDeviceResponse(device=await self._device(command))

    async def assign_device(self, request: pb.AssignDeviceRequest, context: object) -> pb.AssignDeviceResponse:
        """One port."""
        if not request.user_id and not request.sip_credential_id:
            raise InvalidArgument({"user_id": "a user or a SIP credential is needed"})
        command = AssignDevice(
            **_asked(request),
            device_id=request.id,
            port=request.port or 1,
            user_id=request.user_id,
            sip_credential_id=request.sip_credential_id,
            label=request.label,
            etag=request.etag,
        )
        return pb.AssignDeviceResponse(device=await self._device(command))

    async def free_device(self, request: pb.FreeDeviceRequest, context: object) -> pb.FreeDeviceResponse:
        """One port, or all."""
        command = AssignDevice(**_asked(request), device_id=request.id, port=request.port, etag=request.etag)
        return pb.FreeDeviceResponse(device=await self._device(command))

    async def _device(self, command: MoveDevice | AssignDevice) -> Any:
        executed = await execute(self._directory, current_tenant(), command)
        return _shown(executed.config, Device.KIND, command.device_id)

    async def import_holidays(self, request: pb.ImportHolidaysRequest, context: object) -> pb.ImportHolidaysResponse:
        """Those of a year."""
        tenant = or_raise(await self._directory.read(current_tenant())).tenant
        country, language = request.country or tenant.country, request.language or tenant.language
        found = await asyncio.to_thread(holidays_of, country, request.region, request.year, language)
        command = ImportHolidays(
            **_asked(request),
            schedule_id=request.id,
            country=country,
            region=request.region,
            year=request.year,
            holidays=tuple(found),
            etag=request.etag,
        )
        executed = await execute(self._directory, current_tenant(), command)
        holidays = [to_message(each, pb.Holiday) for each in found]
        return pb.ImportHolidaysResponse(schedule=_shown(executed.config, Schedule.KIND, request.id), holidays=holidays)

    async def set_schedule_mode(self, request: pb.SetScheduleModeRequest, context: object) -> pb.SetScheduleModeResponse:
        """By hand, or automatic again."""
        document = to_document(pb.Schedule(mode=request.mode))
        if "mode" not in document:
            raise InvalidArgument({"mode": "is required"})
        command = UpdateResource(
            **_asked(request), kind=Schedule.KIND, resource_id=request.id, document=document, paths=("mode",), etag=request.etag
        )
        executed = await execute(self._directory, current_tenant(), command)
        return pb.SetScheduleModeResponse(schedule=_shown(executed.config, Schedule.KIND, request.id))

    async def _hot_desk(self, request: Any, user_id: str) -> Any:
        command = HotDesk(**_asked(request), sip_credential_id=request.sip_credential_id, user_id=user_id, etag=request.etag)
        executed = await execute(self._directory, current_tenant(), command)
        return _shown(executed.config, SipCredential.KIND, request.sip_credential_id)


def _pin(token: str) -> str:
    """Six digits of a token."""
    return f"{int(token, 16) % 1_000_000:06}"


def _asked(request: Any) -> dict[str, Any]:
    principal = current_principal()
    return {"actor": principal.subject, "bounds": bounds_of(principal), "reason": request.reason}


_MESSAGES: dict[str, type[Message]] = {
    Number.KIND: pb.Number,
    Extension.KIND: pb.Extension,
    User.KIND: pb.User,
    SipCredential.KIND: pb.SipCredential,
    Device.KIND: pb.Device,
    Schedule.KIND: pb.Schedule,
    ShortCode.KIND: pb.ShortCode,
}


def _shown(config: TenantConfig, kind: str, resource_id: str) -> Any:
    return to_message(dump(resource_of(config, kind, resource_id)), _MESSAGES[kind])
