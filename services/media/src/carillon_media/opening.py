"""What the media service has before anything else and closes last: the journal, what it left open, and the ways to others."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import grpc.aio

from carillon.cdr.v1.cdr_pb2_grpc import LedgerServiceStub
from carillon.common.v1.call_application_pb2_grpc import CallApplicationStub
from carillon_kit.auth import SERVICE, issue_token
from carillon_kit.clock import SystemClock
from carillon_kit.grpc_client import channel
from carillon_kit.lifecycle import Tasks
from carillon_kit.logs import get_logger
from carillon_media.adapters.applications import GrpcApplications
from carillon_media.adapters.boot import boot_id
from carillon_media.adapters.call_log import JournalledCallLog
from carillon_media.adapters.heartbeat import Heartbeat
from carillon_media.adapters.journal import CallKey, Journal, JournalRecord
from carillon_media.adapters.pooled_ids import PooledIds
from carillon_media.adapters.publisher import Confirm, EndedCall, Publisher, confirm_by_grpc
from carillon_media.adapters.spool import FileSpool
from carillon_media.handlers.recovery import Found, Recovery
from carillon_media.handlers.snapshots import Snapshots
from carillon_media.settings import MediaSettings
from carillon_rtp.client import PlaneClient

_log = get_logger("app")


@dataclass(frozen=True, slots=True)
class Opened:
    """What is closed only after every task that uses it has ended."""

    journal: Journal
    records: Sequence[JournalRecord]
    died_at: datetime | None
    confirm: Confirm
    applications: GrpcApplications
    plane: PlaneClient


async def open_all(settings: MediaSettings, stack: AsyncExitStack) -> Opened:
    """What the calls of the process before need to be taken up, and who is asked about calls."""
    died_at = Heartbeat(settings.data / "alive").last()
    journal, records = await asyncio.to_thread(Journal.open, settings.data / "journal")
    stack.push_async_callback(journal.close)
    token = issue_token(settings.token_key.get_secret_value(), f"media/{settings.node}", None, [SERVICE])
    confirm = await _confirm(settings, token, stack)
    applications = await _applications(settings, token, stack)
    plane = await PlaneClient.connect(settings.plane_socket, within=settings.plane_seconds)
    stack.push_async_callback(plane.disconnect)
    return Opened(journal, records, died_at, confirm, applications, plane)


async def recover(
    settings: MediaSettings, opened: Opened, publisher: Publisher, spool: FileSpool, tasks: Tasks, ids: PooledIds
) -> tuple[JournalledCallLog, FileSpool, Found]:
    """End in the journal what the process before left open and cannot be taken up; then publish, upload and beat."""
    publisher.recover(opened.records)
    tasks.start(publisher.run(), "publisher")
    log = JournalledCallLog(opened.journal, publisher)
    recovery = Recovery(
        log, spool, SystemClock(), ids, settings.node, snapshots(settings), boot=boot_id(), resume_seconds=settings.resume_seconds
    )
    found = await recovery.run(opened.records, list(spool.leftovers()), opened.died_at)
    if found.cut or found.open:
        _log.warning("the process before had calls", taken_up=len(found.open), ended=found.cut)
    tasks.start(Heartbeat(settings.data / "alive").run(), "heartbeat")
    tasks.start(spool.upload_for_ever(), "recordings")
    return log, spool, found


def snapshots(settings: MediaSettings) -> Snapshots:
    """Sealed with the installation's key."""
    return Snapshots(settings.token_key.get_secret_value().encode())


async def _applications(settings: MediaSettings, token: str, stack: AsyncExitStack) -> GrpcApplications:
    stubs: dict[str, Any] = {}
    for name, target in settings.applications.items():
        link = channel(target, token)
        stack.push_async_callback(link.close, None)
        stubs[name] = CallApplicationStub(link)
    return GrpcApplications(stubs)


async def _confirm(settings: MediaSettings, token: str, stack: AsyncExitStack) -> Confirm:
    if not settings.cdr:
        return _never
    link = channel(settings.cdr, token)
    stack.push_async_callback(link.close, None)
    stub: Any = LedgerServiceStub(link)
    return confirm_by_grpc(stub)


async def directory_channel(settings: MediaSettings, stack: AsyncExitStack) -> grpc.aio.Channel | None:
    """Without a token of ours: it is asked in the names of those who ask us."""
    if not settings.directory:
        return None
    link = grpc.aio.insecure_channel(settings.directory)
    stack.push_async_callback(link.close, None)
    return link


async def _never(calls: Sequence[EndedCall]) -> Collection[CallKey]:
    return ()
