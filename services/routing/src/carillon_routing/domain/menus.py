"""A menu: what is spoken, which digits are gathered, and what they mean.

A digit that is a key and begins no extension acts at once. One that begins an extension waits shortly for the rest, if extensions may be
dialled; without a rest it is the key. A wrong key and no key each have their message; after the replays the caller chose nothing.
"""

from dataclasses import replace

from carillon_contracts.config import Menu, MenuKey
from carillon_routing.domain.compiled import longest_extension
from carillon_routing.domain.cursor import MenuWait
from carillon_routing.domain.facts import Gather, Gathered, Phrase, Play
from carillon_routing.domain.schedules import is_open
from carillon_routing.domain.walk import ENDS, MAX_PHRASES, Move, Stop, ToDestination, ToNode, Walk, name_of

#: How long the rest of an extension is waited for, each digit.
REST_MS = 2500


def enter(walk: Walk, menu_id: str) -> Move:
    """The introduction and the prompt, for the first time."""
    menu = walk.config.menus.get(menu_id)
    if menu is None:
        return walk.broken(f"menu/{menu_id}", "there is no such menu")
    elsewhere = _elsewhere(walk, menu)
    if elsewhere is not None:
        return elsewhere
    walk.note(f"menu/{menu_id}", True, f"plays and waits {menu.key_seconds} s for a key")
    since = int(walk.now.timestamp())
    return _ask(menu, MenuWait(menu.id, since=since), walk.speak(menu.introduction) + walk.speak(menu.prompt))


def _elsewhere(walk: Walk, menu: Menu) -> Move | None:
    """Where every caller goes at once, or who comes out of hours."""
    if menu.redirect is not None:
        walk.note(f"menu/{menu.id} redirect", True, "every caller is sent on", name_of(menu.redirect))
        walk.leave()
        return ToDestination(menu.redirect)
    if not menu.schedule_id:
        return None
    schedule = walk.config.schedules.get(menu.schedule_id)
    opened, reason = (True, "there is no such schedule; the menu counts as open")
    if schedule is not None:
        opened, reason = is_open(schedule, walk.config.tenant.time_zone, walk.now)
    to = "" if opened else name_of(menu.out_of_hours) if menu.out_of_hours is not None else "hang_up"
    walk.note(f"menu/{menu.id} schedule/{menu.schedule_id}", opened, reason, to)
    if opened:
        return None
    walk.leave()
    return ToDestination(menu.out_of_hours) if menu.out_of_hours is not None else Stop(ENDS["answered"])


def pressed(walk: Walk, wait: MenuWait, gathered: Gathered) -> Move:
    """What the digits mean."""
    menu = walk.config.menus.get(wait.menu_id)
    if menu is None:
        return walk.broken(f"menu/{wait.menu_id}", "the menu was deleted meanwhile")
    digits = wait.digits + gathered.digits
    spent = int(walk.now.timestamp()) - wait.since
    if not digits and spent >= menu.overall_seconds:
        return _timed_out(walk, menu, spent)
    if not digits:
        return _again(walk, menu, wait, f"no key within {menu.key_seconds} s", walk.speak(menu.no_key))
    longest = longest_extension(walk.config, digits) if menu.extension_dialling else 0
    if not wait.digits and len(digits) == 1 and longest > 1:
        walk.note(f"menu/{menu.id} digit {digits}", True, f"begins an extension; waiting {REST_MS / 1000} s for the rest")
        return Stop(Gather((), longest - 1, REST_MS, REST_MS, _finish(menu)), replace(wait, digits=digits))
    if menu.extension_dialling and len(digits) > 1:
        extension = walk.config.extensions.get(digits)
        if extension is not None:
            walk.note(f"menu/{menu.id} extension {digits}", True, f"extension {digits} exists", name_of(extension.destination))
            walk.leave()
            return ToDestination(extension.destination)
    key = next((key for key in menu.keys if key.key == digits), None)
    way = _node_key(walk, menu, digits)
    if way is not None:
        return way
    if key is not None:
        return _choose(walk, menu, wait, key)
    return _again(walk, menu, wait, f"{digits} is none of {_keys(menu)}", walk.speak(menu.wrong_key))


def _node_key(walk: Walk, menu: Menu, digits: str) -> Move | None:
    """The way of the menu's node for the key, if it gives one."""
    node = walk.node(walk.sender) if walk.sender is not None else None
    if walk.sender is None or node is None or node.menu is None or node.menu.menu_id != menu.id:
        return None
    following = next((each.next for each in node.menu.keys if each.key == digits), None)
    if following is None:
        return None
    language = next((key.language for key in menu.keys if key.key == digits), "")
    walk.language = language or walk.language
    walk.note(f"menu/{menu.id} key {digits}", True, f"key {digits} was pressed; the node says where to", f"node {following}")
    return ToNode(walk.sender[0], following)


def _choose(walk: Walk, menu: Menu, wait: MenuWait, key: MenuKey) -> Move:
    reason = f"key {key.key} was pressed"
    if key.language:
        reason += f"; the call's language is {key.language} from here on"
        walk.language = key.language
    if key.destination is None:
        walk.note(f"menu/{menu.id} key {key.key}", True, f"{reason}; it has a message, and then the menu again", f"menu/{menu.id}")
        spent = int(walk.now.timestamp()) - wait.since
        if spent >= menu.overall_seconds:
            return _timed_out(walk, menu, spent)
        return _ask(menu, replace(wait, turn=0, digits=""), walk.speak(key.message) + walk.speak(menu.prompt))
    walk.note(f"menu/{menu.id} key {key.key}", True, reason, name_of(key.destination))
    walk.leave()
    return ToDestination(key.destination)


def _again(walk: Walk, menu: Menu, wait: MenuWait, reason: str, message: tuple[Phrase, ...]) -> Move:
    spent = int(walk.now.timestamp()) - wait.since
    if spent >= menu.overall_seconds:
        return _timed_out(walk, menu, spent)
    if wait.turn < menu.replays:
        walk.note(f"menu/{menu.id}", False, f"{reason}; replay {wait.turn + 1} of {menu.replays}", f"menu/{menu.id}")
        return _ask(menu, replace(wait, turn=wait.turn + 1, digits=""), message + walk.speak(menu.prompt))
    walk.note(f"menu/{menu.id}", False, f"{reason}; played {menu.replays} times again already")
    if menu.no_choice_message:
        walk.note(f"menu/{menu.id} no choice message", True, "is spoken to who chose nothing")
        return Stop(Play(walk.speak(menu.no_choice_message)[:MAX_PHRASES]), replace(wait, digits="", last=True))
    return no_choice(walk, menu)


def last_words(walk: Walk, wait: MenuWait) -> Move:
    """The message to who chose nothing is spoken."""
    menu = walk.config.menus.get(wait.menu_id)
    return no_choice(walk, menu) if menu is not None else walk.broken(f"menu/{wait.menu_id}", "the menu was deleted meanwhile")


def no_choice(walk: Walk, menu: Menu) -> Move:
    """Where a caller goes that chose nothing."""
    node = walk.node(walk.sender) if walk.sender is not None else None
    if walk.sender is not None and node is not None and node.menu is not None and node.menu.no_choice:
        walk.note(f"menu/{menu.id} no choice", True, "the node says where to", f"node {node.menu.no_choice}")
        return ToNode(walk.sender[0], node.menu.no_choice)
    if menu.no_choice is not None:
        walk.note(f"menu/{menu.id} no choice", True, "the menu says where to", name_of(menu.no_choice))
        walk.leave()
        return ToDestination(menu.no_choice)
    walk.note(f"menu/{menu.id} no choice", True, "neither node nor menu says where to", "hang_up")
    return Stop(ENDS["answered"])


def _timed_out(walk: Walk, menu: Menu, spent: int) -> Move:
    to = name_of(menu.timed_out) if menu.timed_out is not None else ""
    walk.note(f"menu/{menu.id} overall", True, f"{spent} s went by, of {menu.overall_seconds} in all", to)
    if menu.timed_out is None:
        return no_choice(walk, menu)
    walk.leave()
    return ToDestination(menu.timed_out)


def _ask(menu: Menu, wait: MenuWait, phrases: tuple[Phrase, ...]) -> Stop:
    timeout_ms = menu.key_seconds * 1000
    return Stop(Gather(phrases[:MAX_PHRASES], 1, timeout_ms, timeout_ms), wait)


def _keys(menu: Menu) -> str:
    keys = ", ".join(key.key for key in menu.keys) or "no key"
    return f"{keys}, nor an extension" if menu.extension_dialling else keys


def _finish(menu: Menu) -> str:
    return "" if any(key.key == "#" for key in menu.keys) else "#"
