"""`carillon csv`: users, numbers, contacts, short codes and devices as CSV files, in and out."""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

from carillon.directory.v1 import csv_pb2 as pb
from carillon.directory.v1.csv_pb2_grpc import CsvServiceStub
from carillon_cli.errors import CliError
from carillon_cli.system import System, ask, load, system_arguments

TABLES = ("users", "numbers", "contacts", "short_codes", "devices")
CHUNK = 256 * 1024
#: Ten thousand rows take seconds; a busy machine may take longer.
SECONDS = 300.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon csv`."""
    parser.add_argument("action", choices=("import", "export"))
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("file", type=Path, help="`-`: standard input or output")
    parser.add_argument("--dry-run", action="store_true", help="say what would change and every error; change nothing")
    parser.add_argument(
        "--language", default="", choices=("", "fr", "en", "de", "nl"), help="of errors and headers (default: the tenant's)"
    )
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Import or export; exit code 1 when the file has errors."""
    system = load(options.data)
    tenant = system.tenant(options.tenant)
    if options.action == "export":
        return asyncio.run(exported(system, tenant, options))
    try:
        raw = sys.stdin.buffer.read() if str(options.file) == "-" else options.file.read_bytes()
    except OSError as error:
        raise CliError(f"{options.file} cannot be read: {error.strerror}") from error
    return asyncio.run(imported(system, tenant, options, raw))


async def exported(system: System, tenant: str, options: argparse.Namespace) -> int:
    """Write the file."""
    raw = bytearray()
    async with system.channel("directory", tenant) as directory:
        request = pb.ExportCsvRequest(table=options.table, language=options.language)

        async def received() -> None:
            async for answer in CsvServiceStub(directory).ExportCsv(request, timeout=SECONDS):
                raw.extend(answer.chunk)

        await ask(received(), "directory")
    if str(options.file) == "-":
        sys.stdout.buffer.write(raw)
    else:
        await asyncio.to_thread(options.file.write_bytes, bytes(raw))
        print(f"{options.file}: {max(0, raw.count(10) - 1)} {options.table.replace('_', ' ')}")
    return 0


async def imported(system: System, tenant: str, options: argparse.Namespace, raw: bytes) -> int:
    """Send the file and print what became of it."""
    answers: list[pb.ImportCsvResponse] = []
    async with system.channel("directory", tenant) as directory:

        async def received() -> None:
            async for answer in CsvServiceStub(directory).ImportCsv(requests(options, raw), timeout=SECONDS):
                if answer.HasField("progress"):
                    print(
                        f"{answer.progress.rows_read} rows {'are being checked' if answer.progress.checking else 'read'}", file=sys.stderr
                    )
                else:
                    answers.append(answer)

        await ask(received(), "directory")
    errors = [answer.error for answer in answers if answer.HasField("error")]
    for error in errors:
        print(told(str(options.file), error))
    if errors:
        print(f"{len(errors)} errors; nothing was changed")
        return 1
    result = answers[-1].result
    for clash in result.clashes:
        print(f"{clash.digits}: {clash.reason}")
    done = "would be " if options.dry_run else ""
    print(f"{done}{result.created} created, {result.updated} changed, {result.unchanged} as they were")
    return 0


def requests(options: argparse.Namespace, raw: bytes) -> Iterator[pb.ImportCsvRequest]:
    """What the file is, then the file."""
    yield pb.ImportCsvRequest(options=pb.ImportCsvOptions(table=options.table, dry_run=options.dry_run, language=options.language))
    for start in range(0, len(raw), CHUNK):
        yield pb.ImportCsvRequest(chunk=raw[start : start + CHUNK])


def told(name: str, error: pb.CsvError) -> str:
    """`users.csv:7: E-Mail: is no address (x@)`"""
    about = f" ({error.value})" if error.value else ""
    return ": ".join(part for part in (f"{name}:{error.line}", error.column, f"{error.reason}{about}") if part)
