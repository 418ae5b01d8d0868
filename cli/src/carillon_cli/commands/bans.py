"""`carillon bans`: who is kept out after an attack, and letting them in again."""

import argparse
import asyncio
import ipaddress
import json

from carillon.media.v1 import security_pb2, security_pb2_grpc
from carillon_cli.errors import CliError
from carillon_cli.render.tables import bans_table, message_json
from carillon_cli.system import RPC_SECONDS, System, ask, load, system_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon bans`."""
    parser.add_argument("--lift", metavar="ADDRESS|ACCOUNT", help="let this one in again, and forget what it did")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    system_arguments(parser, tenant=False)


def run(options: argparse.Namespace) -> int:
    """List, or lift one."""
    system = load(options.data)
    if options.lift is None:
        bans = asyncio.run(listed(system))
        lines = [json.dumps(message_json(ban)) for ban in bans] if options.json else bans_table(bans)
        if lines:
            print("\n".join(lines))
    else:
        asyncio.run(lift(system, wanted(options.lift)))
        print(f"{options.lift} is let in again")
    return 0


def wanted(name: str) -> security_pb2.LiftBanRequest:
    """An address or network if it reads like one, else an account. Raises `CliError` when empty."""
    if not name:
        raise CliError("nothing to lift", "`carillon bans` lists what there is.")
    try:
        ipaddress.ip_network(name, strict=False)
    except ValueError:
        return security_pb2.LiftBanRequest(account=name)
    return security_pb2.LiftBanRequest(source=name)


async def listed(system: System) -> list[security_pb2.Ban]:
    """Addresses, then accounts."""
    async with system.channel("media") as media:
        service = security_pb2_grpc.SecurityServiceStub(media)
        answer = await ask(service.ListBans(security_pb2.ListBansRequest(), timeout=RPC_SECONDS), "media")
        return list(answer.bans)


async def lift(system: System, request: security_pb2.LiftBanRequest) -> None:
    """Raises `CliError` when there is no such ban."""
    async with system.channel("media") as media:
        await ask(security_pb2_grpc.SecurityServiceStub(media).LiftBan(request, timeout=RPC_SECONDS), "media")
