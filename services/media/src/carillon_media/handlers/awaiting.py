"""Asking an application, while a caller waits, whether the wait is to end.

Always: one question of a wait is under way at a time, each with a deadline; it ends with the wait.
"""

import asyncio
from typing import TYPE_CHECKING

from carillon_media.domain import inputs, outputs
from carillon_media.ports import NoDecision

if TYPE_CHECKING:
    from carillon_media.handlers.actor import CallActor

#: Until an application that does not answer is asked again; at the end of the wait it is asked anyway.
AGAIN_SECONDS = 0.5


async def begin(actor: "CallActor", output: outputs.AwaitSignal) -> None:
    actor.awaits.add(output.wait_id)
    actor.board.spawn(_ask(actor, output))


async def end(actor: "CallActor", output: outputs.StopAwaiting) -> None:
    actor.awaits.discard(output.wait_id)


async def _ask(actor: "CallActor", output: outputs.AwaitSignal) -> None:
    facts = output.facts or actor.call.facts
    while output.wait_id in actor.awaits:
        try:
            signalled = await actor.parts.applications.signalled(output.application, facts, output.cursor)
        except NoDecision:
            signalled = False
            await asyncio.sleep(AGAIN_SECONDS)
        if signalled:
            actor.awaits.discard(output.wait_id)
            actor.post(inputs.Signalled(output.wait_id))
