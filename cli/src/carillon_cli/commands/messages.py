"""`carillon messages`: what is in the mailboxes; with `--save` the audio of one message as a WAV file."""

import argparse
import asyncio
import json
from pathlib import Path

from carillon.voicemail.v1 import voicemail_pb2, voicemail_pb2_grpc
from carillon_cli.errors import CliError
from carillon_cli.render.tables import message_json, messages_table
from carillon_cli.system import RPC_SECONDS, System, ask, load, pages, system_arguments

PAGE = 200
#: The longest message (600 s of G.711) and its header are far below this.
MAX_AUDIO = 64 * 1024 * 1024


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon messages`."""
    parser.add_argument("mailbox", nargs="?", default="", help="default: all of the tenant")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--save", nargs=2, metavar=("MESSAGE_ID", "FILE"), help="save the audio of a message as a WAV file")
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
    messages = asyncio.run(list_messages(system, tenant, options.mailbox))
    lines = [json.dumps(message_json(found), ensure_ascii=False) for found in messages] if options.json else messages_table(messages)
    if lines:
        print("\n".join(lines))
    return 0


async def list_messages(system: System, tenant: str, mailbox: str) -> list[voicemail_pb2.Message]:
    """All messages of a mailbox, or of the tenant, newest first."""
    request = voicemail_pb2.ListMessagesRequest(mailbox_id=mailbox, page_size=PAGE)
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
