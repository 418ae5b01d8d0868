"""`carillon trace NUMBER ...`: calls from or to these numbers, told as they happen; what is told is also kept with each call."""

import argparse
import asyncio
import time
from typing import Any

import grpc.aio

from carillon.routing.v1 import explain_pb2 as pb
from carillon.routing.v1.explain_pb2_grpc import ExplainServiceStub
from carillon_cli.errors import CliError
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
    system, ends = load(options.data), time.monotonic() + options.seconds
    tenant = system.tenant(options.tenant)
    while not asyncio.run(_watched(system, tenant, options, max(1, round(ends - time.monotonic())))):
        system = _with_a_new_token(system, options)
    return 0


async def _watched(system: System, tenant: str, options: argparse.Namespace, seconds: int) -> bool:
    """Whether the time is over; False: the token is, which the server tells of a watch that it ends."""
    request = pb.WatchNumbersRequest(numbers=options.numbers, language=options.language, seconds=seconds)
    async with system.channel("routing", tenant) as routing:
        service: Any = ExplainServiceStub(routing)
        try:
            async for told in service.WatchNumbers(request, timeout=seconds + SPARE_SECONDS):
                print("\n".join(lines(told)), flush=True)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                return False
            raise readable(error, "routing") from error
    return True


def _with_a_new_token(system: System, options: argparse.Namespace) -> System:
    """The system as its folder tells of it now. Raises `CliError` when that is the token that was refused."""
    again = load(options.data)
    if again.content["admin_token"] == system.content["admin_token"]:
        raise CliError("the token does not count any more", f"Put a new one into {options.data / 'run.json'}, as admin_token.")
    return again


def lines(told: pb.WatchNumbersResponse) -> list[str]:
    """A line of who it is about, and the words."""
    if told.HasField("until"):
        return [f"watching until {told.until.ToDatetime():%H:%M:%S} UTC"]
    left_out = f" ({told.left_out} calls left out)" if told.left_out else ""
    return [f"{told.part.at.ToDatetime():%H:%M:%S} {told.call_id}{left_out}", *(f"  {line}" for line in told.text.splitlines())]
