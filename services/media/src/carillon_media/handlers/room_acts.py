"""What a call wants of a conference room."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from carillon_media.domain import outputs

if TYPE_CHECKING:
    from carillon_media.handlers.actor import CallActor


async def enter(actor: "CallActor", output: outputs.EnterRoom) -> None:
    await actor.board.rooms.enter(actor, output.leg_id, output.step, silent=output.silent)


async def leave(actor: "CallActor", output: outputs.LeaveRoom) -> None:
    await actor.board.rooms.leave(actor)


async def press(actor: "CallActor", output: outputs.PressInRoom) -> None:
    await actor.board.rooms.press(actor, output.digit)


DO: Mapping[type, Callable[["CallActor", Any], Awaitable[None]]] = {
    outputs.EnterRoom: enter,
    outputs.LeaveRoom: leave,
    outputs.PressInRoom: press,
}
