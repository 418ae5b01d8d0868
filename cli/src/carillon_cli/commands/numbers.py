"""`carillon numbers`: where a number's calls go, with its short numbers."""

import argparse
import asyncio

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.number_pb2_grpc import NumberServiceStub
from carillon_cli.errors import CliError
from carillon_cli.system import RPC_SECONDS, System, ask, load, system_arguments

#: As people say it -> field of a destination.
_FIELDS = {field.name.removesuffix("_id"): field.name for field in pb.Destination.DESCRIPTOR.fields if field.name.endswith("_id")}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon numbers`."""
    parser.add_argument("verb", choices=("assign", "free"))
    parser.add_argument("number", metavar="NUMBER", help="+41215550190")
    parser.add_argument("kind", nargs="?", choices=sorted(_FIELDS), metavar="KIND", help=f"assign: {', '.join(sorted(_FIELDS))}")
    parser.add_argument("id", nargs="?", metavar="ID", help="assign: of what gets the number's calls")
    parser.add_argument("--reason", default="", help="why, kept in the history")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Do it and say what can be dialled now."""
    if options.verb == "assign" and not options.id:
        raise CliError("assign to what?", "For example: carillon numbers assign +41215550190 user alain")
    system = load(options.data)
    print("\n".join(asyncio.run(_run(system, system.tenant(options.tenant), options))))
    return 0


async def _run(system: System, tenant: str, options: argparse.Namespace) -> list[str]:
    async with system.channel("directory", tenant) as directory:
        numbers = NumberServiceStub(directory)
        if options.verb == "free":
            freeing = pb.FreeNumberRequest(id=options.number, reason=options.reason)
            await ask(numbers.FreeNumber(freeing, timeout=RPC_SECONDS), "directory")
            return [f"{options.number} is free"]
        destination = pb.Destination(**{_FIELDS[options.kind]: options.id})
        assigning = pb.AssignNumberRequest(id=options.number, destination=destination, reason=options.reason)
        return told(options, await ask(numbers.AssignNumber(assigning, timeout=RPC_SECONDS), "directory"))


def told(options: argparse.Namespace, answer: pb.AssignNumberResponse) -> list[str]:
    """What became of it, and of the short numbers."""
    short = f", inside also by {' and '.join(answer.short_numbers)}" if answer.short_numbers else ""
    clashes = [f"{clash.digits}: {clash.reason}" for clash in answer.clashes]
    return [f"{options.number} goes to {options.kind} {options.id}{short}", *clashes]
