"""`carillon numbers`: where a number's calls go, with its short numbers; which numbers of a block are free."""

import argparse
import asyncio

import grpc.aio

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.number_block_pb2_grpc import NumberBlockServiceStub
from carillon.directory.v1.number_pb2_grpc import NumberServiceStub
from carillon_cli.errors import CliError
from carillon_cli.system import RPC_SECONDS, System, ask, load, pages, system_arguments

_PAGE = 1000
#: As people say it -> field of a destination.
_FIELDS = {field.name.removesuffix("_id"): field.name for field in pb.Destination.DESCRIPTOR.fields if field.name.endswith("_id")}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon numbers`."""
    parser.add_argument("verb", choices=("assign", "free", "block"), help="block: list a block's numbers")
    parser.add_argument("number", metavar="NUMBER", help="+41215550190; of block: its id")
    parser.add_argument("kind", nargs="?", choices=sorted(_FIELDS), metavar="KIND", help=f"assign: {', '.join(sorted(_FIELDS))}")
    parser.add_argument("id", nargs="?", metavar="ID", help="assign: of what gets the number's calls")
    parser.add_argument("--state", choices=("free", "used"), help="block: only those")
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
        if options.verb == "block":
            return await block_lines(directory, options)
        numbers = NumberServiceStub(directory)
        if options.verb == "free":
            freeing = pb.FreeNumberRequest(id=options.number, reason=options.reason)
            await ask(numbers.FreeNumber(freeing, timeout=RPC_SECONDS), "directory")
            return [f"{options.number} is free"]
        destination = pb.Destination(**{_FIELDS[options.kind]: options.id})
        assigning = pb.AssignNumberRequest(id=options.number, destination=destination, reason=options.reason)
        return told(options, await ask(numbers.AssignNumber(assigning, timeout=RPC_SECONDS), "directory"))


async def block_lines(directory: grpc.aio.Channel, options: argparse.Namespace) -> list[str]:
    """A line a number: whether it is free, else where it leads."""
    state = pb.BlockNumberState.Value(f"BLOCK_NUMBER_STATE_{(options.state or 'unspecified').upper()}")
    request = pb.ListBlockNumbersRequest(id=options.number, state=state, page_size=_PAGE)
    answers = pages(NumberBlockServiceStub(directory).ListBlockNumbers, request, "directory")
    return [f"{each.id}  {_leads(each)}".rstrip() async for answer in answers for each in answer.numbers] or ["none"]


def _leads(number: pb.BlockNumber) -> str:
    """`user alain`, `free`, ..."""
    if not number.used:
        return "free"
    if number.number.number_group_id:
        return f"number_group {number.number.number_group_id}"
    return " ".join(f"{field.name.removesuffix('_id')} {value}" for field, value in number.number.destination.ListFields()) or "used"


def told(options: argparse.Namespace, answer: pb.AssignNumberResponse) -> list[str]:
    """What became of it, and of the short numbers."""
    short = f", inside also by {' and '.join(answer.short_numbers)}" if answer.short_numbers else ""
    clashes = [f"{clash.digits}: {clash.reason}" for clash in answer.clashes]
    return [f"{options.number} goes to {options.kind} {options.id}{short}", *clashes]
