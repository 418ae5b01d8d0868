"""A phone that cannot take the identity of whom it talks with is told again after its pause, and not for ever."""

from types import SimpleNamespace
from typing import Any

import pytest

from carillon_kit.testing import eventually
from carillon_media.handlers.identifying import LONGEST_PAUSE, MOST_AGAIN, refused
from carillon_sip.outputs import ReinviteFailed

pytestmark = pytest.mark.feature("M-3")
SHOWN = (("P-Asserted-Identity", '"Bob" <sip:102@127.0.0.1>'),)


class Talk:
    """An actor with one leg, and what its phone was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        leg = SimpleNamespace(connected=("102", "Bob"), told_again=0, flow=SimpleNamespace(local=("127.0.0.1", 5060)))
        self.legs = {"a": leg}
        self.parts = SimpleNamespace(sip=SimpleNamespace(tell=lambda session, headers: self.told.append((session, headers))))
        self.board = SimpleNamespace(leg_of=lambda session: (self, "a") if session == "s" and "a" in self.legs else None)

    def refuses(self, status: int, pause: float) -> None:
        refused(self, "a", ReinviteFailed("s", status, "UPDATE", pause))  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [491, 500])
async def test_it_is_told_again_after_the_pause(status: int) -> None:
    talk = Talk()
    talk.refuses(status, 0.01)
    assert not talk.told
    await eventually(lambda: talk.told == [("s", SHOWN)])


async def test_it_is_not_told_for_ever_nor_where_nobody_asks_for_it() -> None:
    talk = Talk()
    for _ in range(MOST_AGAIN + 3):
        talk.refuses(491, 0.001)
    talk.refuses(405, 0.0)
    await eventually(lambda: len(talk.told) == MOST_AGAIN)
    other = Talk()
    other.refuses(500, LONGEST_PAUSE + 1)
    assert other.legs["a"].told_again == 0


async def test_a_leg_that_is_over_meanwhile_is_told_nothing() -> None:
    gone, stays = Talk(), Talk()
    gone.refuses(491, 0.001)
    gone.legs.clear()
    stays.refuses(491, 0.01)
    await eventually(lambda: len(stays.told) == 1)
    assert not gone.told
