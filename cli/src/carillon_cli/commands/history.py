"""`carillon history`: who changed what, and why."""

import argparse
import asyncio
import json

from google.protobuf.json_format import MessageToDict

from carillon.directory.v1 import history_pb2, history_pb2_grpc
from carillon_cli.errors import CliError
from carillon_cli.render.tables import iso, table
from carillon_cli.system import RPC_SECONDS, System, ask, load, system_arguments

_PAGE = 500


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon history`."""
    parser.add_argument("resource", nargs="?", default="", metavar="KIND", help="only of a kind: `user`, `number`, ...")
    parser.add_argument("id", nargs="?", default="", metavar="ID", help="only of that one")
    parser.add_argument("--last", type=int, default=50, metavar="N", help="how many changes (default: 50)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, with the resources before and after")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print the changes, newest first."""
    if options.last < 1:
        raise CliError("--last must be at least 1")
    system = load(options.data)
    changes = asyncio.run(listed(system, system.tenant(options.tenant), options.resource, options.id, options.last))
    for line in [json.dumps(MessageToDict(each, preserving_proto_field_name=True)) for each in changes] if options.json else told(changes):
        print(line)
    return 0


async def listed(system: System, tenant: str, resource: str, resource_id: str, most: int) -> list[history_pb2.Change]:
    """At most `most` changes, page by page."""
    found: list[history_pb2.Change] = []
    token = ""
    async with system.channel("directory", tenant) as directory:
        service = history_pb2_grpc.HistoryServiceStub(directory)
        while len(found) < most:
            request = history_pb2.ListChangesRequest(
                resource=resource, resource_id=resource_id, page_size=min(_PAGE, most - len(found)), page_token=token
            )
            answer = await ask(service.ListChanges(request, timeout=RPC_SECONDS), "directory")
            found += answer.changes
            token = answer.next_page_token
            if not token:
                break
    return found


def told(changes: list[history_pb2.Change]) -> list[str]:
    """A line a change."""
    rows = [
        (each.config_seq, iso(each.time)[:19], each.actor, each.fact, f"{each.resource} {each.resource_id}", each.reason)
        for each in changes
    ]
    return table(("version", "time (UTC)", "who", "did", "what", "why"), rows)
