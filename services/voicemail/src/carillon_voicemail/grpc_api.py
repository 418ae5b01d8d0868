"""`CallApplication` for media, `MessageService` for people and systems of a tenant.

Always: a message is read with the tenant of the caller's token, and of the mailboxes that the caller reaches, so that another tenant's or
somebody else's is as if it were not there.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.common.v1 import call_application_pb2 as app_pb
from carillon.common.v1 import call_application_pb2_grpc as app_rpc
from carillon.voicemail.v1 import voicemail_pb2 as pb
from carillon.voicemail.v1 import voicemail_pb2_grpc as rpc
from carillon_kit.auth import ADMIN, DEPARTMENT_ADMIN, OPERATOR, SERVICE, USER
from carillon_kit.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, Unavailable
from carillon_kit.grpc_server import current_tenant
from carillon_kit.object_store import ObjectNotFound, ObjectStore
from carillon_kit.pages import decode_token, encode_token, page_size
from carillon_voicemail import listening_application
from carillon_voicemail.access import Access
from carillon_voicemail.adapters.letters_kept import KeptLetter
from carillon_voicemail.conference_application import ConferenceApplication, is_for
from carillon_voicemail.domain import dialogue
from carillon_voicemail.domain.listening_state import Decision
from carillon_voicemail.domain.message import MailState, Message, MessageState
from carillon_voicemail.domain.steps import CallFacts, Entered, Gathered, Outcome, Step, Trace
from carillon_voicemail.listening_application import ListeningApplication
from carillon_voicemail.ports import Configurations, Messages
from carillon_voicemail.step_messages import outcome_of, step_message

APPLICATION_SERVICE = "carillon.common.v1.CallApplication"
MESSAGE_SERVICE = "carillon.voicemail.v1.MessageService"
_READERS = frozenset({ADMIN, OPERATOR, SERVICE})
APPLICATION_RIGHTS = {"Next": frozenset({SERVICE}), "Await": frozenset({SERVICE})}
MESSAGE_RIGHTS = dict.fromkeys(
    ("ListMessages", "GetMessage", "FetchMessageAudio", "MarkMessage", "DeleteMessage", "UndeleteMessage"),
    _READERS | {DEPARTMENT_ADMIN, USER},
) | {"ExportLetters": _READERS}
_MARKS = {
    pb.MESSAGE_STATE_NEW: MessageState.NEW,
    pb.MESSAGE_STATE_HEARD: MessageState.HEARD,
    pb.MESSAGE_STATE_SAVED: MessageState.SAVED,
}
_STATES = {**{state: mark for mark, state in _MARKS.items()}, MessageState.DELETED: pb.MESSAGE_STATE_DELETED}
CHUNK_BYTES = 64 * 1024
_LONGEST_ADDRESS = 254
#: A tenant's e-mails to an address that are still here.
Letters = Callable[[str, str], AsyncIterator[KeptLetter]]


class VoicemailApplication(app_rpc.CallApplicationServicer):
    """Leads a caller through the mailbox, its owner through the messages, and whoever has a room's code into a conference."""

    def __init__(self, configurations: Configurations, conferences: ConferenceApplication, listening: ListeningApplication) -> None:
        self._configurations = configurations
        self._conferences = conferences
        self._listening = listening

    async def Await(self, request: app_pb.AwaitRequest, context: Any) -> app_pb.AwaitResponse:
        """None of our steps waits for a signal."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "no step of this application waits for a signal")
        raise AssertionError

    async def Next(self, request: app_pb.NextRequest, context: Any) -> app_pb.NextResponse:
        """The next step of the dialogue."""
        call = request.call
        if call.tenant_id != current_tenant():
            raise PermissionDenied("the call is another tenant's")
        conference = self._conferences.cursor_of(request)
        if conference is not None or is_for(request):
            return await self._conferences.next(request, conference)
        facts = CallFacts(call.caller_number, call.caller_name, call.dialled, call.caller_user_id, call.call_id)
        outcome = outcome_of(request.outcome)
        heard = await self._listens(call.tenant_id, facts, request.cursor, outcome)
        if heard is not None:
            return _response(heard.step, heard.cursor.to_bytes(), (heard.trace,), self._configurations.of(call.tenant_id).seq)
        spoken = ""
        if isinstance(outcome, Entered):
            spoken = await self._listening.greeting_of(call.tenant_id, outcome.arguments.get("mailbox_id", ""))
        config = self._configurations.of(call.tenant_id)
        decision = dialogue.advance(facts, read_cursor(request.cursor), outcome, config, spoken)
        return _response(decision.step, write_cursor(decision.cursor), decision.trace, decision.cursor.config_seq)

    async def _listens(self, tenant: str, facts: CallFacts, raw: bytes, outcome: Outcome) -> Decision | None:
        """The step of who listens; None: the caller leaves a message."""
        if not raw and isinstance(outcome, Entered):
            return await self._listening.begin(tenant, facts, outcome.arguments)
        if (cursor := listening_application.cursor_of(raw)) is not None:
            return await self._listening.go_on(tenant, facts, cursor, outcome)
        at = read_cursor(raw)
        if at is not None and at.state is dialogue.State.GREETING and outcome == Gathered(dialogue.LISTEN_DIGIT):
            return self._listening.from_greeting(at)
        return None


def _response(step: Step, cursor: bytes, trace: Sequence[Trace], config_seq: int) -> app_pb.NextResponse:
    entries = [app_pb.TraceEntry(subject=each.subject, matched=each.matched, reason=each.reason, next=each.next) for each in trace]
    return app_pb.NextResponse(step=step_message(step), cursor=cursor, trace=entries, config_seq=config_seq)


def write_cursor(cursor: dialogue.Cursor) -> bytes:
    """The cursor as JSON."""
    fields = {
        "state": cursor.state.value,
        "mailbox_id": cursor.mailbox_id,
        "language": cursor.language,
        "config_seq": cursor.config_seq,
        "max_seconds": cursor.max_seconds,
        "silence_seconds": cursor.silence_seconds,
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def read_cursor(raw: bytes) -> dialogue.Cursor | None:
    """What `write_cursor` made; None at the beginning. Raises `InvalidArgument`."""
    if not raw:
        return None
    try:
        fields = json.loads(raw)
        return dialogue.Cursor(
            dialogue.State(fields["state"]),
            str(fields["mailbox_id"]),
            str(fields["language"]),
            int(fields["config_seq"]),
            int(fields["max_seconds"]),
            int(fields["silence_seconds"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidArgument({"cursor": "not a cursor of this application"}) from error


class MessageApi(rpc.MessageServiceServicer):
    """Reads messages and their audio."""

    def __init__(self, messages: Messages, objects: ObjectStore, letters: Letters, access: Access) -> None:
        self._messages = messages
        self._objects = objects
        self._letters = letters
        self._access = access

    async def ListMessages(self, request: pb.ListMessagesRequest, context: Any) -> pb.ListMessagesResponse:
        """One page, newest first."""
        among = self._access.mailboxes()
        size, after, box = page_size(request.page_size), _position(request), _mailbox(request)
        found = await self._messages.list(current_tenant(), box, after, size + 1, among=among, deleted=request.show_deleted)
        response = pb.ListMessagesResponse(messages=[message_proto(message) for message in found[:size]])
        if len(found) > size:
            last = found[size - 1]
            token = {"at": last.received_at.isoformat(), "id": str(last.message_id), "mailbox": request.mailbox_id}
            response.next_page_token = encode_token(token)
        return response

    async def GetMessage(self, request: pb.GetMessageRequest, context: Any) -> pb.GetMessageResponse:
        """One message."""
        return pb.GetMessageResponse(message=message_proto(await self._get(request.message_id, self._access.mailboxes())))

    async def FetchMessageAudio(self, request: pb.FetchMessageAudioRequest, context: Any) -> AsyncIterator[pb.FetchMessageAudioResponse]:
        """The WAV file in chunks."""
        message = await self._get(request.message_id, self._access.mailboxes())
        try:
            audio = await self._objects.get(message.object)
        except ObjectNotFound as error:
            raise NotFound(f"messages/{request.message_id}/audio") from error
        except OSError as error:
            raise Unavailable("the audio cannot be had now") from error
        for start in range(0, len(audio), CHUNK_BYTES):
            yield pb.FetchMessageAudioResponse(chunk=audio[start : start + CHUNK_BYTES])

    async def MarkMessage(self, request: pb.MarkMessageRequest, context: Any) -> pb.MarkMessageResponse:
        """Not of one that is deleted."""
        among = self._access.mailboxes("write")
        mark = _MARKS.get(request.state)
        if mark is None:
            raise InvalidArgument({"state": "must be new, heard or saved"})
        if (await self._get(request.message_id, among)).state is MessageState.DELETED:
            raise FailedPrecondition([("DELETED", f"messages/{request.message_id}", "is deleted: undelete it first")])
        return pb.MarkMessageResponse(message=await self._mark(request.message_id, mark))

    async def DeleteMessage(self, request: pb.DeleteMessageRequest, context: Any) -> pb.DeleteMessageResponse:
        """It can be taken back for some days."""
        await self._get(request.message_id, self._access.mailboxes("write"))
        return pb.DeleteMessageResponse(message=await self._mark(request.message_id, MessageState.DELETED))

    async def UndeleteMessage(self, request: pb.UndeleteMessageRequest, context: Any) -> pb.UndeleteMessageResponse:
        """One that is there stays as it is."""
        message = await self._get(request.message_id, self._access.mailboxes("write"))
        if message.state is not MessageState.DELETED:
            return pb.UndeleteMessageResponse(message=message_proto(message))
        return pb.UndeleteMessageResponse(message=await self._mark(request.message_id, MessageState.HEARD))

    async def ExportLetters(self, request: pb.ExportLettersRequest, context: Any) -> AsyncIterator[pb.ExportLettersResponse]:
        """Of the caller's tenant alone, whatever the address."""
        self._access.mailboxes()
        if not 3 <= len(request.address) <= _LONGEST_ADDRESS or "\0" in request.address:
            raise InvalidArgument({"address": f"must be an e-mail address of at most {_LONGEST_ADDRESS} characters"})
        async for each in self._letters(current_tenant(), request.address):
            state = "delivered" if each.delivered else "waiting"
            letter = pb.Letter(letter_id=str(each.letter_id), state=state, to=each.to, subject=each.subject, content=each.content)
            yield pb.ExportLettersResponse(letter=letter)

    async def _get(self, message_id: str, among: Mapping[str, str] | None) -> Message:
        message = await self._messages.get(current_tenant(), _uuid(message_id), among)
        if message is None:
            raise NotFound(f"messages/{message_id}")
        return message

    async def _mark(self, message_id: str, state: MessageState) -> pb.Message:
        message = await self._messages.mark(current_tenant(), _uuid(message_id), state)
        if message is None:
            raise NotFound(f"messages/{message_id}")
        return message_proto(message)


def _uuid(message_id: str) -> UUID:
    try:
        return UUID(message_id)
    except ValueError as error:
        raise InvalidArgument({"message_id": "must be a UUID"}) from error


def message_proto(message: Message) -> pb.Message:
    """The message as its proto; a mail that is just being sent is pending to the outside."""
    received_at = Timestamp()
    received_at.FromDatetime(message.received_at.astimezone(UTC).replace(tzinfo=None))
    return pb.Message(
        message_id=str(message.message_id),
        mailbox_id=message.mailbox_id,
        call_id=message.call_id,
        caller_number=message.caller_number,
        caller_name=message.caller_name,
        received_at=received_at,
        duration_ms=message.duration_ms,
        email_state=(MailState.PENDING if message.mail_state is MailState.SENDING else message.mail_state).value,
        object=message.object,
        state=_STATES[message.state],
    )


def _mailbox(request: pb.ListMessagesRequest) -> str | None:
    if len(request.mailbox_id) > 64 or not request.mailbox_id.isprintable():
        raise InvalidArgument({"mailbox_id": "not a mailbox's id"})
    return request.mailbox_id or None


def _position(request: pb.ListMessagesRequest) -> tuple[datetime, UUID] | None:
    token = decode_token(request.page_token)
    if not token:
        return None
    if token.get("mailbox") != request.mailbox_id:
        raise InvalidArgument({"page_token": "made for a list of another mailbox"})
    try:
        at = datetime.fromisoformat(token["at"])
        return at if at.tzinfo else at.replace(tzinfo=UTC), UUID(token["id"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidArgument({"page_token": "not a token of this list"}) from error
