"""`carillon search`: things by what people know of them."""

import argparse
import asyncio
import json
from collections.abc import Iterable

from carillon.directory.v1 import search_pb2, search_pb2_grpc
from carillon_cli.render.tables import message_json, table
from carillon_cli.system import RPC_SECONDS, System, ask, load, system_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon search`."""
    parser.add_argument("words", nargs="+", metavar="WORD", help="a name, a number, a MAC, an address, or the beginning of one")
    parser.add_argument("--kind", action="append", default=[], metavar="KIND", help="only users, numbers, ...: `user`, `number`, ...")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print what is found; exit code 1 when nothing is."""
    system = load(options.data)
    request = search_pb2.SearchRequest(query=" ".join(options.words), kinds=options.kind, page_size=100)
    answer = asyncio.run(searched(system, system.tenant(options.tenant), request))
    lines = [json.dumps(message_json(each)) for each in answer.results] if options.json else found_table(answer.results)
    if lines:
        print("\n".join(lines))
    if answer.more and not options.json:
        print("... and more; say more words")
    return 0 if lines else 1


async def searched(system: System, tenant: str, request: search_pb2.SearchRequest) -> search_pb2.SearchResponse:
    """The answer of the directory."""
    async with system.channel("directory", tenant) as directory:
        return await ask(search_pb2_grpc.SearchServiceStub(directory).Search(request, timeout=RPC_SECONDS), "directory")


def found_table(results: Iterable[search_pb2.SearchResult]) -> list[str]:
    """A line a resource."""
    rows = [(each.kind, each.id, each.display_name, f"{each.field}: {each.value}") for each in results]
    return table(("what", "id", "name", "found by"), rows) if rows else []
