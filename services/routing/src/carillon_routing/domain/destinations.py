"""Destinations: how each is entered."""

from collections.abc import Mapping

from carillon_contracts.config import Destination, FaxBox, Number, NumberGroup, User
from carillon_routing.domain import groups, menus, operators, queueing, users
from carillon_routing.domain.cursor import PlayWait
from carillon_routing.domain.facts import Delegate, Play
from carillon_routing.domain.walk import (
    ENDS,
    NO_FAX,
    REASONS,
    UNKNOWN_NUMBER,
    Move,
    Stop,
    ToDestination,
    ToNode,
    ToOutside,
    ToSender,
    Walk,
    lacks,
    name_of,
)

#: How long an outside number rings that a plan or a forwarding calls, when the node does not say.
EXTERNAL_RING_SECONDS = 60


def enter(walk: Walk, move: ToDestination) -> Move:
    """Carry the destination out."""
    destination = move.destination
    if destination.user_id is not None:
        return users.enter(walk, destination.user_id, move.ring_seconds)
    if destination.ring_group_id is not None:
        return groups.ring_group(walk, destination.ring_group_id)
    if destination.hunt_group_id is not None:
        return groups.hunt_group(walk, destination.hunt_group_id)
    if destination.extension_id is not None:
        return _extension(walk, destination.extension_id, move)
    if destination.queue_id is not None:
        return queueing.enter(walk, destination.queue_id)
    if destination.menu_id is not None:
        return menus.enter(walk, destination.menu_id)
    if destination.plan_id is not None:
        return _plan(walk, destination.plan_id)
    if destination.mailbox_id is not None:
        return mailbox(walk, destination.mailbox_id)
    if destination.external_number is not None:
        return _external(walk, destination.external_number, move)
    if destination.announcement is not None:
        walk.note("announcement", True, "is spoken; then the call ends", "hang_up")
        return Stop(Play(walk.speak((destination.announcement,))), PlayWait())
    if destination.conference_room_id is not None:
        return _conference(walk, destination.conference_room_id)
    if destination.fax_box_id is not None:
        return _fax_box(walk, destination.fax_box_id)
    if destination.operator is not None:
        return operators.enter(walk, move.for_user_id)
    reason = destination.hang_up or "normal"
    walk.note("hang_up", True, f"the destination is to hang up: {reason}", "hang_up")
    return Stop(REASONS[reason])


def _plan(walk: Walk, plan_id: str) -> Move:
    plan = walk.plan(plan_id)
    if plan is None:
        return walk.broken(f"plan/{plan_id}", "there is no such plan")
    walk.note(f"plan/{plan_id}", True, "starts at its first node", f"node {plan.entry}")
    return ToNode(plan_id, plan.entry)


def own_number(walk: Walk, number: Number, because: str) -> Move:
    """One of the tenant's numbers: where it leads, without a carrier."""
    group = walk.config.get(NumberGroup, number.number_group_id) if number.number_group_id else None
    if group is not None:
        walk.note(f"number {number.id}", True, f"{because}; it is one of number_group/{group.id}", name_of(group.destination))
        return ToDestination(group.destination)
    if number.destination is None:
        walk.note(f"number {number.id}", False, f"{because}; the number leads nowhere yet", "hang_up")
        return ToSender("unreachable", UNKNOWN_NUMBER)
    walk.note(f"number {number.id}", True, because, name_of(number.destination))
    return ToDestination(number.destination)


def faxes(walk: Walk, number: Number, destination: Destination) -> Move:
    """Where the number's faxes go."""
    walk.note(f"number {number.id} fax_destination", True, "a fax machine calls (CNG)", name_of(destination))
    return ToDestination(destination)


def mailbox(walk: Walk, mailbox_id: str) -> Move:
    """Voicemail decides from here on."""
    if mailbox_id not in walk.config.mailboxes:
        return walk.broken(f"mailbox/{mailbox_id}", "there is no such mailbox")
    if owner_id := walk.config.derived("routing mailboxes off", User, _switched_off).get(mailbox_id):
        walk.note(f"mailbox/{mailbox_id}", False, lacks(owner_id, "messaging"))
        return ToSender("unreachable", ENDS["unreachable"])
    walk.note(f"mailbox/{mailbox_id}", True, "takes a message", "voicemail")
    arguments = {"mailbox_id": mailbox_id}
    if walk.language:
        arguments["language"] = walk.variable("language")
    return Stop(Delegate("voicemail", arguments))


def _switched_off(users: Mapping[str, User]) -> dict[str, str]:
    """Mailboxes none of whose owners has the service, each with the first of them."""
    on = {user.mailbox_id for user in users.values() if user.services.messaging}
    found: dict[str, str] = {}
    for user in users.values():
        if user.mailbox_id and user.mailbox_id not in on:
            found.setdefault(user.mailbox_id, user.id)
    return found


def _conference(walk: Walk, room_id: str) -> Move:
    """The conference application decides from here on."""
    if room_id not in walk.config.conference_rooms:
        return walk.broken(f"conference_room/{room_id}", "there is no such room")
    owner = walk.config.users.get(walk.config.conference_rooms[room_id].owner_user_id)
    if owner is not None and not owner.services.conference:
        walk.note(f"conference_room/{room_id}", False, lacks(owner.id, "conference"))
        return ToSender("unreachable", ENDS["unreachable"])
    walk.note(f"conference_room/{room_id}", True, "lets callers in", "conference")
    arguments = {"conference_room_id": room_id}
    if walk.language:
        arguments["language"] = walk.variable("language")
    return Stop(Delegate("conference", arguments))


def _fax_box(walk: Walk, fax_box_id: str) -> Move:
    """Nobody takes faxes: the call is sent back as from a phone that cannot be reached."""
    box = walk.config.get(FaxBox, fax_box_id)
    if box is None:
        return walk.broken(f"fax_box/{fax_box_id}", "there is no such fax box")
    owner = walk.config.users.get(box.user_id)
    if owner is not None and not owner.services.fax:
        walk.note(f"fax_box/{fax_box_id}", False, lacks(owner.id, "fax"))
        return ToSender("unreachable", ENDS["unreachable"])
    walk.note(f"fax_box/{fax_box_id}", False, "no fax service answers")
    return ToSender("unreachable", NO_FAX)


def _extension(walk: Walk, extension_id: str, move: ToDestination) -> Move:
    extension = walk.config.extensions.get(extension_id)
    if extension is None:
        return walk.broken(f"extension {extension_id}", "there is no such extension")
    walk.note(f"extension {extension_id}", True, "as if it was dialled", name_of(extension.destination))
    return ToDestination(extension.destination, move.ring_seconds, move.for_user_id)


def _external(walk: Walk, number: str, move: ToDestination) -> Move:
    own = walk.config.numbers.get(number)
    if own is not None:
        return own_number(walk, own, f"{number} is one of {walk.config.tenant_id}'s own: no carrier needed")
    ring_ms = (move.ring_seconds or EXTERNAL_RING_SECONDS) * 1000
    return ToOutside(number, ring_ms, for_user_id=move.for_user_id)
