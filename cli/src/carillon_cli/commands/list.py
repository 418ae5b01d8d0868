"""`carillon list`: resources of one kind."""

import argparse
import asyncio
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.contact_pb2_grpc import ContactServiceStub
from carillon_cli import company
from carillon_cli.errors import CliError
from carillon_cli.kinds import Kind, kind_named
from carillon_cli.moments import as_of
from carillon_cli.render.tables import table
from carillon_cli.system import System, load, pages, system_arguments
from carillon_contracts.config import Contact

_PAGE = 500
#: What says most of a resource, of which the first that is there stands beside its id.
_NAMES = ("display_name", "label", "company", "name", "text")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon list`."""
    parser.add_argument("kind", metavar="KIND", help="users, numbers, ring_groups, ...")
    parser.add_argument("--filter", default="", metavar="CONDITIONS", help="`last_name = Dumas AND ring_seconds > 20`")
    parser.add_argument("--order-by", default="", metavar="FIELDS", help="`last_name, first_name desc` (default: by id)")
    parser.add_argument("--department", default="", metavar="ID", help="only what belongs to it")
    parser.add_argument("--site", default="", metavar="ID", help="only what belongs to it")
    parser.add_argument("--below", action="store_true", help="of the department or site, also what is below")
    parser.add_argument("--as-of", metavar="MOMENT", help="a version, or a time: 2026-11-24T10:00 (default: now)")
    parser.add_argument("--most", type=int, default=0, metavar="N", help="at most so many (default: all)")
    parser.add_argument("--internal", action="store_true", help="of contacts: colleagues and groups")
    parser.add_argument("--yaml", action="store_true", help="whole resources, as `carillon apply` takes them")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print a line a resource, or YAML."""
    kind = kind_named(options.kind)
    if options.internal and kind.model is not Contact:
        raise CliError(f"{kind.model.PLURAL} are not told by --internal", "carillon list contacts --internal")
    system = load(options.data)
    scope = pb.Scope(department_id=options.department, site_id=options.site, with_below=options.below)
    asked: dict[str, Any] = {"filter": options.filter, "order_by": options.order_by, "scope": scope, "page_size": _PAGE}
    request = pb.ListInternalContactsRequest(**asked) if options.internal else kind.request("List", **asked)
    if options.as_of:
        request.as_of.CopyFrom(as_of(options.as_of))
    found = asyncio.run(listed(system, system.tenant(options.tenant), kind, request, options.most))
    if options.internal:
        rows = [(each.id, each.display_name, ", ".join(each.extensions), each.phone) for each in found]
        print("\n".join(table(("id", "name", "extensions", "number"), rows)))
        return 0
    resources = [company.normal_resource(kind.model, company.document(each)) for each in found]
    if options.yaml:
        sys.stdout.write(company.written({kind.model.PLURAL: resources}) if resources else "")
    elif resources:
        print("\n".join(lines(resources)))
    return 0


async def listed(system: System, tenant: str, kind: Kind, request: Any, most: int) -> list[Any]:
    """Page after page, until there are `most` (0: all)."""
    found: list[Any] = []
    async with system.channel("directory", tenant) as directory:
        internal = isinstance(request, pb.ListInternalContactsRequest)
        call = ContactServiceStub(directory).ListInternalContacts if internal else kind.call("List", directory)
        async for answer in pages(call, request, "directory"):
            found += answer.internal_contacts if internal else getattr(answer, kind.model.PLURAL)
            if len(found) >= most > 0:
                return found[:most]
    return found


def lines(resources: Iterable[Mapping[str, Any]]) -> list[str]:
    """Id, name, and where calls go, if they do."""
    return table(("id", "name", "leads to"), [(each["id"], _name(each), _destination(each)) for each in resources])


def _name(resource: Mapping[str, Any]) -> str:
    person = " ".join(str(resource[part]) for part in ("first_name", "last_name") if resource.get(part))
    return person or next((str(resource[name]) for name in _NAMES if resource.get(name)), "")


def _destination(resource: Mapping[str, Any]) -> str:
    found = resource.get("destination") or {name: resource[name] for name in ("user_id",) if resource.get(name)}
    return ", ".join(f"{name.removesuffix('_id')} {value}" for name, value in found.items())
