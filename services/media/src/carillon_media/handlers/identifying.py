"""Connected identity (RFC 4916, in P-Asserted-Identity as RFC 3325 and RFC 5876 have it): phones of the house show with whom they talk now.

Invariant: carriers are told nothing; who withholds a number is not shown; a phone is told once for each change, and again when it was busy
with an offer.
"""

import asyncio
from typing import TYPE_CHECKING

from carillon_media.domain.state import CALLER
from carillon_media.handlers.legs import LegIo
from carillon_media.ports import Fields
from carillon_sip.outputs import ReinviteFailed
from carillon_sip.uri import NameAddr, Uri

if TYPE_CHECKING:
    from carillon_media.handlers.actor import CallActor

#: A phone that is always busy, or asks for more patience than a talk has, is left alone.
MOST_AGAIN, LONGEST_PAUSE = 4, 30.0


def connect(actor: "CallActor", one: str, other: str) -> None:
    """The two legs hear each other from now on: each phone is told whom, if it believes otherwise."""
    for leg_id, with_id in ((one, other), (other, one)):
        leg = actor.legs.get(leg_id)
        known = actor.call.legs.get(leg_id)
        if leg is None or known is None or known.is_trunk or (who := identity_of(actor, with_id, known.party)) is None:
            continue
        before, leg.connected = leg.connected, who
        # A phone that we called has been shown its caller already.
        if leg.answered and before != who and (before is not None or not leg.outgoing):
            leg.told_again = 0
            actor.parts.sip.tell(leg.session, headers(leg))


def refused(actor: "CallActor", leg_id: str, failed: ReinviteFailed) -> None:
    """The phone has not taken it: after 491, or where it says when (RFC 3311 section 5.2), it is told once more after the pause."""
    leg = actor.legs.get(leg_id)
    if leg is None or not failed.retry_after or failed.retry_after > LONGEST_PAUSE or leg.told_again >= MOST_AGAIN:
        return
    leg.told_again += 1

    def again() -> None:
        if actor.board.leg_of(failed.session) == (actor, leg_id):
            actor.parts.sip.tell(failed.session, headers(leg))

    asyncio.get_running_loop().call_later(failed.retry_after, again)


def identity_of(actor: "CallActor", leg_id: str, user_id: str) -> tuple[str, str] | None:
    """Number and name of a leg's far end, as a user's phone shows it; None: there is no number to show."""
    leg, facts, directory = actor.call.legs.get(leg_id), actor.call.facts, actor.parts.directory
    if leg is None or not leg.number or (leg_id == CALLER and facts.withheld):
        return None
    if name := directory.contact_name(facts.tenant, user_id, leg.number):
        return leg.number, name
    if leg_id == CALLER:
        return leg.number, facts.caller_name
    return leg.number, "" if leg.is_trunk else directory.name_of(facts.tenant, leg.party)


def headers(leg: LegIo) -> Fields:
    """What tells the leg's phone with whom it is connected; empty: there is nothing to tell."""
    if leg.connected is None:
        return ()
    number, name = leg.connected
    return (("P-Asserted-Identity", str(NameAddr(Uri("sip", number, leg.flow.local[0]), name))),)
