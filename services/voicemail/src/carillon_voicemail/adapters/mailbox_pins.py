"""PINs that are changed by phone: the directory has them, in the name of whose box it is.

Invariant: whatever fails is False, and the caller hears that it was not done; the PIN is in no log.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import grpc
import grpc.aio
from google.protobuf.field_mask_pb2 import FieldMask

from carillon.directory.v1 import mailbox_pb2
from carillon_kit.auth import ADMIN, issue_token
from carillon_kit.errors import Unavailable
from carillon_kit.logs import get_logger

_log = get_logger("mailbox pins")
#: Media waits 300 ms for a step.
DEADLINE = 0.22
#: A token for one change.
TOKEN_LIFETIME = timedelta(minutes=1)
Sign = Callable[[str, str, str], str]


def signer(key: str) -> Sign:
    """Tokens for a subject, of a tenant, with a role."""
    return lambda subject, tenant, role: issue_token(key, subject, tenant, [role], TOKEN_LIFETIME)


class MailboxPins:
    """A stub of MailboxService; None: not reached from here."""

    def __init__(self, mailboxes: Any | None, sign: Sign) -> None:
        self._mailboxes = mailboxes
        self._sign = sign

    async def change(self, tenant: str, mailbox_id: str, pin: str) -> bool:
        """Whether the directory has it now. Raises `Unavailable` when it has not answered in time: asked again, it does the same once."""
        if self._mailboxes is None:
            return False
        mailbox = mailbox_pb2.Mailbox(id=mailbox_id, pin=pin)
        request = mailbox_pb2.UpdateMailboxRequest(mailbox=mailbox, update_mask=FieldMask(paths=["pin"]), reason="changed by phone")
        token = self._sign(f"mailboxes/{mailbox_id}", tenant, ADMIN)
        metadata = (("authorization", f"Bearer {token}"), ("carillon-tenant", tenant))
        try:
            await self._mailboxes.UpdateMailbox(request, timeout=DEADLINE, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            _log.warning("a PIN was not changed", tenant=tenant, mailbox_id=mailbox_id, code=error.code().name)
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise Unavailable("the directory has not answered yet") from error
            return False
        return True
