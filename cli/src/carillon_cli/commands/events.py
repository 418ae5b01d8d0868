"""`carillon events`: the published events as any other subscriber sees them, by plain NATS.

Always: one line per event (`--json`: the CloudEvent as it was published); with a tenant, its own NATS user is used, so that nothing
of another tenant could be seen; `--since` needs the streams and therefore the operator.
"""

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoServersError
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import ConsumerConfig, DeliverPolicy
from pydantic import ValidationError

from carillon_cli.commands.records import moment
from carillon_cli.errors import CliError
from carillon_cli.render.tables import event_line
from carillon_cli.system import System, load, system_arguments
from carillon_contracts.envelope import Event
from carillon_contracts.streams import STREAMS

CONNECT_SECONDS = 5
#: `--since` without `--follow` ends when the streams are silent for so long.
SILENCE_SECONDS = 1.0
#: Messages that wait for a slow terminal before the server cuts the connection.
PENDING = 65_536
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon events`."""
    parser.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
    parser.add_argument("--since", metavar="WHEN", help="first what was published since: 90s, 10m, 2h, 1d or an instant")
    parser.add_argument("--json", action="store_true", help="CloudEvents as they were published, one a line")
    parser.add_argument("--call", metavar="CALL_ID", help="of this call only")
    system_arguments(parser)


def since(text: str, now: datetime) -> datetime:
    """`10m` before now, or an instant. Raises `CliError`."""
    if text[-1:] in UNITS and text[:-1].isdecimal():
        return now - timedelta(seconds=int(text[:-1]) * UNITS[text[-1]])
    return moment(text)


def run(options: argparse.Namespace) -> int:
    """Print events."""
    if not (options.follow or options.since):
        raise CliError("nothing to show", "Give --follow, --since WHEN, or both.")
    system = load(options.data)
    tenant = system.tenant(options.tenant) if options.tenant or len(system.tenants) == 1 else None
    asyncio.run(_print(system, tenant, options))
    return 0


async def _print(system: System, tenant: str | None, options: argparse.Namespace) -> None:
    start = since(options.since, datetime.now().astimezone()) if options.since else None
    async for raw in published(system, tenant, start, follow=options.follow):
        try:
            event = Event.from_json(raw)
        except ValidationError:
            continue
        if options.call is None or event.callid == options.call:
            print(raw.decode() if options.json else event_line(event), flush=True)


async def published(system: System, tenant: str | None, start: datetime | None, *, follow: bool) -> AsyncIterator[bytes]:
    """Messages as they lie on the bus. Raises `CliError` when NATS cannot be reached."""
    url = system.nats_url if tenant is None or start is not None else str(system.entry(tenant).get("nats", {}).get("url", system.nats_url))
    inbox = "_INBOX" if url == system.nats_url else f"_INBOX.{tenant}"
    connection = await connect(url, inbox)
    try:
        queue: asyncio.Queue[Msg] = asyncio.Queue(PENDING)
        subject = f"carillon.{tenant or '*'}.>"
        await (_replay(connection, subject, start, queue) if start is not None else connection.subscribe(subject, cb=queue.put))
        while True:
            try:
                message = await asyncio.wait_for(queue.get(), None if follow else SILENCE_SECONDS)
            except TimeoutError:
                return
            yield message.data
    finally:
        with contextlib.suppress(NatsError):
            await connection.close()


async def connect(url: str, inbox: str = "_INBOX") -> Client:
    """A plain NATS connection that comes back by itself once it was there. Raises `CliError`."""

    async def silent(_: Exception) -> None:
        """Reconnecting is tried quietly; who follows sees the events go on."""

    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await nats.connect(url, inbox_prefix=inbox, error_cb=silent, max_reconnect_attempts=-1, reconnect_time_wait=0.5)
    except (NoServersError, NatsTimeout, NatsError, OSError, TimeoutError) as error:
        raise CliError(f"NATS cannot be reached: {error or 'no answer'}", "Is the system still running?") from error


async def _replay(connection: Client, subject: str, start: datetime, queue: asyncio.Queue[Msg]) -> None:
    """One ordered consumer for each subject of a stream, from the instant on."""
    stream_api = connection.jetstream()
    # What has no place for the tenant stands above the tenants.
    for name, held in ((stream.name, held) for stream in STREAMS for held in stream.subjects if "*" in held):
        filtered = held.replace("*", subject.split(".")[1], 1)
        config = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=start)
        await stream_api.subscribe(filtered, stream=name, ordered_consumer=True, config=config, cb=queue.put)
