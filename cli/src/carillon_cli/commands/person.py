"""`carillon person export USER FILE`: everything that is known of a person, as one ZIP file: configuration and its history, calls with
their recordings, messages, e-mails that are still here. `carillon person erase USER`: take a person out of all that is kept, and tell what
each service did.

Always: a file that is there was written whole; an erasure goes on whether or not somebody waits for it.
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
from carillon.voicemail.v1 import voicemail_pb2, voicemail_pb2_grpc
from carillon_cli.commands import recordings
from carillon_cli.commands.messages import fetch_audio, list_messages
from carillon_cli.commands.records import PAGE, records
from carillon_cli.errors import CliError
from carillon_cli.render.tables import record_json
from carillon_cli.system import APPLY_SECONDS, RPC_SECONDS, System, ask, load, system_arguments

#: Between two questions how far an erasure is.
_LOOK_SECONDS = 0.5


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon person`."""
    parser.add_argument("verb", choices=("export", "erase"), help="export USER FILE: write all that is known; erase USER: for good")
    parser.add_argument("user", metavar="USER")
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help="export: where the ZIP file goes")
    parser.add_argument("--keep-recordings", action="store_true", help="erase: recordings stay until their retention ends")
    parser.add_argument("--dry-run", action="store_true", help="erase: say what would change, and change nothing")
    parser.add_argument("--reason", default="", help="erase: why, kept in the history")
    parser.add_argument("--wait", type=float, default=120.0, metavar="SECONDS", help="erase: how long to wait until all is done")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Do it and say what there was."""
    if (options.verb == "export") != (options.file is not None):
        raise CliError("export takes USER and FILE, erase takes USER alone")
    system = load(options.data)
    tenant = system.tenant(options.tenant)
    if options.verb == "erase":
        return asyncio.run(_erase(system, tenant, options))
    _write(options.file, asyncio.run(gathered(system, tenant, options.user)))
    return 0


def _write(file: Path, entries: dict[str, bytes]) -> None:
    part = file.with_name(file.name + ".part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        part.replace(file)
    except OSError as error:
        raise CliError(f"{file} cannot be written: {error.strerror}") from error
    print("\n".join(f"{len(content):>9}  {name}" for name, content in entries.items()))


async def _erase(system: System, tenant: str, options: argparse.Namespace) -> int:
    kept = pb.ERASED_RECORDINGS_KEEP if options.keep_recordings else pb.ERASED_RECORDINGS_DELETE
    request = pb.ErasePersonRequest(user_id=options.user, recordings=kept, reason=options.reason, dry_run=options.dry_run)
    async with system.channel("directory", tenant) as directory:
        service = PersonServiceStub(directory)
        begun = await ask(service.ErasePerson(request, timeout=APPLY_SECONDS), "directory")
        for change in begun.changes:
            print(f"{change.resource}/{change.resource_id} {change.fact}")
        print("\n".join(f"stays: {remark}" for remark in begun.remarks) or "no word stays")
        if options.dry_run:
            return 0
        print(f"erasure {begun.erasure_id}: {options.user} is {begun.pseudonym} from now on")
        return await _watch(service, begun.erasure_id, options.wait)


async def _watch(service: Any, erasure_id: str, seconds: float) -> int:
    """0: done; 1: it goes on."""
    request, said = pb.GetErasureRequest(erasure_id=erasure_id), ""
    try:
        async with asyncio.timeout(seconds):
            while True:
                erasure = (await ask(service.GetErasure(request, timeout=RPC_SECONDS), "directory")).erasure
                if erasure.HasField("done_time"):
                    break
                if erasure.waits_for not in ("", said):
                    said = erasure.waits_for
                    print(f"waits for {said}")
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        print("not done yet; it goes on")
        return 1
    for each in erasure.services:
        counts = ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in sorted(each.counts.items()) if number)
        print(f"{each.service}: {counts or 'nothing'}")
    print("done")
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
    entries["messages.json"] = _json(messages)
    letters = {file_of(letter): letter for address in _addresses(resources) for letter in await _letters(system, tenant, address)}
    entries |= {name: letter.content for name, letter in letters.items()}
    entries["letters.json"] = _json([{**_plain(letter), "content": name} for name, letter in letters.items()])
    recorded = await recordings.list_recordings(system, tenant, user_id=user)
    for each in recorded:
        entries[f"recordings/{each.recording_id}.{each.labels.get('format', 'wav')}"] = await recordings.fetch(
            system, tenant, each.recording_id
        )
    return entries | {"recordings.json": _json([recordings.as_json(each) for each in recorded])}


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


def _addresses(resources: list[pb.PersonalResource]) -> list[str]:
    """E-mail addresses of the person and of their boxes."""
    documents = [_plain(each.document) for each in resources if each.kind in ("user", "mailbox")]
    found = [address for each in documents for address in (each.get("email", ""), *each.get("emails", ()))]
    return sorted({address.lower() for address in found if address})


async def _letters(system: System, tenant: str, address: str) -> list[voicemail_pb2.Letter]:
    """E-mails to an address that are still here."""
    async with system.channel("voicemail", tenant) as voicemail:
        service = voicemail_pb2_grpc.MessageServiceStub(voicemail)
        stream = service.ExportLetters(voicemail_pb2.ExportLettersRequest(address=address), timeout=APPLY_SECONDS)

        async def take() -> list[voicemail_pb2.Letter]:
            return [part.letter async for part in stream]

        return await ask(take(), "voicemail")


def file_of(letter: voicemail_pb2.Letter) -> str:
    """Where one goes: what was sent is there as it was sent, of what waits there is only the text."""
    return f"letters/{letter.letter_id}.{'eml' if letter.state == 'delivered' else 'txt'}"


def _plain(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode()
