"""Tells of calls for help, also of those that a user sends there: an audit event, a letter and calls to whom the tenant named.

Always: the call is not held up by it, for it is told by the call's events; each call is told of once, however often its event comes,
because letter and event have ids made of the call's, and each phone is called once for each number that the call went to. Letters go
first, for phones need the database. What is told of too late (`TOO_LATE`, for phones the time for which they are called) is not.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from carillon_contracts.audit import audit_event
from carillon_contracts.envelope import Event
from carillon_contracts.letter import LetterRequested
from carillon_contracts.streams import AUDIT, CALLS, LETTERS, letter_subject
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.bus import Bus, ConsumerSpec, Delivered, PublishFailed, Retry
from carillon_kit.clock import Clock
from carillon_routing.domain.call_orders import EXPIRES
from carillon_routing.domain.emergencies import WITHHELD, Notice, notice
from carillon_routing.domain.facts import CallFacts, Direction
from carillon_routing.ports import Orders, OrdersAway

CONSUMER = ConsumerSpec(
    stream=CALLS.name,
    durable="routing-emergencies",
    subject=tuple(f"carillon.*.call.*.{fact}" for fact in ("started", "leg_transferred", "leg_deflected")),
    max_ack_pending=512,
    linger=0.1,
)
#: After a long outage nobody is frightened by what was days ago.
TOO_LATE = timedelta(hours=24)
_IDS = UUID("2f1a3f6e-8f0c-5a53-9a3e-6a1d3a0c6b71")
SOURCE = "carillon/routing"


class EmergencyNotices:
    """Subscriber of stream CALLS. `config`: a tenant's configuration as it is now."""

    def __init__(self, bus: Bus, config: Callable[[str], TenantConfig | None], clock: Clock, orders: Orders) -> None:
        self._bus = bus
        self._orders = orders
        self._config = config
        self._clock = clock

    async def handle(self, messages: list[Delivered]) -> None:
        """Raises `Retry` while the streams or the database take nothing, ValueError for what is no event of a call."""
        try:
            for call, found in [known for message in messages if (known := await self._written(message)) is not None]:
                for told in found.phones:
                    about = (told.phone, found.event.number, call.call_id)
                    await self._orders.add(call.tenant_id, "emergency_notice", *about, words=told.words, language=told.language)
        except (PublishFailed, OrdersAway, OSError, TimeoutError) as error:
            raise Retry(1.0) from error

    async def _written(self, message: Delivered) -> tuple[CallFacts, Notice] | None:
        """Of whom phones are to be told."""
        event = Event.received(message.subject, message.data)
        config = self._config(event.tenantid)
        if config is None or self._clock.now() - event.time > TOO_LATE:
            return None
        call, connects = _call(event)
        found = notice(config, call, event.time, connects)
        if found is None:
            return None
        about = f"{call.tenant_id}/{call.call_id}" + (f"/{event.seq}" if connects else "")
        audit_id, letter_id = uuid5(_IDS, f"{about}/audit"), uuid5(_IDS, f"{about}/letter")
        subject, payload = audit_event(
            found.event, call.tenant_id, event_id=audit_id, source=SOURCE, about=f"calls/{call.call_id}", at=event.time
        )
        await self._bus.publish(AUDIT.name, subject, payload, str(audit_id))
        if found.recipients:
            await self._write(call, found, event.time, letter_id)
        return (call, found) if self._clock.now() - event.time < EXPIRES["emergency_notice"] else None

    async def _write(self, call: CallFacts, found: Notice, at: datetime, letter_id: UUID) -> None:
        letter = LetterRequested(to=found.recipients, subject=found.subject[:300], text=found.text, language=found.language)
        request = Event(
            id=letter_id,
            source=SOURCE,
            type=f"carillon.{LetterRequested.TYPE}",
            subject=call.call_id,
            time=at,
            data=letter.model_dump(mode="json"),
            tenantid=call.tenant_id,
            callid=call.call_id,
        )
        await self._bus.publish(LETTERS.name, letter_subject(call.tenant_id), request.to_json(), str(letter_id))


def _call(event: Event) -> tuple[CallFacts, str]:
    """The call that is made, in whose name, and who is connected if it is another."""
    data, tenant, call_id = event.data, event.tenantid, event.callid or ""
    if not event.type.startswith("carillon.call.started."):
        destination, party, other = (str(data.get(each) or "") for each in ("destination", "party", "kept_number"))
        return CallFacts(tenant, call_id, "from_user", destination, caller_user_id=party), other or WITHHELD
    dialled, number, name, user_id = (str(data.get(each) or "") for each in ("dialled", "caller", "caller_name", "caller_user_id"))
    direction: Direction = "from_user" if data.get("direction") == "from_user" else "inbound"
    return CallFacts(tenant, call_id, direction, dialled, number, name, user_id), ""
