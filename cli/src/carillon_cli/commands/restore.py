"""`carillon restore`: make a tenant, or one of its resources, what it was at a moment."""

import argparse
import asyncio

from carillon.directory.v1 import history_pb2, history_pb2_grpc
from carillon_cli.commands.apply import changes_told
from carillon_cli.commands.diff import told
from carillon_cli.errors import CliError
from carillon_cli.kinds import kind_named
from carillon_cli.moments import as_of
from carillon_cli.system import APPLY_SECONDS, System, ask, load, system_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon restore`."""
    parser.add_argument("what", nargs="+", metavar="MOMENT | KIND ID", help="everything to a version or a time, or one resource (--to)")
    parser.add_argument("--to", metavar="MOMENT", help="of one resource: a version, or a time: 2026-11-24T10:00")
    parser.add_argument("--dry-run", action="store_true", help="show what would change, change nothing")
    parser.add_argument("--reason", default="", help="why, kept in the history")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Restore and print each change."""
    request = asked(options)
    system = load(options.data)
    tenant = system.tenant(options.tenant)
    if isinstance(request, history_pb2.RestoreTenantRequest):
        answer = asyncio.run(restored(system, tenant, request))
        lines = changes_told(tenant, answer.changes, answer.config_seq, dry_run=options.dry_run)
    else:
        one = asyncio.run(restored_resource(system, tenant, request))
        lines = told(one.difference) if one.HasField("difference") else [f"{request.resource} {request.resource_id} is what it was"]
    print("\n".join(lines))
    return 0


def asked(options: argparse.Namespace) -> history_pb2.RestoreTenantRequest | history_pb2.RestoreResourceRequest:
    """Raises `CliError`."""
    if len(options.what) == 1 and options.to is None:
        return history_pb2.RestoreTenantRequest(moment=as_of(options.what[0]), reason=options.reason, dry_run=options.dry_run)
    if len(options.what) != 2 or options.to is None:
        raise CliError("either a moment, or a kind and an id with --to is needed", "carillon restore user anna --to 2026-11-24T10:00")
    return history_pb2.RestoreResourceRequest(
        resource=kind_named(options.what[0], tenant=True).model.KIND,
        resource_id=options.what[1],
        moment=as_of(options.to),
        reason=options.reason,
        dry_run=options.dry_run,
    )


async def restored(system: System, tenant: str, request: history_pb2.RestoreTenantRequest) -> history_pb2.RestoreTenantResponse:
    """The answer of the directory."""
    async with system.channel("directory", tenant) as directory:
        return await ask(history_pb2_grpc.HistoryServiceStub(directory).RestoreTenant(request, timeout=APPLY_SECONDS), "directory")


async def restored_resource(
    system: System, tenant: str, request: history_pb2.RestoreResourceRequest
) -> history_pb2.RestoreResourceResponse:
    """The answer of the directory."""
    async with system.channel("directory", tenant) as directory:
        return await ask(history_pb2_grpc.HistoryServiceStub(directory).RestoreResource(request, timeout=APPLY_SECONDS), "directory")
