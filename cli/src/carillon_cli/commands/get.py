"""`carillon get`: one resource of a tenant, as YAML; `--uses`: where it is used."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import Any

from carillon.directory.v1 import search_pb2
from carillon.directory.v1.search_pb2_grpc import SearchServiceStub
from carillon_cli import company
from carillon_cli.kinds import Kind, kind_named
from carillon_cli.moments import as_of
from carillon_cli.system import RPC_SECONDS, System, ask, load, system_arguments
from carillon_contracts.config import Tenant


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon get`."""
    parser.add_argument("kind", metavar="KIND", help="user, number, ring_group, ...; `tenant` is the tenant itself")
    parser.add_argument("id", nargs="?", metavar="ID", help="none for the tenant")
    parser.add_argument("--as-of", metavar="MOMENT", help="a version, or a time: 2026-11-24T10:00 (default: now)")
    parser.add_argument("--all", action="store_true", help="also what has its default")
    parser.add_argument("--uses", action="store_true", help="what names it, by which field, in place of what it is")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print it."""
    kind = kind_named(options.kind, tenant=True)
    system = load(options.data)
    tenant = system.tenant(options.tenant)
    wanted = tenant if kind.model is Tenant else options.id or ""
    if options.uses:
        for use in asyncio.run(uses(system, tenant, kind.model.KIND, wanted)):
            print(f"{use.kind}/{use.id}  {use.field}")
        return 0
    moment = {"as_of": as_of(options.as_of)} if options.as_of else {}
    found = company.document(asyncio.run(gotten(system, tenant, kind, kind.request("Get", id=wanted, **moment))))
    sys.stdout.write(company.written(found if options.all else company.normal_resource(kind.model, found)))
    return 0


async def uses(system: System, tenant: str, kind: str, resource_id: str) -> Sequence[search_pb2.Use]:
    """Where a resource is used."""
    async with system.channel("directory", tenant) as directory:
        request = search_pb2.ListUsesRequest(kind=kind, id=resource_id)
        return (await ask(SearchServiceStub(directory).ListUses(request, timeout=RPC_SECONDS), "directory")).uses


async def gotten(system: System, tenant: str, kind: Kind, request: Any) -> Any:
    """The resource's message."""
    async with system.channel("directory", tenant) as directory:
        answer = await ask(kind.call("Get", directory)(request, timeout=RPC_SECONDS), "directory")
    return getattr(answer, kind.model.KIND)
