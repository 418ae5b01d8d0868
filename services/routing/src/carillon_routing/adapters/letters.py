"""E-mails of plans, handed to who sends them: one a visit of a node, however often it is asked for."""

from uuid import UUID, uuid5

from carillon_contracts.envelope import Event
from carillon_contracts.letter import LetterRequested
from carillon_contracts.streams import LETTERS, letter_subject
from carillon_kit.bus import Bus, PublishFailed
from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_routing.domain.asks import Mail
from carillon_routing.domain.facts import CallFacts

_log = get_logger(__name__)
#: What the stream may take to acknowledge: media waits 300 ms for a decision.
STREAM_SECONDS = 0.2
#: Ids of letters are made of it and of tenant, call and visit.
_LETTERS = UUID("5b0d7c0e-3c55-5a8e-9d0a-4f6a5c1f7a10")


class Letters:
    """Publishes `LetterRequested`."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock

    async def take(self, call: CallFacts, mail: Mail) -> bool | None:
        """True: it will be sent. None: the stream did not acknowledge it in time, and it may be sent or not."""
        letter = LetterRequested(to=mail.recipients, subject=mail.subject or "-", text=mail.text)
        event = Event(
            id=uuid5(_LETTERS, f"{call.tenant_id}/{call.call_id}/{mail.key}"),
            source="carillon/routing",
            type=f"carillon.{LetterRequested.TYPE}",
            subject=call.call_id,
            time=self._clock.now(),
            data=letter.model_dump(mode="json"),
            tenantid=call.tenant_id,
            callid=call.call_id,
        )
        try:
            await self._bus.publish(LETTERS.name, letter_subject(call.tenant_id), event.to_json(), str(event.id), STREAM_SECONDS)
        except (PublishFailed, OSError, TimeoutError) as error:
            _log.warning("an e-mail was not taken", call=call.call_id, error=repr(error))
            return None
        return True
