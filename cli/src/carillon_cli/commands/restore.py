"""`carillon restore`: make a tenant what it was at a moment."""

import argparse
import asyncio

from carillon.directory.v1 import history_pb2, history_pb2_grpc
from carillon_cli.commands.apply import changes_told
from carillon_cli.moments import as_of
from carillon_cli.system import APPLY_SECONDS, System, ask, load, system_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon restore`."""
    parser.add_argument("moment", metavar="MOMENT", help="a version, or a time: 2026-11-24T10:00")
    parser.add_argument("--dry-run", action="store_true", help="show what would change, change nothing")
    parser.add_argument("--reason", default="", help="why, kept in the history")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Restore and print each change."""
    system = load(options.data)
    tenant = system.tenant(options.tenant)
    request = history_pb2.RestoreTenantRequest(moment=as_of(options.moment), reason=options.reason, dry_run=options.dry_run)
    answer = asyncio.run(restored(system, tenant, request))
    print("\n".join(changes_told(tenant, answer.changes, answer.config_seq, dry_run=options.dry_run)))
    return 0


async def restored(system: System, tenant: str, request: history_pb2.RestoreTenantRequest) -> history_pb2.RestoreTenantResponse:
    """The answer of the directory."""
    async with system.channel("directory", tenant) as directory:
        return await ask(history_pb2_grpc.HistoryServiceStub(directory).RestoreTenant(request, timeout=APPLY_SECONDS), "directory")
