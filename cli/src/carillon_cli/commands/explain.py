"""`carillon explain CALL_ID`: the routing trace of a call, what happened after each decision, and its ladder; or in words, or as JSON."""

import argparse
import asyncio
import json

from google.protobuf.json_format import MessageToDict

from carillon.cdr.v1 import cdr_pb2, cdr_pb2_grpc
from carillon.routing.v1 import explain_pb2
from carillon.routing.v1.explain_pb2_grpc import ExplainServiceStub
from carillon_cli.errors import CliError
from carillon_cli.render.explain import explain
from carillon_cli.render.ladder import ladder
from carillon_cli.system import RPC_SECONDS, System, ask, load, system_arguments
from carillon_contracts.envelope import Event
from carillon_contracts.languages import LANGUAGES


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon explain`."""
    parser.add_argument("call_id", metavar="CALL_ID", help="as `carillon records` and `carillon calls` show it, or `last`")
    parser.add_argument("--ladder", action="store_true", help="only the ladder")
    parser.add_argument("--language", choices=LANGUAGES, help="tell it in sentences of this language")
    parser.add_argument("--json", action="store_true", help="every condition with the values seen, as docs/explain.md says")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print the explanation."""
    system = load(options.data)
    tenant = system.tenant(options.tenant)
    if options.language or options.json:
        print(asyncio.run(_words(system, tenant, options)))
        return 0
    events = asyncio.run(_events(system, tenant, options.call_id))
    if not events:
        raise CliError(f"nothing is known of call {options.call_id} in {tenant}", "`carillon records` lists the calls.")
    print("\n".join((ladder if options.ladder else explain)(events)))
    return 0


async def _words(system: System, tenant: str, options: argparse.Namespace) -> str:
    call_id = await named(system, tenant, options.call_id)
    async with system.channel("routing", tenant) as routing:
        request = explain_pb2.ExplainCallRequest(call_id=call_id, language=options.language or "")
        answer = await ask(ExplainServiceStub(routing).ExplainCall(request, timeout=RPC_SECONDS), "routing")
    if not options.json:
        return answer.text
    told = MessageToDict(answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    del told["text"]
    return json.dumps(told, ensure_ascii=False, indent=2)


async def _events(system: System, tenant: str, call_id: str) -> list[Event]:
    return await call_events(system, tenant, await named(system, tenant, call_id))


async def named(system: System, tenant: str, call_id: str) -> str:
    """The call's id; `last` is the newest one."""
    return await newest(system, tenant) if call_id == "last" else call_id


async def newest(system: System, tenant: str) -> str:
    """The call that ended last. Raises `CliError` when there is none."""
    async with system.channel("cdr", tenant) as cdr:
        service = cdr_pb2_grpc.RecordServiceStub(cdr)
        page = await ask(service.ListRecords(cdr_pb2.ListRecordsRequest(page_size=1), timeout=RPC_SECONDS), "cdr")
    if not page.records:
        raise CliError(f"{tenant} has no call yet")
    return page.records[0].call_id


async def call_events(system: System, tenant: str, call_id: str) -> list[Event]:
    """The events of a call as they lie in the ledger, by seq."""
    async with system.channel("cdr", tenant) as cdr:
        service = cdr_pb2_grpc.RecordServiceStub(cdr)
        answer = await ask(service.ListCallEvents(cdr_pb2.ListCallEventsRequest(call_id=call_id), timeout=RPC_SECONDS), "cdr")
    return [Event.from_json(raw) for raw in answer.events]
