"""Events a second through the ledger: parse, insert, fold, record, outbox, on an embedded Postgres with fsync as in production.

`python services/cdr/benchmarks/ledger.py [--calls 2000] [--batch 512]`; calls overlap by `--open` calls, as they do in life. Prints
one line: events/s, microseconds of this process's CPU an event, records made. Repetition of all events is measured, too.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from carillon_cdr.adapters.postgres_ledger import PostgresLedger
from carillon_cdr.subscribers import BATCH, CallSubscriber
from carillon_cdr.testing import UNKNOWN, Script
from carillon_kit.bus import Delivered
from carillon_kit.dead_letters import MemoryDeadLetters
from carillon_kit.embedded import EmbeddedPostgres, ensure_database, ensure_role_and_schema, free_port
from carillon_kit.postgres import migrate, open_pool


def arriving(calls: int, overlap: int) -> list[Delivered]:
    """The events of all calls, interleaved: `overlap` calls are open at a time."""
    now = datetime.now(UTC)
    messages: list[tuple[str, bytes]] = []
    for start in range(0, calls, overlap):
        scripts = [Script(f"call-{number:08d}").talk().messages() for number in range(start, min(start + overlap, calls))]
        messages += [message for step in zip(*scripts, strict=True) for message in step]
    return [Delivered(subject, body, n, {}, str(n), 1, now) for n, (subject, body) in enumerate(messages, 1)]


def batches(messages: Sequence[Delivered], size: int) -> Iterator[list[Delivered]]:
    """In order."""
    for start in range(0, len(messages), size):
        yield list(messages[start : start + size])


async def measure(dsn: str, messages: Sequence[Delivered], size: int) -> None:
    """Twice through the same messages."""
    pool = await open_pool(dsn)
    await migrate(pool, "carillon_cdr.migrations")
    subscriber = CallSubscriber(PostgresLedger(pool), UNKNOWN, MemoryDeadLetters(), lambda: None)
    for name in ("first time", "repetition"):
        wall, cpu = time.perf_counter(), time.process_time()
        for batch in batches(messages, size):
            await subscriber.handle(batch)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        records = await pool.fetchval("select count(*) from call_record")
        print(f"{name}: {len(messages) / wall:,.0f} events/s, {cpu / len(messages) * 1e6:.0f} us CPU an event here, {records} records")  # noqa: T201
    await pool.close()


async def main() -> None:
    """Set up, measure, put down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--open", type=int, default=100)
    parser.add_argument("--batch", type=int, default=BATCH)
    arguments = parser.parse_args()
    messages = arriving(arguments.calls, arguments.open)
    with tempfile.TemporaryDirectory(prefix="carillon-ledger-") as folder:
        server = EmbeddedPostgres(folder, free_port()).run()
        try:
            await ensure_database(server.dsn(), "carillon")
            dsn = await ensure_role_and_schema(server.dsn("carillon"), "cdr", "cdr")
            await measure(dsn, messages, arguments.batch)
        finally:
            server.close()


if __name__ == "__main__":
    asyncio.run(main())
