"""`carillon plane`: what the media plane does, and whether it has room for more."""

import argparse
import asyncio
import json

from carillon.media.v1 import node_pb2, node_pb2_grpc
from carillon_cli.render.plane import plane_lines
from carillon_cli.render.tables import message_json
from carillon_cli.system import RPC_SECONDS, System, ask, load, system_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon plane`."""
    parser.add_argument("--json", action="store_true", help="one JSON object")
    system_arguments(parser, tenant=False)


def run(options: argparse.Namespace) -> int:
    """Show it."""
    told = asyncio.run(asked(load(options.data)))
    print(json.dumps(message_json(told)) if options.json else "\n".join(plane_lines(told)))
    return 0


async def asked(system: System) -> node_pb2.GetMediaPlaneResponse:
    """Raises `CliError` while no media plane serves."""
    async with system.channel("media") as media:
        return await ask(node_pb2_grpc.NodeServiceStub(media).GetMediaPlane(node_pb2.GetMediaPlaneRequest(), timeout=RPC_SECONDS), "media")
