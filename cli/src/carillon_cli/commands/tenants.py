"""`carillon tenants`: tenants and resellers themselves, now, as of a time, what became of each; many made and changed in one step.

Always: of a file with a mistake, or with one request that is refused, nothing is done.
"""

import argparse
import asyncio
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.batch_pb2_grpc import BatchServiceStub
from carillon.directory.v1.reseller_pb2_grpc import ResellerServiceStub
from carillon.directory.v1.tenant_pb2_grpc import TenantServiceStub
from carillon_cli import company
from carillon_cli.commands.apply import changes_told, text_of
from carillon_cli.commands.history import told as history_told
from carillon_cli.errors import CliError
from carillon_cli.moments import as_of
from carillon_cli.render.tables import iso, table
from carillon_cli.system import APPLY_SECONDS, System, ask, load, pages, system_arguments
from carillon_contracts.config import Reseller, Resource, Tenant

_PAGE = 500
#: Section of a file -> its model, and the message that has it in a field of that name.
_SECTIONS: Mapping[str, tuple[type[Resource], FieldDescriptor]] = {
    "resellers": (Reseller, pb.ListResellersResponse.DESCRIPTOR.fields_by_name["resellers"]),
    "tenants": (Tenant, pb.ListTenantsResponse.DESCRIPTOR.fields_by_name["tenants"]),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon tenants`."""
    parser.add_argument("--resellers", action="store_true", help="resellers in place of tenants")
    parser.add_argument("--filter", default="", metavar="CONDITIONS", help="`country = CH AND subscription.trial = true`")
    parser.add_argument("--order-by", default="", metavar="FIELDS", help="`display_name, id desc` (default: by id)")
    parser.add_argument("--as-of", metavar="MOMENT", help="a time: 2026-11-24T10:00 (default: now); also a change of resellers")
    parser.add_argument("--history", metavar="ID", help="what became of a tenant, or a reseller, also of one that is gone")
    parser.add_argument(
        "--apply", type=Path, metavar="FILE", help="make and change many in one step: YAML with `resellers`, `tenants` and `gone`"
    )
    parser.add_argument("--dry-run", action="store_true", help="with --apply: show what would change, change nothing")
    parser.add_argument("--reason", default="", help="with --apply: why, kept in the histories")
    system_arguments(parser, tenant=False)


def run(options: argparse.Namespace) -> int:
    """Do it and print."""
    system = load(options.data)
    if options.apply is not None:
        wanted = read(company.parse(text_of(options.apply), str(options.apply)))
        lines = asyncio.run(applied(system, wanted, options))
    elif options.history is not None:
        lines = asyncio.run((resellers_past if options.resellers else tenants_past)(system, options.history))
    else:
        lines = asyncio.run((resellers if options.resellers else tenants)(system, options))
    if lines:
        print("\n".join(lines))
    return 0


async def tenants(system: System, options: argparse.Namespace) -> list[str]:
    """A line a tenant."""
    async with system.channel("directory") as directory:
        request = pb.ListTenantsRequest(page_size=_PAGE, **_asked(options))
        found = await _all(TenantServiceStub(directory).ListTenants, request, "tenants")
    return table(("id", "name", "realm", "reseller"), [(each.id, each.display_name, each.realm, each.reseller_id) for each in found])


async def resellers(system: System, options: argparse.Namespace) -> list[str]:
    """A line a reseller."""
    async with system.channel("directory") as directory:
        request = pb.ListResellersRequest(page_size=_PAGE, **_asked(options))
        found = await _all(ResellerServiceStub(directory).ListResellers, request, "resellers")
    most = [each.max_tenants if each.HasField("max_tenants") else "" for each in found]
    rows = [(each.id, each.display_name, each.parent_reseller_id, limit) for each, limit in zip(found, most, strict=True)]
    return table(("id", "name", "below", "tenants at most"), rows)


async def _all(rpc: Any, request: Any, field: str) -> list[Any]:
    return [each async for page in pages(rpc, request, "directory") for each in getattr(page, field)]


def _asked(options: argparse.Namespace) -> dict[str, Any]:
    moment = {"as_of": as_of(options.as_of)} if options.as_of else {}
    return {"filter": options.filter, "order_by": options.order_by, **moment}


async def tenants_past(system: System, name: str) -> list[str]:
    """What became of a tenant, newest first."""
    async with system.channel("directory") as directory:
        request = pb.ListTenantChangesRequest(id=name, page_size=_PAGE)
        return history_told(await _all(TenantServiceStub(directory).ListTenantChanges, request, "changes"))


async def resellers_past(system: System, name: str) -> list[str]:
    """What became of a reseller, newest first."""
    async with system.channel("directory") as directory:
        request = pb.ListResellerChangesRequest(reseller_id=name, page_size=_PAGE)
        found = await _all(ResellerServiceStub(directory).ListResellerChanges, request, "changes")
    rows = [(each.seq, iso(each.time)[:19], each.actor, each.fact, each.reseller_id, each.reason) for each in found]
    return table(("change", "time (UTC)", "who", "did", "what", "why"), rows)


def read(document: company.Document) -> dict[str, list[Any]]:
    """Resources by section, and `gone_...` the ids of those to take out. Raises `BadCompany` with every mistake."""
    mistakes: list[company.Mistake] = []
    found: dict[str, list[Any]] = {name: [] for section in _SECTIONS for name in (section, f"gone_{section}")}
    data = document.data if isinstance(document.data, dict) else {}
    if not data:
        raise company.BadCompany(document.name, [company.Mistake(1, "", f"must hold {', '.join(_SECTIONS)} or gone")])
    for section, value in data.items():
        if section == "gone" and isinstance(value, dict) and value.keys() <= _SECTIONS.keys():
            for name, ids in value.items():
                found[f"gone_{name}"] = [each for each in ids if isinstance(each, str)] if isinstance(ids, list) else []
                if not isinstance(ids, list) or found[f"gone_{name}"] != ids:
                    mistakes.append(document.mistake((section, name), "must be a list of ids"))
        elif section not in _SECTIONS or not isinstance(value, list):
            wanted = f"must be a list of {', or of '.join(_SECTIONS)}, or gone with such lists of ids"
            mistakes.append(document.mistake((section,), wanted))
        else:
            found[section] = [{} for _ in value]
            for index, each in enumerate(value):
                mistakes += company.check_resource(document, _SECTIONS[section][0], each, (section, index), found[section][index])
    if mistakes:
        raise company.BadCompany(document.name, sorted(mistakes, key=lambda mistake: mistake.line))
    return found


def requests(wanted: Mapping[str, list[Any]], known: Mapping[str, set[str]]) -> Iterator[Message]:
    """Of what is wanted what is not `known` is made, the other changed; what is to go goes last."""
    for section, (model, field) in _SECTIONS.items():
        noun, kind = model.__name__, model.KIND
        for each in wanted[section]:
            message = ParseDict(company.proto_json(each, field), getattr(pb, noun)())
            if each["id"] in known[section]:
                mask = FieldMask(paths=sorted(each.keys() - {"id"}))
                yield getattr(pb, f"Update{noun}Request")(**{kind: message, "update_mask": mask})
            else:
                yield getattr(pb, f"Create{noun}Request")(**{kind: message})
    for section, (model, _) in reversed(list(_SECTIONS.items())):
        for name in wanted[f"gone_{section}"]:
            yield getattr(pb, f"Delete{model.__name__}Request")(id=name)


async def applied(system: System, wanted: Mapping[str, list[Any]], options: argparse.Namespace) -> list[str]:
    """A line a change. Raises `CliError` with what is refused."""
    async with system.channel("directory") as directory:
        found = {
            "tenants": await _all(TenantServiceStub(directory).ListTenants, pb.ListTenantsRequest(page_size=_PAGE), "tenants"),
            "resellers": await _all(ResellerServiceStub(directory).ListResellers, pb.ListResellersRequest(page_size=_PAGE), "resellers"),
        }
        known = {section: {each.id for each in listed} for section, listed in found.items()}
        packed = list(_packed(requests(wanted, known)))
        if not packed:
            raise CliError(f"{options.apply} asks for nothing")
        reason = options.reason or f"carillon tenants --apply {options.apply.name}"
        request = pb.ApplyInstallationBatchRequest(requests=packed, dry_run=options.dry_run, reason=reason)
        answer = await ask(BatchServiceStub(directory).ApplyInstallationBatch(request, timeout=APPLY_SECONDS), "directory")
    lines = changes_told("the installation", answer.changes, 0, dry_run=options.dry_run)
    return [lines[0].partition(",")[0]] if not answer.changes else [*lines[:-1], lines[-1].partition(",")[0]]


def _packed(messages: Iterable[Message]) -> Iterator[Packed]:
    for message in messages:
        box = Packed()
        box.Pack(message)
        yield box
