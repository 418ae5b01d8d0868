"""The routing service as a process of its own, with the large company of `routing_company.py` in it.

What it adds to a set-up: `Next` over the real transport at a rate, each call from when it was due, so that what piles up counts; beside it
the same of a health check, which asks nothing (`null`). Then its memory, and with `--compare` a draft over so many past calls in cdr.

    [chrt -f 5] .venv/bin/python benchmarks/routing_service.py [--rate 200] [--seconds 30] [--compare 100000]
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import grpc.aio
from calls import cpu_seconds, percentile
from grpc_health.v1 import health_pb2, health_pb2_grpc
from routing_company import company, numbers, past_calls

from carillon.common.v1 import call_application_pb2 as pb
from carillon.common.v1.call_application_pb2_grpc import CallApplicationStub
from carillon.routing.v1 import routing_pb2
from carillon.routing.v1.routing_pb2_grpc import RoutingServiceStub
from carillon_contracts.streams import CONFIG
from carillon_kit.auth import ADMIN, SERVICE, issue_token
from carillon_kit.bus import Bus
from carillon_kit.embedded.nats import EmbeddedNats
from carillon_kit.embedded.postgres import EmbeddedPostgres, ensure_database, ensure_role_and_schema
from carillon_kit.embedded.server import free_port
from carillon_kit.grpc_client import channel
from carillon_routing.testing import config_of, publish_company

TENANT, KEY, PATIENCE = "acme", "0123456789abcdef0123456789abcdef", 300.0
#: How long a phone rings before nobody has answered, and the second question comes.
RINGS = 2.0


@asynccontextmanager
async def service(name: str, **settings: str) -> AsyncIterator[tuple[str, int]]:
    """`python -m carillon_<name>`: its address and process."""
    address = f"127.0.0.1:{free_port()}"
    environment = {f"CARILLON_{key.upper()}": value for key, value in settings.items()}
    environment |= {"CARILLON_GRPC_LISTEN": address, "CARILLON_TOKEN_KEY": KEY, "CARILLON_LOG_LEVEL": "WARNING"}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", f"carillon_{name}", env={**os.environ, **environment})
    try:
        async with asyncio.timeout(PATIENCE), grpc.aio.insecure_channel(address) as link:
            await link.channel_ready()
        yield address, process.pid
    finally:
        process.terminate()
        await process.wait()


def questions(count: int) -> Iterator[pb.NextRequest]:
    """The first one of each call."""
    for number in range(count):
        call = pb.CallFacts(
            tenant_id=TENANT,
            call_id=f"c{number}",
            direction=pb.DIRECTION_INBOUND,
            dialled=numbers()[number * 7 % 1000],
            caller_number=f"+4179{number:07}",
        )
        yield pb.NextRequest(call=call, outcome=pb.Outcome(entered=pb.Entered()))


async def paced(rate: int, jobs: list[Callable[[float], Coroutine[Any, Any, None]]]) -> None:
    """Start each when it is due (a time of the loop), and wait for all."""
    loop = asyncio.get_running_loop()
    begin = loop.time() + 0.1
    async with asyncio.TaskGroup() as group:
        for number, job in enumerate(jobs):
            due = begin + number / rate
            await asyncio.sleep(max(0, due - loop.time()))
            group.create_task(job(due))


async def delays(address: str, rate: int, seconds: int) -> None:
    """Of first and second questions, and of nothing at the same rate beside them."""
    loop = asyncio.get_running_loop()
    found: dict[str, list[float]] = {"null": [], "first": [], "second": []}
    token = issue_token(KEY, "media", None, {SERVICE})
    async with channel(address, token, TENANT) as link, grpc.aio.insecure_channel(address) as plain:
        stub: Any = CallApplicationStub(link)
        health: Any = health_pb2_grpc.HealthStub(plain)

        async def one(request: pb.NextRequest, due: float) -> None:
            answer = await stub.Next(request, timeout=10)
            found["first"].append(loop.time() - due)
            if not answer.cursor or not answer.step.HasField("ring"):
                return
            due = loop.time() + RINGS
            await asyncio.sleep(RINGS)
            targets = [pb.TargetOutcome(target_id=each.target_id, result=pb.RING_RESULT_NO_ANSWER) for each in answer.step.ring.targets]
            ring = pb.RingOutcome(result=pb.RING_RESULT_NO_ANSWER, targets=targets)
            await stub.Next(pb.NextRequest(call=request.call, cursor=answer.cursor, outcome=pb.Outcome(ring=ring)), timeout=10)
            found["second"].append(loop.time() - due)

        async def nothing(due: float) -> None:
            await health.Check(health_pb2.HealthCheckRequest(), timeout=10)
            found["null"].append(loop.time() - due)

        await paced(rate, [nothing for _ in range(rate * seconds // 4)])
        await paced(rate, [partial(one, each) for each in questions(rate * seconds)])
    for name, values in found.items():
        ordered = [value * 1000 for value in sorted(values)]
        shares = "  ".join(f"{label} {percentile(ordered, share):6.2f}" for label, share in (("p50", 0.5), ("p99", 0.99), ("max", 1)))
        print(f"{name:7} {len(ordered):6} at {rate}/s  {shares} ms")


def memory(pid: int) -> float:
    """Resident MiB."""
    return next(int(line.split()[1]) / 1024 for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))


async def fill(dsn: str, calls: int) -> None:
    """The ledger of cdr with past calls: their decisions, and the records by which they are found."""
    pool = await asyncpg.connect(dsn)
    start = datetime(2026, 1, 6, 9, tzinfo=UTC)
    kinds = past_calls(config_of(company()))
    step = 5_000
    for first in range(0, calls, step):
        events, records = [], []
        for number in range(first, min(first + step, calls)):
            at, name = start + timedelta(seconds=number), f"c{number:07}"
            bodies = enumerate(kinds[number % len(kinds)], 1)
            events += [(TENANT, name, seq, uuid4(), "carillon.call.routing_decided.v1", at, body) for seq, body in bodies]
            records.append((TENANT, name, at, "inbound", "answered", "", "", "", "{}"))
        await pool.copy_records_to_table(
            "call_event", records=events, columns=["tenant", "call_id", "seq", "event_id", "type", "at", "body"]
        )
        columns = ["tenant", "call_id", "started_at", "direction", "status", "caller", "dialled", "answered_by", "data"]
        await pool.copy_records_to_table("call_record", records=records, columns=columns)
    await pool.execute("analyze")
    await pool.close()


async def compare(address: str, processes: dict[str, int], calls: int) -> None:
    """A draft over so many calls, and what each process does for it."""
    before, began, told = cpu_seconds(processes), time.perf_counter(), 0
    async with channel(address, issue_token(KEY, "bench", TENANT, {ADMIN}), TENANT) as link:
        stub: Any = RoutingServiceStub(link)
        async for each in stub.ComparePlan(routing_pb2.ComparePlanRequest(plan_draft_id="draft", max_calls=calls), timeout=1800):
            last, told = each, told + 1
    wall, after = time.perf_counter() - began, cpu_seconds(processes)
    assert last.done
    assert last.read == calls
    cpu = {name: after[name] - before[name] for name in processes}
    print(f"{last.read} calls, {last.by_plan} by the plan, {last.elsewhere} elsewhere, {told} messages of progress")
    print(f"{wall:.1f} s; CPU s: {', '.join(f'{name} {used:.1f}' for name, used in cpu.items())}, together {sum(cpu.values()):.1f}")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--compare", type=int, default=0, help="past calls; 0: none")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="carillon-bench-") as folder:
        Path(folder).chmod(0o755)
        nats = EmbeddedNats(Path(folder) / "nats", free_port(), durable=False).run()
        postgres = EmbeddedPostgres(Path(folder) / "postgres", free_port(), durable=False).run(60)
        try:
            asyncio.run(measure(options, nats, postgres))
        finally:
            postgres.close()
            nats.close()


async def measure(options: argparse.Namespace, nats: EmbeddedNats, postgres: EmbeddedPostgres) -> None:
    """With bus and database up."""
    await ensure_database(postgres.dsn(), "carillon")
    dsns = {name: await ensure_role_and_schema(postgres.dsn("carillon"), name, "password") for name in ("routing", "cdr")}
    async with await Bus.connect(nats.url(), "bench") as bus:
        await bus.ensure_stream(CONFIG)
        await publish_company(bus, company())
    addresses = {"nats_url": nats.url()}
    async with (
        service("cdr", postgres_dsn=dsns["cdr"], **addresses) as (records, cdr),
        service("routing", postgres_dsn=dsns["routing"], cdr=records, **addresses) as (address, routing),
    ):
        print(f"memory of routing, resident: {memory(routing):.0f} MiB")
        await delays(address, options.rate, options.seconds)
        print(f"memory of routing, resident: {memory(routing):.0f} MiB")
        if options.compare:
            await fill(dsns["cdr"], options.compare)
            await compare(address, {"routing": routing, "cdr": cdr, "postgres": postgres.pid}, options.compare)
            print(f"memory of routing, resident: {memory(routing):.0f} MiB")


if __name__ == "__main__":
    main()
