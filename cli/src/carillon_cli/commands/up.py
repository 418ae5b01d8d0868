"""`carillon up`: everything on this machine under one supervisor, until Ctrl-C.

Always: exits 0 after an ordered end, 1 with one clear message when something cannot start.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import ssl
from datetime import UTC, datetime
from pathlib import Path

import structlog

from carillon.directory.v1 import import_pb2_grpc
from carillon_cli import company
from carillon_cli.demo import company as dupont
from carillon_cli.errors import CliError
from carillon_cli.supervisor.assembly import Assembly
from carillon_cli.supervisor.certificate import kept_certificate
from carillon_cli.supervisor.layout import (
    DEFAULT_DATA,
    GRPC_SERVICES,
    Folders,
    Options,
    Ports,
    TlsFiles,
    check_host,
    check_ports,
    free_ports,
)
from carillon_cli.supervisor.lock import FolderLock, end_stale, find_stale
from carillon_cli.supervisor.log import Log
from carillon_cli.system import APPLY_SECONDS, ask
from carillon_kit.auth import OPERATOR, issue_token
from carillon_kit.grpc_client import channel

#: The tenant's configuration comes back by the bus after it was applied.
TENANT_SECONDS = 10.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon up`."""
    default = Ports()
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, metavar="DIR", help="where everything is kept (default: .carillon)")
    parser.add_argument("--demo", action="store_true", help="load the example company Dupont SA")
    parser.add_argument("--test-clock", action="store_true", help="let `carillon clock` choose the time of day that routing goes by")
    parser.add_argument("--host", default="127.0.0.1", metavar="IP", help="where SIP and RTP listen (default: 127.0.0.1)")
    parser.add_argument("--advertise", metavar="IP", help="the address that phones reach this machine at (default: --host)")
    parser.add_argument("--host6", metavar="IP", default="", help="an IPv6 address where SIP listens besides")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="listen for SIP over TLS with this certificate chain (PEM)")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key (PEM)")
    parser.add_argument("--tls", action="store_true", help="listen for SIP over TLS with a self-signed certificate (always with --demo)")
    parser.add_argument("--ports", choices=("fixed", "auto"), default="fixed", help="auto: free ones")
    parser.add_argument("--sip-port", type=int, metavar="N", help=f"SIP over UDP and TCP (default: {default.sip})")
    parser.add_argument("--sip-tls-port", type=int, metavar="N", help=f"SIP over TLS (default: {default.sip_tls})")
    parser.add_argument(
        "--grpc-port-base", type=int, metavar="N", help=f"first of {len(GRPC_SERVICES)} gRPC ports (default: {default.directory})"
    )
    parser.add_argument("--web-port", type=int, metavar="N", help=f"where browsers call (default: {default.web})")
    parser.add_argument("--provisioning-port", type=int, metavar="N", help=f"where phones fetch settings (default: {default.provisioning})")
    parser.add_argument("--web-origins", default="", metavar="LIST", help="origins of pages that may call, with commas; * allows any")
    parser.add_argument("--nats-port", type=int, metavar="N", help=f"default: {default.nats}")
    parser.add_argument("--postgres-port", type=int, metavar="N", help=f"default: {default.postgres}")
    parser.add_argument("--rtp-ports", metavar="LO-HI", help=f"default: {default.rtp_low}-{default.rtp_high}")
    parser.add_argument(
        "--drain", type=seconds, default=2.0, metavar="SECONDS", help="at the end, let calls that are up go on so long (default: 2)"
    )
    parser.add_argument("--quiet", action="store_true", help="log to the files in DIR/log only")


def seconds(text: str) -> float:
    """A length of time on the command line, at most a day."""
    value = float(text)
    if not 0 <= value <= 86_400:
        raise ValueError(text)
    return value


def chosen_ports(options: argparse.Namespace) -> Ports:
    """Ports by the options; those named win over `--ports auto`."""
    base = free_ports(options.host) if options.ports == "auto" else Ports()
    changes: dict[str, int] = {}
    for field in ("sip", "sip_tls", "web", "provisioning", "nats", "postgres"):
        value = getattr(options, f"{field}_port")
        if value is not None:
            changes[field] = value
    if options.grpc_port_base is not None:
        changes |= {service: options.grpc_port_base + offset for offset, service in enumerate(GRPC_SERVICES)}
    if options.rtp_ports is not None:
        low, dash, high = options.rtp_ports.partition("-")
        if not (dash and low.isdecimal() and high.isdecimal()):
            raise CliError(f"--rtp-ports {options.rtp_ports!r} is not LOW-HIGH")
        changes |= {"rtp_low": int(low), "rtp_high": int(high)}
    return Ports(**{name: changes.get(name, getattr(base, name)) for name in Ports.__dataclass_fields__})


def advertised(host: str, advertise: str | None) -> str:
    """The address that far ends are told. Raises `CliError` when none of the two can be one."""
    if advertise is None and host in ("0.0.0.0", "::"):
        raise CliError(f"--host {host} listens everywhere, but phones need one address", "Give it with --advertise IP.")
    return advertise or host


def certificate(options: argparse.Namespace, folders: Folders, advertise: str) -> TlsFiles | None:
    """The certificate for SIP over TLS, by the options. Raises `CliError` when it cannot be used."""
    if (options.tls_cert is None) != (options.tls_key is None):
        raise CliError("--tls-cert and --tls-key come together")
    if options.tls_cert is not None:
        files = TlsFiles(options.tls_cert.resolve(), options.tls_key.resolve())
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key)
        except OSError as error:
            raise CliError(f"the certificate {files.certificate} cannot be used with {files.key}: {error}") from error
        return files
    if not (options.tls or options.demo):
        return None
    hosts = [advertise, options.host, options.host6, "localhost", *([dupont.realm()] if options.demo else [])]
    named = [host for host in hosts if host and host not in ("0.0.0.0", "::")]
    return kept_certificate(folders, list(dict.fromkeys(named)), datetime.now(UTC))


def run(options: argparse.Namespace) -> int:
    """Run until told to end."""
    data = options.data.resolve()
    advertise = advertised(options.host, options.advertise)
    try:
        return _run(options, data, advertise)
    except OSError as error:
        raise CliError(
            f"{error.filename or data} cannot be used: {error.strerror or error}",
            "The data folder must be on a disk with room, and yours to write to; choose another with --data DIR.",
        ) from error


def _run(options: argparse.Namespace, data: Path, advertise: str) -> int:
    lock = FolderLock(data)
    try:
        check_host("--host", options.host)
        check_host("--host6", options.host6.strip("[]"))
        if stale := find_stale(data):
            print(f"ending what an earlier run has left: {', '.join(child.name for child in stale)}", flush=True)
            end_stale(stale)
        Folders(data).run_file.unlink(missing_ok=True)
        asked = Options(
            data,
            options.host,
            advertise,
            chosen_ports(options),
            options.demo,
            options.test_clock,
            options.quiet,
            certificate(options, Folders(data), advertise),
            options.host6.strip("[]"),
            options.web_origins,
            options.drain,
        )
        check_ports(
            asked,
            embedded_nats=not os.environ.get("CARILLON_NATS_URL"),
            embedded_postgres=not os.environ.get("CARILLON_POSTGRES_DSN"),
        )
        return asyncio.run(serve(asked))
    finally:
        lock.release()


async def serve(options: Options) -> int:
    """Start, wait for a signal, end in order."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # What `nohup` or a shell's `&` has ignored stays ignored, but for SIGINT and SIGTERM that programs send on purpose.
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, told.set)
    # The supervisor's own connections come and go with the services; what matters of that is said by `Log`.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    log = Log(Folders(options.data).log, lambda: datetime.now(UTC), show=not options.quiet)
    assembly = Assembly(options, log)
    try:
        starting = asyncio.create_task(start(assembly))
        waiting = asyncio.create_task(told.wait())
        await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await waiting
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        return 0
    except* CliError as errors:
        raise _first(errors) from None
    finally:
        log.say("ending")
        await assembly.stop()
        log.say("ended")
        log.close()


async def start(assembly: Assembly) -> None:
    """Start the system and, with `--demo`, load its company."""
    await assembly.start()
    if assembly.options.demo:
        await load_demo(assembly)
    assembly.announce()


async def load_demo(assembly: Assembly) -> None:
    """Apply Dupont SA and wait until `run.json` shows it."""
    request = company.request(dupont.load(assembly.folders.credentials))
    request.reason = "carillon up --demo"
    token = issue_token(assembly.secrets.get("token_key"), "operator", None, [OPERATOR])
    async with channel(f"127.0.0.1:{assembly.options.ports.directory}", token, request.tenant.id) as directory:
        service = import_pb2_grpc.ImportServiceStub(directory)
        applied = await ask(service.ApplyTenant(request, timeout=APPLY_SECONDS), "directory")
    async with asyncio.timeout(TENANT_SECONDS):
        await assembly.tenant_is_known(request.tenant.id, applied.config_seq)
    assembly.log.say(f"{request.tenant.display_name} is loaded", changes=len(applied.changes), configuration=applied.config_seq)


def _first(errors: BaseExceptionGroup[CliError]) -> CliError:
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, CliError)
    return found
