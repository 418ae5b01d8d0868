"""`carillon originate USER DESTINATION`: the user's phones ring, then the destination is called as that user."""

import argparse
import asyncio

from carillon.media.v1 import call_control_pb2, call_control_pb2_grpc
from carillon_cli.system import RPC_SECONDS, System, ask, load, system_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon originate`."""
    parser.add_argument("user", metavar="USER", help="the user for whom the call is made, by id")
    parser.add_argument("destination", metavar="DESTINATION", help="extension or number, as the user would dial it")
    parser.add_argument("--ring", type=int, default=0, metavar="SECONDS", help="how long the user's phones ring (default: 30)")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Make the call and print its id."""
    system = load(options.data)
    print(asyncio.run(originate(system, system.tenant(options.tenant), options.user, options.destination, options.ring)))
    return 0


async def originate(system: System, tenant: str, user: str, destination: str, ring_seconds: int) -> str:
    """Id of the call that begins."""
    async with system.channel("media", tenant) as media:
        service = call_control_pb2_grpc.CallControlServiceStub(media)
        request = call_control_pb2.OriginateCallRequest(user_id=user, destination=destination, ring_seconds=ring_seconds)
        answer = await ask(service.OriginateCall(request, timeout=RPC_SECONDS), "media")
        return answer.call_id
