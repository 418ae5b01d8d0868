"""What directory and cdr are asked while a code is carried out; each call has a deadline well below the one that media waits.

Invariant: a change is made with the rights of the tenant's admin and in the name of the user who dialled, so that the history tells who;
whatever fails is `None`, and the caller hears that it was not done.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import grpc
import grpc.aio
from google.protobuf.field_mask_pb2 import FieldMask
from pydantic import JsonValue

from carillon.cdr.v1 import cdr_pb2
from carillon.directory.v1 import directory_pb2
from carillon_kit.auth import ADMIN, SERVICE, issue_token
from carillon_kit.logs import get_logger
from carillon_routing.domain.asks import ChangeUser, HavePhone, LastCaller
from carillon_routing.domain.facts import CallFacts

_log = get_logger(__name__)
#: Media waits 300 ms for a decision.
DEADLINE = 0.22
#: A token for one change.
TOKEN_LIFETIME = timedelta(minutes=1)
#: Records that are looked through for one whose caller can be called back.
LOOK_THROUGH = 10
Sign = Callable[[str, str, str], str]


def signer(key: str) -> Sign:
    """Tokens for a subject, of a tenant, with a role."""
    return lambda subject, tenant, role: issue_token(key, subject, tenant, [role], TOKEN_LIFETIME)


def signed(sign: Sign, subject: str, tenant: str, role: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a question for a tenant."""
    return (("authorization", f"Bearer {sign(subject, tenant, role)}"), ("carillon-tenant", tenant))


class Peers:
    """Stubs of UserService, SipCredentialService and RecordService; None: not reached from here."""

    def __init__(self, users: Any | None, phones: Any | None, records: Any | None, sign: Sign) -> None:
        self._users = users
        self._phones = phones
        self._records = records
        self._sign = sign

    async def find(self, call: CallFacts, ask: ChangeUser | HavePhone | LastCaller) -> JsonValue:
        """The answer; None when it could not be found out or done in time."""
        try:
            match ask:
                case ChangeUser():
                    return await self._change(call, ask)
                case HavePhone():
                    return await self._have_phone(call, ask)
                case LastCaller(user_id):
                    return await self._last_caller(call, user_id)
        except grpc.aio.AioRpcError as error:
            _log.warning("a peer did not answer", asked=type(ask).__name__, code=error.code().name, details=error.details())
            return None

    async def _change(self, call: CallFacts, ask: ChangeUser) -> JsonValue:
        if self._users is None:
            return None
        user = directory_pb2.User(id=ask.user_id)
        for name, value in ask.document:
            _put(user, name, value)
        request = directory_pb2.UpdateUserRequest(user=user, update_mask=FieldMask(paths=ask.paths), reason=f"dialled {ask.reason}")
        metadata = signed(self._sign, f"users/{ask.user_id}", call.tenant_id, ADMIN)
        await self._users.UpdateUser(request, timeout=DEADLINE, metadata=metadata)
        return True

    async def _have_phone(self, call: CallFacts, ask: HavePhone) -> JsonValue:
        if self._phones is None:
            return None
        phone, user_id = ask.sip_credential_id, ask.user_id
        metadata = signed(self._sign, f"users/{user_id or call.caller_user_id}", call.tenant_id, ADMIN)
        if user_id:
            request = directory_pb2.LogInPhoneRequest(sip_credential_id=phone, user_id=user_id, reason=f"dialled {call.dialled}")
            await self._phones.LogInPhone(request, timeout=DEADLINE, metadata=metadata)
        else:
            leaving = directory_pb2.LogOutPhoneRequest(sip_credential_id=phone, reason=f"dialled {call.dialled}")
            await self._phones.LogOutPhone(leaving, timeout=DEADLINE, metadata=metadata)
        return True

    async def _last_caller(self, call: CallFacts, user_id: str) -> JsonValue:
        if self._records is None:
            return None
        request = cdr_pb2.ListRecordsRequest(page_size=LOOK_THROUGH, rung_user_id=user_id)
        metadata = signed(self._sign, "routing", call.tenant_id, SERVICE)
        found = await self._records.ListRecords(request, timeout=DEADLINE, metadata=metadata)
        others = (record.caller for record in found.records if not any(leg.leg_id == "a" and leg.party == user_id for leg in record.legs))
        return next(others, "")


def _put(message: Any, name: str, value: JsonValue) -> None:
    """Set a field by its path: `forwarding.unconditional.user_id`."""
    *above, last = name.split(".")
    for part in above:
        message = getattr(message, part)
    field = message.DESCRIPTOR.fields_by_name[last]
    if isinstance(value, list) and field.enum_type is not None:
        prefix = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
        getattr(message, last).extend(field.enum_type.values_by_name[f"{prefix}{item}".upper()].number for item in value)
    else:
        setattr(message, last, value)
