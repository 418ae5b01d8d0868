"""`carillon apply FILE`: make a tenant hold what a YAML file says.

Always: a file with a mistake changes nothing; applied twice, the second time changes nothing; `--dry-run` never does.
"""

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

from carillon.directory.v1 import directory_pb2, import_pb2_grpc, plan_pb2
from carillon_cli import company
from carillon_cli.errors import CliError
from carillon_cli.render.findings import found
from carillon_cli.supervisor.layout import Folders
from carillon_cli.supervisor.secrets import read_json, write_private
from carillon_cli.system import APPLY_SECONDS, System, ask, load, system_arguments

#: Resources in one message; of the largest (256 KiB) a message holds 60.
PART = 50


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon apply`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a company as YAML: tenant, users, numbers, plans, ...")
    parser.add_argument("--dry-run", action="store_true", help="show what would change and every mistake, change nothing")
    parser.add_argument("--prune", action="store_true", help="delete what the file does not name")
    parser.add_argument("--reason", default="", help="why, kept in the history")
    parser.add_argument("--keep-passwords", action="store_true", help="add new passwords to run.json, so that `carillon call` can use them")
    system_arguments(parser, tenant=False)


def text_of(file: Path) -> str:
    """Raises `CliError` when it cannot be read."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise CliError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CliError(f"{file} is not text in UTF-8 ({error.reason} at byte {error.start})") from error


def run(options: argparse.Namespace) -> int:
    """Apply and print each change."""
    _, data = company.load(text_of(options.file), str(options.file))
    request = company.request(data)
    request.dry_run, request.prune, request.reason = options.dry_run, options.prune, options.reason or f"carillon apply {options.file.name}"
    system = load(options.data)
    answer = asyncio.run(apply(system, request))
    for line in told(answer, request, dry_run=options.dry_run):
        print(line)
    for saved in answer.warnings:
        print(_about(saved))
        print("\n".join(f"  {line}" for line in found(saved.findings)))
    if options.keep_passwords and answer.new_credentials:
        kept = Folders(options.data).credentials
        write_private(kept, read_json(kept) | {each.id: each.password for each in answer.new_credentials})
    return 0


def _about(saved: plan_pb2.SavedPlanFindings) -> str:
    """Kind and id of what something odd is told of."""
    return next(f"{field.name.removesuffix('_id')} {name}" for field, name in saved.ListFields() if field.name.endswith("_id"))


async def apply(system: System, request: directory_pb2.ApplyTenantRequest) -> directory_pb2.ApplyTenantResponse:
    """Send the request, in parts. Raises `CliError` with the fields that the directory refuses."""
    whole = directory_pb2.ApplyTenantResponse()
    async with system.channel("directory", request.tenant.id) as directory:
        service = import_pb2_grpc.ImportServiceStub(directory)

        async def received() -> None:
            async for answer in service.ImportTenant(parts(request), timeout=APPLY_SECONDS):
                whole.MergeFrom(answer.applied)

        await ask(received(), "directory")
    return whole


def parts(request: directory_pb2.ApplyTenantRequest) -> Iterator[directory_pb2.ImportTenantRequest]:
    """The request in messages that are small enough; joined, they are the request."""
    first = directory_pb2.ImportTenantRequest()
    for field, value in request.ListFields():
        if not field.is_repeated:
            first.part.MergeFrom(directory_pb2.ApplyTenantRequest(**{field.name: value}))
    yield first
    for field, value in request.ListFields():
        for start in range(0, len(value) if field.is_repeated else 0, PART):
            yield directory_pb2.ImportTenantRequest(part=directory_pb2.ApplyTenantRequest(**{field.name: value[start : start + PART]}))


def told(answer: directory_pb2.ApplyTenantResponse, request: directory_pb2.ApplyTenantRequest, *, dry_run: bool) -> list[str]:
    """The outcome in lines: each change, the passwords made, the version."""
    made = [f"  password of {each.id}: {each.password}" for each in answer.new_credentials]
    return changes_told(request.tenant.id, answer.changes, answer.config_seq, made, dry_run=dry_run)


def changes_told(
    tenant: str, changes: Sequence[directory_pb2.AppliedChange], version: int, more: Sequence[str] = (), *, dry_run: bool = False
) -> list[str]:
    """A line a change, `more`, then how many there were and the version."""
    if not changes:
        return [f"{tenant} holds all of it already, configuration {version}"]
    signs = {"created": "+", "updated": "~", "deleted": "-"}
    lines = []
    for change in changes:
        fields = f" ({', '.join(change.fields)})" if change.fields else ""
        lines.append(f"{signs.get(change.fact, '?')} {change.resource} {change.resource_id}{fields}")
    verb = "would change" if dry_run else "changed"
    return [*lines, *more, f"{len(changes)} resource{'s' if len(changes) != 1 else ''} {verb}, configuration {version}"]
