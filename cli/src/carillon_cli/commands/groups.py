"""`carillon groups`: who is logged in at the hunt groups, now; members log in and out."""

import argparse
import asyncio

from carillon.routing.v1 import hunt_groups_pb2 as pb
from carillon.routing.v1.hunt_groups_pb2_grpc import HuntGroupControlServiceStub
from carillon_cli.render.tables import table
from carillon_cli.system import RPC_SECONDS, ask, load, system_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon groups`."""
    parser.add_argument("verb", nargs="?", choices=("show", "login", "logout"), default="show", help="default: show")
    parser.add_argument("users", nargs="*", metavar="USER", help="the members that it is about")
    parser.add_argument("--group", default="", help="only this hunt group; default: all, to log in every one that the member is of")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Do it and show the state."""
    asyncio.run(_run(options))
    return 0


async def _run(options: argparse.Namespace) -> None:
    system = load(options.data)
    async with system.channel("routing", system.tenant(options.tenant)) as routing:
        service = HuntGroupControlServiceStub(routing)
        for user in options.users:
            if options.verb == "login":
                log_in = pb.LogInMemberRequest(user_id=user, hunt_group_id=options.group)
                await ask(service.LogInMember(log_in, timeout=RPC_SECONDS), "routing")
            elif options.verb == "logout":
                log_out = pb.LogOutMemberRequest(user_id=user, hunt_group_id=options.group)
                await ask(service.LogOutMember(log_out, timeout=RPC_SECONDS), "routing")
        shown = service.GetHuntGroups(pb.GetHuntGroupsRequest(hunt_group_id=options.group), timeout=RPC_SECONDS)
        print("\n".join(rows(await ask(shown, "routing"))))


def rows(state: pb.GetHuntGroupsResponse) -> list[str]:
    """A table of members."""
    found = [
        (
            group.hunt_group_id,
            member.user_id,
            "always" if member.permanent else "in" if member.logged_in else "out",
            f"{member.changed_at.ToDatetime():%Y-%m-%d %H:%M:%S}" if member.HasField("changed_at") else "",
        )
        for group in state.hunt_groups
        for member in group.members
    ]
    return table(("group", "user", "logged in", "since (UTC)"), found)
