"""A company, recordings and their audio as other services publish them, for tests.

Always: ids, times and bytes depend on the arguments alone.
"""

import io
import math
import struct
import wave
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

from carillon_contracts.call import RecordingFinished
from carillon_contracts.config import ConfigChanged, Resource, Tenant
from carillon_contracts.envelope import Event
from carillon_contracts.streams import call_subject, config_subject

START = datetime(2026, 3, 3, 9, 15, tzinfo=UTC)


def tone_wav(seconds: float = 0.5, hertz: float = 440.0) -> bytes:
    """A WAV file, 8 kHz mono 16 bit."""
    count = round(seconds * 8000)
    samples = (round(8000 * math.sin(2 * math.pi * hertz * n / 8000)) for n in range(count))
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(struct.pack(f"<{count}h", *samples))
    return file.getvalue()


def company(*more: Resource, tenant: str = "dupont", language: str = "fr") -> list[tuple[str, bytes]]:
    """The configuration events of a tenant with these resources: subject and bytes."""
    resources: Sequence[Resource] = (Tenant(id=tenant, realm=f"{tenant}.example", language=language), *more)
    return [_config(tenant, seq, resource) for seq, resource in enumerate(resources, 1)]


def _config(tenant: str, seq: int, resource: Resource) -> tuple[str, bytes]:
    after = resource.model_dump(mode="json", exclude_none=True)
    change = ConfigChanged(resource=resource.KIND, resource_id=resource.id, action="created", after=after, actor="test")
    event = Event(
        id=uuid5(NAMESPACE_URL, f"{tenant}/config/{seq}"),
        source="carillon/directory",
        type=change.event_type,
        subject=f"{resource.KIND}/{resource.id}",
        time=START,
        data=change.model_dump(mode="json"),
        tenantid=tenant,
        configseq=seq,
    )
    return config_subject(tenant, resource.KIND, "created"), event.to_json()


def recording(
    call_id: str = "c1", content: str = "sha256-00", *, tenant: str = "dupont", mailbox_id: str = "main", seq: int = 5, again: str = ""
) -> tuple[str, bytes]:
    """The event of a message that was left: subject and bytes; `again` gives the same recording another event id."""
    labels = {"purpose": "voicemail", "mailbox_id": mailbox_id, "caller_number": "+41790000001", "caller_name": "Marie Curie"}
    data = RecordingFinished(object=content, duration_ms=4200, bytes=1000, ended_by="hang_up", labels=labels)
    event = Event(
        id=uuid5(NAMESPACE_URL, f"{tenant}/{call_id}/{seq}{again}"),
        source="carillon/media/test",
        type=f"carillon.{data.TYPE}",
        subject=call_id,
        time=START,
        data=data.model_dump(mode="json"),
        tenantid=tenant,
        callid=call_id,
        legid="a",
        seq=seq,
    )
    return call_subject(tenant, call_id, data.fact()), event.to_json()
