"""`carillon trunks`: registrations with carriers, and which of their servers answer."""

import argparse
import asyncio
import json

from carillon.media.v1 import media_pb2, media_pb2_grpc
from carillon_cli.render.tables import message_json, trunks_table
from carillon_cli.system import RPC_SECONDS, System, ask, load, system_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon trunks`."""
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print the tenant's trunks as media sees them."""
    system = load(options.data)
    trunks = asyncio.run(trunk_states(system, system.tenant(options.tenant)))
    lines = [json.dumps(message_json(trunk), ensure_ascii=False) for trunk in trunks] if options.json else trunks_table(trunks)
    if lines:
        print("\n".join(lines))
    return 0


async def trunk_states(system: System, tenant: str) -> list[media_pb2.TrunkState]:
    """By id."""
    async with system.channel("media", tenant) as media:
        service = media_pb2_grpc.TrunkStateServiceStub(media)
        answer = await ask(service.ListTrunkStates(media_pb2.ListTrunkStatesRequest(), timeout=RPC_SECONDS), "media")
        return list(answer.trunks)
