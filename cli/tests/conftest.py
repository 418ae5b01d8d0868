"""Fixtures of the command's tests."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from carillon_contracts.envelope import Event, EventData

START = datetime(2026, 11, 24, 9, 15, tzinfo=UTC)
Told = tuple[float, str | None, EventData]


@pytest.fixture
def call() -> Callable[..., list[Event]]:
    """Makes the events of one call from (seconds, leg, data)."""

    def make(*told: Told, configseq: int | None = None) -> list[Event]:
        return [
            Event(
                id=UUID(int=seq),
                source="carillon/media/test",
                type=f"carillon.{data.TYPE}",
                subject="c1",
                time=START + timedelta(seconds=after),
                data=data.model_dump(mode="json"),
                tenantid="dupont",
                callid="c1",
                legid=leg,
                seq=seq,
                configseq=configseq,
            )
            for seq, (after, leg, data) in enumerate(told, 1)
        ]

    return make
