"""Tells of calls for help: an audit event, and a letter to whom the tenant named.

Always: the call is not held up by it, for it is told by the call's events; each call is told of once, however often its event comes,
because letter and event have ids made of the call's. What is told of too late (`TOO_LATE`) is not.
"""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid5

from pydantic import ValidationError

from carillon_contracts.audit import audit_event
from carillon_contracts.envelope import Event
from carillon_contracts.letter import LetterRequested
from carillon_contracts.streams import AUDIT, CALLS, LETTERS, letter_subject
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.bus import Bus, ConsumerSpec, Delivered, PublishFailed, Retry
from carillon_kit.clock import Clock
from carillon_routing.domain.emergencies import notice
from carillon_routing.domain.facts import CallFacts, Direction

CONSUMER = ConsumerSpec(
    stream=CALLS.name, durable="routing-emergencies", subject=("carillon.*.call.*.started",), max_ack_pending=512, linger=0.1
)
#: After a long outage nobody is frightened by what was days ago.
TOO_LATE = timedelta(hours=24)
_IDS = UUID("2f1a3f6e-8f0c-5a53-9a3e-6a1d3a0c6b71")
SOURCE = "carillon/routing"


class EmergencyNotices:
    """Subscriber of stream CALLS. `config`: a tenant's configuration as it is now."""

    def __init__(self, bus: Bus, config: Callable[[str], TenantConfig | None], clock: Clock) -> None:
        self._bus = bus
        self._config = config
        self._clock = clock

    async def handle(self, messages: list[Delivered]) -> None:
        """Raises `Retry` while the streams take nothing, ValueError for what is no event of a call."""
        try:
            for message in messages:
                await self._one(message)
        except (PublishFailed, OSError, TimeoutError) as error:
            raise Retry(1.0) from error

    async def _one(self, message: Delivered) -> None:
        try:
            event = Event.from_json(message.data)
        except ValidationError as error:
            raise ValueError(f"{message.subject} is no event: {error}") from error
        config = self._config(event.tenantid)
        if config is None or self._clock.now() - event.time > TOO_LATE:
            return
        data = event.data
        dialled, number, name, user_id = (str(data.get(each) or "") for each in ("dialled", "caller", "caller_name", "caller_user_id"))
        direction: Direction = "from_user" if data.get("direction") == "from_user" else "inbound"
        call = CallFacts(event.tenantid, event.callid or "", direction, dialled, number, name, user_id)
        found = notice(config, call, event.time)
        if found is None:
            return
        about = f"{call.tenant_id}/{call.call_id}"
        audit_id, letter_id = uuid5(_IDS, f"{about}/audit"), uuid5(_IDS, f"{about}/letter")
        subject, payload = audit_event(
            found.event, call.tenant_id, event_id=audit_id, source=SOURCE, about=f"calls/{call.call_id}", at=event.time
        )
        await self._bus.publish(AUDIT.name, subject, payload, str(audit_id))
        if not found.recipients:
            return
        letter = LetterRequested(to=found.recipients, subject=found.subject[:300], text=found.text, language=found.language)
        request = Event(
            id=letter_id,
            source=SOURCE,
            type=f"carillon.{LetterRequested.TYPE}",
            subject=call.call_id,
            time=event.time,
            data=letter.model_dump(mode="json"),
            tenantid=call.tenant_id,
            callid=call.call_id,
        )
        await self._bus.publish(LETTERS.name, letter_subject(call.tenant_id), request.to_json(), str(letter_id))
