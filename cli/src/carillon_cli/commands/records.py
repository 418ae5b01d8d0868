"""`carillon records`: what became of the calls, newest first.

Always: with `--json` one object a line, with exactly the fields of `carillon_cli.render.tables.RECORD_FIELDS`.
"""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime

from carillon.cdr.v1 import cdr_pb2, cdr_pb2_grpc
from carillon_cli.errors import CliError
from carillon_cli.render.tables import record_json, records_table
from carillon_cli.system import System, load, pages, system_arguments

PAGE = 500
STATUSES = [name.removeprefix("CALL_STATUS_").lower() for name in cdr_pb2.CallStatus.keys()[1:]]
DIRECTIONS = [name.removeprefix("CALL_DIRECTION_").lower() for name in cdr_pb2.CallDirection.keys()[1:]]


def moment(text: str) -> datetime:
    """An instant in ISO 8601; without an offset it is this machine's local time. Raises `CliError`."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError as error:
        raise CliError(f"{text!r} is no instant", "Write it like 2026-11-24T09:15 or 2026-11-24T09:15:00+01:00.") from error


def count(text: str) -> int:
    """A number above 0 on the command line."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon records`."""
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--status", choices=sorted(STATUSES))
    parser.add_argument("--direction", choices=sorted(DIRECTIONS))
    parser.add_argument("--party", help="caller, dialled number or who answered")
    parser.add_argument("--department", help="of its people, queues, groups and mailboxes, and of what is below it", metavar="ID")
    parser.add_argument("--after", metavar="INSTANT", help="started at or after, ISO 8601")
    parser.add_argument("--before", metavar="INSTANT", help="started before, ISO 8601")
    parser.add_argument("--limit", type=count, default=0, metavar="N", help="at most so many (default: all)")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print the records."""
    request = cdr_pb2.ListRecordsRequest(page_size=min(PAGE, options.limit) if options.limit > 0 else PAGE, party=options.party or "")
    request.department_id = options.department or ""
    if options.status:
        request.status = cdr_pb2.CallStatus.Value(f"CALL_STATUS_{options.status.upper()}")
    if options.direction:
        request.direction = cdr_pb2.CallDirection.Value(f"CALL_DIRECTION_{options.direction.upper()}")
    for name, value in (("after", options.after), ("before", options.before)):
        if value:
            getattr(request, name).FromDatetime(moment(value))
    system = load(options.data)
    asyncio.run(_print(system, system.tenant(options.tenant), request, options.limit, as_json=options.json))
    return 0


async def _print(system: System, tenant: str, request: cdr_pb2.ListRecordsRequest, limit: int, *, as_json: bool) -> None:
    found: list[cdr_pb2.Record] = []
    count = 0
    async for record in records(system, tenant, request):
        if as_json:
            print(json.dumps(record_json(record), ensure_ascii=False))
        else:
            found.append(record)
        count += 1
        if count == limit:
            break
    if not as_json:
        print("\n".join(records_table(found)))


async def records(system: System, tenant: str, request: cdr_pb2.ListRecordsRequest) -> AsyncIterator[cdr_pb2.Record]:
    """All records that match, page by page."""
    async with system.channel("cdr", tenant) as cdr:
        service = cdr_pb2_grpc.RecordServiceStub(cdr)
        async for page in pages(service.ListRecords, request, "cdr"):
            for record in page.records:
                yield record
