"""Transfers across nodes when the call that asks has changed while the other node was waited for."""

from types import SimpleNamespace
from typing import Any

import pytest

from carillon_media.domain import inputs
from carillon_media.domain.state import CallState, Leg, Talking
from carillon_media.domain.steps import Ring, RingOutcome
from carillon_media.handlers.joining import There
from carillon_media.handlers.transfers import NOT_POSSIBLE, Transfers

pytestmark = pytest.mark.feature("M-4")
TALKING = Talking("b1", Ring(()), RingOutcome("answered", ()))


class Phone:
    """The signalling side: what was said and ended."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *given: self.said.append((name, given[0]))


class Call:
    """A talk whose leg leaves as soon as somebody waits for another node."""

    def __init__(self) -> None:
        legs = {"a": Leg("a", "anne", "101", "answered"), "b1": Leg("b1", "bob", "102", "answered")}
        self.call: Any = SimpleNamespace(facts=SimpleNamespace(call_id="c1"), state=SimpleNamespace(legs=legs, phase=TALKING, anchor="a"))
        self.legs: dict[str, Any] = {name: SimpleNamespace(leg_id=name, refer="") for name in legs}

    def leave(self) -> None:
        del self.legs["b1"], self.call.state.legs["b1"]

    async def request(self, given: inputs.Request, refuses: Any) -> str:
        state: CallState = self.call.state
        return str(refuses(state))


class Elsewhere:
    """`Joining` at which the other side talks, or is gone to be rung at `rung`."""

    def __init__(self, actor: Call, there: Any, rung: str) -> None:
        self.actor, self.there, self.rung = actor, there, rung

    async def find(self, *given: object) -> Any:
        return self.there

    async def settled(self, *given: object) -> Any:
        if self.rung:
            self.actor.leave()
        return self.rung or self.there

    async def join(self, *given: object) -> Any:
        self.actor.leave()
        return inputs.LegAdopted("b1", "theirs", "carol", "103", "PCMA", "c2")


@pytest.mark.parametrize("rung", ["", "103"])
async def test_a_leg_that_went_meanwhile_is_told_and_what_was_taken_over_is_let_go(rung: str, monkeypatch: pytest.MonkeyPatch) -> None:
    phone, actor = Phone(), Call()

    async def close(plane: str) -> None:
        phone.close(plane)

    held = {"theirs": SimpleNamespace(session="theirs", plane="p1", unacknowledged=True)}
    parts = SimpleNamespace(sip=phone, plane=SimpleNamespace(close=close))
    board: Any = SimpleNamespace(parts=parts, claim=lambda handle: held.pop(handle, None))
    transfers = Transfers(board)
    joining: Any = Elsewhere(actor, There("second", SimpleNamespace(), "x"), rung)  # type: ignore[arg-type]
    transfers.joining = joining
    monkeypatch.setattr("carillon_media.domain.transferring.transfers", lambda state, phase, leg: True)
    asking: Any = actor
    assert await transfers._join_there(asking, "b1", {"x"}, "refer-1") == NOT_POSSIBLE
    if rung:
        assert phone.said == [("decline_refer", "refer-1")]
    else:
        assert phone.said == [
            ("accept_refer", "refer-1"),
            ("notify_refer", "refer-1"),
            ("ack", "theirs"),
            ("bye", "theirs"),
            ("close", "p1"),
        ]
        assert not held
