"""`carillon registrations`: phones that are registered, where, since when, and who watches their lines."""

import argparse
import asyncio
import json

from carillon.media.v1 import media_pb2, media_pb2_grpc
from carillon_cli.render.tables import message_json, registrations_table
from carillon_cli.system import RPC_SECONDS, System, ask, load, system_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon registrations`."""
    parser.add_argument("--user", default="", metavar="ID", help="only the phones of this user")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print the tenant's registrations."""
    system = load(options.data)
    found = asyncio.run(registrations(system, system.tenant(options.tenant), options.user))
    lines = [json.dumps(message_json(one), ensure_ascii=False) for one in found] if options.json else registrations_table(found)
    if lines:
        print("\n".join(lines))
    return 0


async def registrations(system: System, tenant: str, user_id: str) -> list[media_pb2.Registration]:
    """By user and contact."""
    async with system.channel("media", tenant) as media:
        service = media_pb2_grpc.RegistrationServiceStub(media)
        request = media_pb2.ListRegistrationsRequest(user_id=user_id)
        return list((await ask(service.ListRegistrations(request, timeout=RPC_SECONDS), "media")).registrations)
