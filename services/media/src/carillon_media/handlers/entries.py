"""What a call's machine wants kept, as lines of the call's log."""

import orjson

from carillon_media.domain import outputs
from carillon_media.domain.facts import CallFacts
from carillon_media.handlers.envelope import event_json
from carillon_media.ports import Entry, Parts


def entry_of(output: outputs.Journal | outputs.Remember, facts: CallFacts, parts: Parts) -> Entry:
    """The event in its envelope, with a new id and the time of now; or the private fact."""
    if isinstance(output, outputs.Remember):
        fact = {
            "recording_id": output.recording_id,
            "leg_id": output.leg_id,
            "min_ms": output.min_ms,
            "labels": dict(output.labels),
        }
        return Entry("private", 0, orjson.dumps(fact))
    data = event_json(
        output.event,
        event_id=parts.ids.uuid7(),
        source=f"carillon/media/{parts.node}",
        tenant=facts.tenant,
        subject=facts.call_id,
        at=parts.clock.now(),
        call_id=facts.call_id,
        leg_id=output.leg_id,
        seq=output.seq,
        config_seq=output.config_seq,
    )
    return Entry("event", output.seq, data)
