"""`carillon messages`: what is in the mailboxes; the audio of one message as a WAV file, what became of it, its deletion."""

import argparse
import asyncio
import json
from pathlib import Path

from carillon.voicemail.v1 import voicemail_pb2, voicemail_pb2_grpc
from carillon_cli.errors import CliError
from carillon_cli.render.tables import message_json, messages_table
from carillon_cli.system import RPC_SECONDS, System, ask, load, pages, system_arguments

PAGE = 200
MARKS = ("new", "heard", "saved")
#: The longest message (600 s of G.711) and its header are far below this.
MAX_AUDIO = 64 * 1024 * 1024


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon messages`."""
    parser.add_argument("mailbox", nargs="?", default="", help="default: all of the tenant")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--save", nargs=2, metavar=("MESSAGE_ID", "FILE"), help="save the audio of a message as a WAV file")
    parser.add_argument("--mark", nargs=2, metavar=("MESSAGE_ID", "STATE"), help=f"what became of a message: {', '.join(MARKS)}")
    parser.add_argument("--delete", metavar="MESSAGE_ID", help="delete a message; it can be taken back for some days")
    parser.add_argument("--undelete", metavar="MESSAGE_ID", help="take a deleted message back")
    parser.add_argument("--deleted", action="store_true", help="list those too that are deleted and can be taken back")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """List messages, or save one."""
    system = load(options.data)
    tenant = system.tenant(options.tenant)
    if options.save:
        message_id, path = options.save
        audio = asyncio.run(fetch_audio(system, tenant, message_id))
        try:
            Path(path).write_bytes(audio)
        except OSError as error:
            raise CliError(f"{path} cannot be written: {error}") from error
        print(f"{path}: {len(audio)} bytes")
        return 0
    if options.mark or options.delete or options.undelete:
        print("\n".join(messages_table([asyncio.run(change(system, tenant, options))])))
        return 0
    messages = asyncio.run(list_messages(system, tenant, options.mailbox, deleted=options.deleted))
    lines = [json.dumps(message_json(found), ensure_ascii=False) for found in messages] if options.json else messages_table(messages)
    if lines:
        print("\n".join(lines))
    return 0


async def change(system: System, tenant: str, options: argparse.Namespace) -> voicemail_pb2.Message:
    """Mark, delete or undelete a message. Raises `CliError`."""
    async with system.channel("voicemail", tenant) as voicemail:
        service = voicemail_pb2_grpc.MessageServiceStub(voicemail)
        if options.delete:
            deleting = voicemail_pb2.DeleteMessageRequest(message_id=options.delete)
            return (await ask(service.DeleteMessage(deleting, timeout=RPC_SECONDS), "voicemail")).message
        if options.undelete:
            undeleting = voicemail_pb2.UndeleteMessageRequest(message_id=options.undelete)
            return (await ask(service.UndeleteMessage(undeleting, timeout=RPC_SECONDS), "voicemail")).message
        message_id, mark = options.mark
        if mark not in MARKS:
            raise CliError(f"{mark!r} is none of {', '.join(MARKS)}")
        state = voicemail_pb2.MessageState.Value(f"MESSAGE_STATE_{mark.upper()}")
        marking = voicemail_pb2.MarkMessageRequest(message_id=message_id, state=state)
        return (await ask(service.MarkMessage(marking, timeout=RPC_SECONDS), "voicemail")).message


async def list_messages(system: System, tenant: str, mailbox: str, *, deleted: bool = False) -> list[voicemail_pb2.Message]:
    """All messages of a mailbox, or of the tenant, newest first."""
    request = voicemail_pb2.ListMessagesRequest(mailbox_id=mailbox, page_size=PAGE, show_deleted=deleted)
    async with system.channel("voicemail", tenant) as voicemail:
        service = voicemail_pb2_grpc.MessageServiceStub(voicemail)
        return [each async for page in pages(service.ListMessages, request, "voicemail") for each in page.messages]


async def fetch_audio(system: System, tenant: str, message_id: str) -> bytes:
    """The WAV file of a message. Raises `CliError` when it is larger than any message can be."""
    audio = bytearray()
    async with system.channel("voicemail", tenant) as voicemail:
        service = voicemail_pb2_grpc.MessageServiceStub(voicemail)
        stream = service.FetchMessageAudio(voicemail_pb2.FetchMessageAudioRequest(message_id=message_id), timeout=RPC_SECONDS)

        async def take() -> None:
            async for part in stream:
                audio.extend(part.chunk)
                if len(audio) > MAX_AUDIO:
                    raise CliError(f"message {message_id} is larger than {MAX_AUDIO} bytes")

        await ask(take(), "voicemail")
    return bytes(audio)
