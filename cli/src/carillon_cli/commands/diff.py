"""`carillon diff`: what differs between two moments of a tenant."""

import argparse
import asyncio
import json

from google.protobuf.json_format import MessageToDict

from carillon.directory.v1 import history_pb2, history_pb2_grpc
from carillon_cli.moments import as_of
from carillon_cli.system import System, load, pages, system_arguments

_SIGNS = {"created": "+", "updated": "~", "deleted": "-"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon diff`."""
    parser.add_argument("before", metavar="FROM", help="a version, or a time: 2026-11-24T10:00")
    parser.add_argument("after", nargs="?", metavar="TO", help="default: now")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print each difference; exit code 1 when there is one, as `diff` does."""
    system = load(options.data)
    request = history_pb2.CompareConfigurationsRequest(page_size=500)
    getattr(request, "from").CopyFrom(as_of(options.before))
    if options.after is not None:
        request.to.CopyFrom(as_of(options.after))
    found = asyncio.run(compared(system, system.tenant(options.tenant), request))
    for each in found:
        for line in [json.dumps(MessageToDict(each, preserving_proto_field_name=True))] if options.json else told(each):
            print(line)
    return 1 if found else 0


async def compared(system: System, tenant: str, request: history_pb2.CompareConfigurationsRequest) -> list[history_pb2.Difference]:
    """Every page."""
    async with system.channel("directory", tenant) as directory:
        service = history_pb2_grpc.HistoryServiceStub(directory)
        return [each async for page in pages(service.CompareConfigurations, request, "directory") for each in page.differences]


def told(difference: history_pb2.Difference) -> list[str]:
    """The resource, and below it each field that differs, with both values."""
    lines = [f"{_SIGNS.get(difference.fact, '?')} {difference.resource} {difference.resource_id}"]
    before, after = MessageToDict(difference.before), MessageToDict(difference.after)
    for name in difference.fields:
        lines.append(f"    {name}: {_value(before.get(name))} -> {_value(after.get(name))}")
    return lines


def _value(value: object) -> str:
    return "-" if value is None else json.dumps(value, ensure_ascii=False)
