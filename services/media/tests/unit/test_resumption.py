"""Legs of calls that a dead process left."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from carillon_kit.clock import ManualClock
from carillon_media.domain.key_memory import NOTHING_REMEMBERED
from carillon_media.domain.state import Leg
from carillon_media.handlers.resumption import Resumption


@pytest.mark.feature("M-2")
def test_a_trunk_s_leg_goes_on_with_the_trunk_s_own_secrecy_and_networks() -> None:
    """What is negotiated anew after the death is negotiated as before it."""
    trunks = SimpleNamespace(
        again=lambda leg, tenant, trunk_id: None,
        media_networks=lambda tenant, trunk_id: (f"{tenant}/{trunk_id}",),
        srtp=lambda tenant, trunk_id: "required" if (tenant, trunk_id) == ("acme", "carrier") else "by_transport",
    )
    now = datetime(2026, 3, 2, 9, tzinfo=UTC)
    sip = SimpleNamespace(resume=lambda session, credentials: "ours")
    board: Any = SimpleNamespace(parts=SimpleNamespace(trunks=trunks, sip=sip, clock=ManualClock(now)))
    kept: Any = SimpleNamespace(
        session=SimpleNamespace(flow=None, remote_body=b""),
        plane="c1/b1",
        media=None,
        outgoing=True,
        answered=True,
        awaits_answer=False,
        connected=None,
        refer="",
        told=False,
        keys=NOTHING_REMEMBERED,
    )
    actor: Any = SimpleNamespace(legs={}, call=SimpleNamespace(facts=SimpleNamespace(tenant="acme", call_id="c1")))
    found: Any = SimpleNamespace(died_at=now)
    resumption = Resumption(board, found)
    assert resumption._take_leg(actor, Leg("b1", "trunk:carrier", "+41791234567", "answered"), kept)
    assert resumption._take_leg(actor, Leg("a", "anne", "101", "answered"), kept)
    assert {name: (leg.srtp, leg.media_networks) for name, leg in actor.legs.items()} == {
        "b1": ("required", ("acme/carrier",)),
        "a": ("by_transport", ()),
    }
