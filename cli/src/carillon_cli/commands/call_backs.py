"""`carillon call-backs`: who is to be called back because a colleague talked or every trunk was busy; cancels it."""

import argparse
import asyncio

from carillon.routing.v1 import call_backs_pb2 as pb
from carillon.routing.v1.call_backs_pb2_grpc import CallBackServiceStub
from carillon_cli.render.tables import table
from carillon_cli.system import RPC_SECONDS, ask, load, system_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon call-backs`."""
    parser.add_argument("verb", nargs="?", choices=("show", "cancel"), default="show", help="default: show")
    parser.add_argument("ids", nargs="*", metavar="ID", help="those that are cancelled")
    parser.add_argument("--user", default="", help="only this user's")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Do it and show what is open."""
    asyncio.run(_run(options))
    return 0


async def _run(options: argparse.Namespace) -> None:
    system = load(options.data)
    async with system.channel("routing", system.tenant(options.tenant)) as routing:
        service = CallBackServiceStub(routing)
        if options.verb == "cancel":
            for call_back_id in options.ids:
                await ask(service.CancelCallBack(pb.CancelCallBackRequest(id=call_back_id), timeout=RPC_SECONDS), "routing")
        shown = service.ListCallBacks(pb.ListCallBacksRequest(user_id=options.user), timeout=RPC_SECONDS)
        print("\n".join(rows(await ask(shown, "routing"))))


def rows(found: pb.ListCallBacksResponse) -> list[str]:
    """A table, the oldest first."""
    lines = [
        (
            each.id,
            each.user_id,
            each.number,
            each.blocked,
            f"{each.requested_at.ToDatetime():%Y-%m-%d %H:%M:%S}",
            f"{each.expires_at.ToDatetime():%H:%M:%S}",
            str(each.tries),
            each.via_call_id,
        )
        for each in found.call_backs
    ]
    return table(("id", "user", "number", "blocked", "since (UTC)", "until", "tries", "call"), lines)
