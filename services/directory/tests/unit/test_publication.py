"""Changes that come many at once are one event, but those whose own time counts."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest

from carillon_contracts.config.changes import MANY_CHANGED, RESET_LINE
from carillon_contracts.config_events import changes_of, line_resets
from carillon_contracts.envelope import Event
from carillon_directory.adapters.publication import _outgoing
from carillon_kit.event_store import RawEvent

BEGIN = datetime(2026, 3, 3, 9, tzinfo=UTC)


def update(version: int, verb: str = "") -> RawEvent:
    """One change of a user an hour, as the log has it."""
    change = {"resource": "user", "resource_id": f"u{version}", "action": "updated", "after": {"last_name": RESET_LINE}, "actor": "x"}
    raw = orjson.dumps(change | {"verb": verb}).decode()
    return RawEvent(version, "tenant-acme", version, UUID(int=version), "user_updated", raw, BEGIN + timedelta(hours=version))


@pytest.mark.feature("D-18", "P-8")
def test_a_line_that_was_reset_among_many_changes_keeps_the_time_of_its_reset() -> None:
    log = [update(version, RESET_LINE if version in (40, 41, 90) else "") for version in range(2, 120)]
    events = [Event.from_json(item.payload) for item in _outgoing(log, ".copy")]
    resets = {user: event.time for event in events for user in line_resets(event)}
    assert resets == {f"u{version}": BEGIN + timedelta(hours=version) for version in (40, 41, 90)}
    assert [seq for event in events for seq, _ in changes_of(event)] == list(range(2, 120))
    assert [event.type == MANY_CHANGED for event in events] == [True, False, False, True, False, True]
