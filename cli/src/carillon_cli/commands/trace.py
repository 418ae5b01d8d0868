"""`carillon trace NUMBER ...`: calls from or to these numbers, told as they happen; what is told is also kept with each call."""

import argparse
import asyncio
from typing import Any

import grpc.aio

from carillon.routing.v1 import explain_pb2 as pb
from carillon.routing.v1.explain_pb2_grpc import ExplainServiceStub
from carillon_cli.system import System, load, readable, system_arguments
from carillon_contracts.languages import LANGUAGES

#: More than the time asked for.
SPARE_SECONDS = 30


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon trace`."""
    parser.add_argument("numbers", nargs="+", metavar="NUMBER", help="a number or an extension, calling or called")
    parser.add_argument("--for", dest="seconds", type=int, default=600, metavar="SECONDS", help="how long, at most 3600 (default: 600)")
    parser.add_argument("--language", choices=LANGUAGES, default="", help="default: the tenant's")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print what happens until the time is over."""
    system = load(options.data)
    return asyncio.run(_run(system, system.tenant(options.tenant), options))


async def _run(system: System, tenant: str, options: argparse.Namespace) -> int:
    request = pb.WatchNumbersRequest(numbers=options.numbers, language=options.language, seconds=options.seconds)
    async with system.channel("routing", tenant) as routing:
        service: Any = ExplainServiceStub(routing)
        try:
            async for told in service.WatchNumbers(request, timeout=options.seconds + SPARE_SECONDS):
                print("\n".join(lines(told)), flush=True)
        except grpc.aio.AioRpcError as error:
            raise readable(error, "routing") from error
    return 0


def lines(told: pb.WatchNumbersResponse) -> list[str]:
    """A line of who it is about, and the words."""
    if told.HasField("until"):
        return [f"watching until {told.until.ToDatetime():%H:%M:%S} UTC"]
    left_out = f" ({told.left_out} calls left out)" if told.left_out else ""
    return [f"{told.part.at.ToDatetime():%H:%M:%S} {told.call_id}{left_out}", *(f"  {line}" for line in told.text.splitlines())]
