"""What routing adds to the set-up of a call, in the whole system with SIPp on both sides (see `calls.py`).

Twice the same load: once media asks routing, once a process that answers every question with what routing answered to the first like it
(`fixed`). Both ways are measured inside media, by the times of its events: from the call's start, when the INVITE has come and was
authenticated, until the next step is known. The difference is what deciding costs; the fixed answer's own time is gRPC, two event loops
and a machine that does everything else meanwhile.

    [chrt -f 5] .venv/bin/python benchmarks/setup_delay.py [--rate 200] [--seconds 20]
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import asyncpg
import grpc.aio
from calls import percentile, report, run_round, running

from carillon.common.v1 import call_application_pb2 as pb
from carillon.common.v1.call_application_pb2_grpc import (
    CallApplicationServicer,
    CallApplicationStub,
    add_CallApplicationServicer_to_server,
)
from carillon_cli.main import main as carillon
from carillon_cli.supervisor import catalogue
from carillon_kit.embedded import free_port

_DELAYS = """
select extract(epoch from min(d.at) - min(s.at)) * 1000 from cdr.call_event s join cdr.call_event d using (tenant, call_id)
 where s.type = 'carillon.call.started.v1' and d.type = 'carillon.call.routing_decided.v1' group by tenant, call_id"""


class Fixed(CallApplicationServicer):
    """Answers as routing did to the first question about the same number with the same kind of outcome."""

    def __init__(self, address: Path) -> None:
        self._address = address
        self._known: dict[tuple[str, str | None], pb.NextResponse] = {}

    async def Next(self, request: pb.NextRequest, context: Any) -> pb.NextResponse:
        """From memory, but for the first."""
        about = (request.call.dialled, request.outcome.WhichOneof("kind"))
        if about not in self._known:
            sent = tuple((name, value) for name, value in context.invocation_metadata() if name in ("authorization", "carillon-tenant"))
            async with grpc.aio.insecure_channel(self._address.read_text()) as link:
                stub: Any = CallApplicationStub(link)
                self._known[about] = await stub.Next(request, timeout=5, metadata=sent)
        return self._known[about]

    async def Await(self, request: pb.AwaitRequest, context: Any) -> pb.AwaitResponse:
        """Nobody waits in these calls."""
        return pb.AwaitResponse(signalled=True)


async def serve(listen: str, address: Path) -> None:
    """Until killed."""
    server = grpc.aio.server()
    add_CallApplicationServicer_to_server(Fixed(address), server)
    server.add_insecure_port(listen)
    await server.start()
    await server.wait_for_termination()


def up(listen: str, address: Path, arguments: list[str]) -> None:
    """`carillon up`, with the fixed answers in routing's place for media; where routing is, is written down."""
    usual = catalogue.service_environment

    def environment(service: str, *others: Any) -> dict[str, str]:
        found = usual(service, *others)
        if service == "media":
            applications = json.loads(found["CARILLON_APPLICATIONS"])
            address.write_text(applications["routing"])
            found["CARILLON_APPLICATIONS"] = json.dumps({**applications, "routing": listen})
        return found

    setattr(catalogue, "service_environment", environment)  # noqa: B010  (a measurement's, of another signature)
    carillon(arguments)


async def delays(dsn: str) -> list[float]:
    """Milliseconds from the start of each call until its first step was known, the shortest first."""
    connection = await asyncpg.connect(dsn)
    try:
        return sorted(float(row[0]) for row in await connection.fetch(_DELAYS))
    finally:
        await connection.close()


def measured(rate: int, seconds: int, *, fixed: bool) -> list[float]:
    """One load on a system of its own."""
    with tempfile.TemporaryDirectory(prefix="carillon-bench-") as name:
        folder, listen = Path(name), f"127.0.0.1:{free_port()}"
        address = folder / "routing"
        here = [sys.executable, __file__]
        answers = subprocess.Popen([*here, "--serve", listen, str(address)]) if fixed else None
        try:
            program = {"program": [*here, "--up", listen, str(address)]} if fixed else {}
            with running(folder, **program) as run:
                report(run_round(run, rate, seconds, 3.0, folder))
                return asyncio.run(delays(run["postgres"]["dsn"]))
        finally:
            if answers is not None:
                answers.kill()
                answers.wait()


def main() -> None:
    """See the module."""
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve(sys.argv[2], Path(sys.argv[3])))
    elif sys.argv[1:2] == ["--up"]:
        up(sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    for name in ("fixed", "routing"):
        found = measured(options.rate, options.seconds, fixed=name == "fixed")
        shares = "  ".join(f"{label} {percentile(found, share):7.2f}" for label, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)))
        print(f"{name:8} {len(found):6} calls at {options.rate}/s, from start to step: {shares} ms", flush=True)


if __name__ == "__main__":
    main()
