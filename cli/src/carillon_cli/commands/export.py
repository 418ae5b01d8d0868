"""`carillon export`: everything that a tenant holds, as the YAML file that `carillon apply` takes.

Always: applied to the tenant it came from it changes nothing. Passwords and PINs are not in it, nor what has its default anyway.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.import_pb2_grpc import ImportServiceStub
from carillon_cli import company
from carillon_cli.errors import CliError
from carillon_cli.moments import as_of
from carillon_cli.system import APPLY_SECONDS, System, ask, load, system_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon export`."""
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: standard output")
    parser.add_argument("--as-of", metavar="MOMENT", help="a version, or a time: 2026-11-24T10:00 (default: now)")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Write the file."""
    system = load(options.data)
    tenant = system.tenant(options.tenant)
    request = pb.ExportTenantRequest(as_of=as_of(options.as_of)) if options.as_of else pb.ExportTenantRequest()
    found, version = asyncio.run(exported(system, tenant, request))
    text = f"# {tenant}, configuration {version}\n{company.written(company.normal(company.document(found)))}"
    if options.file is None:
        sys.stdout.write(text)
        return 0
    try:
        options.file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CliError(f"{options.file} cannot be written: {error.strerror}") from error
    return 0


async def exported(system: System, tenant: str, request: pb.ExportTenantRequest) -> tuple[pb.ApplyTenantRequest, int]:
    """All parts as one, and their version."""
    whole, version = pb.ApplyTenantRequest(), 0
    async with system.channel("directory", tenant) as directory:

        async def received() -> None:
            nonlocal version
            async for answer in ImportServiceStub(directory).ExportTenant(request, timeout=APPLY_SECONDS):
                whole.MergeFrom(answer.part)
                version = answer.config_seq

        await ask(received(), "directory")
    return whole, version
