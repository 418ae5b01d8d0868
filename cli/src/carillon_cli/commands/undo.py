"""`carillon undo`: make what a change touched what it was before."""

import argparse
import asyncio

from carillon.directory.v1 import history_pb2, history_pb2_grpc
from carillon_cli.commands.apply import changes_told
from carillon_cli.system import APPLY_SECONDS, System, ask, load, system_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon undo`."""
    parser.add_argument("version", type=int, metavar="VERSION", help="the change: its version in `carillon history`")
    parser.add_argument("last", type=int, nargs="?", default=0, metavar="LAST", help="every change up to this one as well")
    parser.add_argument("--dry-run", action="store_true", help="show what would change, change nothing")
    parser.add_argument("--reason", default="", help="why, kept in the history")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Undo and print each change."""
    system = load(options.data)
    tenant = system.tenant(options.tenant)
    request = history_pb2.UndoChangeRequest(
        config_seq=options.version, last_config_seq=options.last, reason=options.reason, dry_run=options.dry_run
    )
    answer = asyncio.run(undone(system, tenant, request))
    print("\n".join(changes_told(tenant, answer.changes, answer.config_seq, dry_run=options.dry_run)))
    return 0


async def undone(system: System, tenant: str, request: history_pb2.UndoChangeRequest) -> history_pb2.UndoChangeResponse:
    """The answer of the directory."""
    async with system.channel("directory", tenant) as directory:
        return await ask(history_pb2_grpc.HistoryServiceStub(directory).UndoChange(request, timeout=APPLY_SECONDS), "directory")
