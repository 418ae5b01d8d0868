"""`carillon person USER FILE`: everything that is known of a person, as one ZIP file: configuration and its history, calls, messages.

Always: a file that is there was written whole.
"""

import argparse
import asyncio
import json
import zipfile
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from carillon.cdr.v1.cdr_pb2 import ListRecordsRequest
from carillon.directory.v1 import person_pb2 as pb
from carillon.directory.v1.person_pb2_grpc import PersonServiceStub
from carillon_cli.commands.messages import fetch_audio, list_messages
from carillon_cli.commands.records import PAGE, records
from carillon_cli.errors import CliError
from carillon_cli.render.tables import record_json
from carillon_cli.system import APPLY_SECONDS, System, ask, load, system_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon person`."""
    parser.add_argument("user", metavar="USER")
    parser.add_argument("file", type=Path, metavar="FILE", help="where the ZIP file goes")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Write it and say what is in it."""
    system = load(options.data)
    entries = asyncio.run(gathered(system, system.tenant(options.tenant), options.user))
    part = options.file.with_name(options.file.name + ".part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        part.replace(options.file)
    except OSError as error:
        raise CliError(f"{options.file} cannot be written: {error.strerror}") from error
    print("\n".join(f"{len(content):>9}  {name}" for name, content in entries.items()))
    return 0


async def gathered(system: System, tenant: str, user: str) -> dict[str, bytes]:
    """Content by name."""
    parts = await _exported(system, tenant, user)
    resources = [part.resource for part in parts if part.HasField("resource")]
    entries = {
        "configuration.json": _json([_plain(each) for each in resources]),
        "mentions.json": _json([_plain(part.mention) for part in parts if part.HasField("mention")]),
        "login.json": _json([_plain(part.login) for part in parts if part.HasField("login")]),
        "history.json": _json([_plain(part.change) for part in parts if part.HasField("change")]),
        "calls.json": _json(await _calls(system, tenant, user, resources)),
    }
    messages = []
    for mailbox in (each.id for each in resources if each.kind == "mailbox"):
        for message in await list_messages(system, tenant, mailbox):
            messages.append(_plain(message))
            entries[f"messages/{message.message_id}.wav"] = await fetch_audio(system, tenant, message.message_id)
    return entries | {"messages.json": _json(messages)}


async def _exported(system: System, tenant: str, user: str) -> list[pb.ExportPersonResponse]:
    async with system.channel("directory", tenant) as directory:
        stream = PersonServiceStub(directory).ExportPerson(pb.ExportPersonRequest(user_id=user), timeout=APPLY_SECONDS)

        async def take() -> list[pb.ExportPersonResponse]:
            return [part async for part in stream]

        return await ask(take(), "directory")


async def _calls(system: System, tenant: str, user: str, resources: list[pb.PersonalResource]) -> list[Any]:
    """Records of calls that the person, or a number of theirs, made or took, oldest first."""
    numbers = [each.id for each in resources if each.kind in ("extension", "number")]
    asked = [ListRecordsRequest(page_size=PAGE, rung_user_id=user)]
    asked += [ListRecordsRequest(page_size=PAGE, party=party) for party in (user, *numbers)]
    found = {}
    for request in asked:
        async for record in records(system, tenant, request):
            found[record.call_id] = record_json(record)
    return [found[call_id] for call_id in sorted(found)]


def _plain(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode()
