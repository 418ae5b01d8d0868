"""Whose phones ring first in a call that is made: those at a number, by the way that routing knows for who asks."""

from dataclasses import replace

from carillon_media.domain.facts import CallFacts, Contact
from carillon_media.domain.state import FIRST_APPLICATION
from carillon_media.domain.steps import LOOK_UP, Entered, Ring, TrunkTarget
from carillon_media.handlers.control import Refused
from carillon_media.handlers.switchboard import Switchboard
from carillon_media.ports import NoDecision


async def phones_at(board: Switchboard, facts: CallFacts, number: str, purpose: str = "call") -> tuple[tuple[Contact, ...], Ring]:
    """Where what rings first at the number is reached (none if nothing of it can be), and how it is rung. Raises Refused.

    `purpose` `emergency_notice`: who is called must know of a call for help.
    """
    ring = await _where(board, replace(facts, dialled=number), purpose)
    return _contacts(board, facts, ring), ring


async def _where(board: Switchboard, facts: CallFacts, purpose: str) -> Ring:
    """What this user's dialling that number leads to. Raises Refused."""
    try:
        answer = await board.parts.applications.ask(FIRST_APPLICATION, facts, b"", Entered({LOOK_UP: purpose}))
    except NoDecision as error:
        raise Refused(f"the number cannot be looked up: {error}") from error
    if not isinstance(answer.step, Ring):
        because = next((line.reason for line in reversed(answer.trace)), "")
        raise Refused(f"{facts.dialled} is no phone that can be rung" + (f": {because}" if because else ""))
    return answer.step


def _contacts(board: Switchboard, facts: CallFacts, ring: Ring) -> tuple[Contact, ...]:
    directory, found = board.parts.directory, list[Contact]()
    for target in ring.targets:
        if target.start_after_ms > 0:
            continue
        if isinstance(target.whom, TrunkTarget):
            trunk = directory.contact_of_trunk(facts.tenant, target.whom.trunk_id, target.whom.number, facts.call_id)
            found += [trunk] if trunk is not None else []
        else:
            found += directory.contacts_of_user(facts.tenant, target.whom)
    return tuple(found)
