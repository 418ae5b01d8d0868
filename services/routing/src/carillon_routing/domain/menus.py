"""A menu: what is spoken, which digits are gathered, and what they mean.

A digit that is a key and begins no extension acts at once. One that begins an extension waits shortly for the rest, if extensions may be
dialled; without a rest it is the key. A wrong key and no key each have their message; after the replays the caller chose nothing.
"""

from collections.abc import Iterable

from carillon_contracts.config import Menu, MenuKey
from carillon_routing.domain.cursor import MenuWait
from carillon_routing.domain.facts import Gather, Gathered, Phrase
from carillon_routing.domain.walk import ENDS, MAX_PHRASES, Move, Stop, ToDestination, ToNode, Walk, name_of

#: How long the rest of an extension is waited for, each digit.
REST_MS = 2500


def enter(walk: Walk, menu_id: str) -> Move:
    """The introduction and the prompt, for the first time."""
    menu = walk.config.menus.get(menu_id)
    if menu is None:
        return walk.broken(f"menu/{menu_id}", "there is no such menu")
    walk.note(f"menu/{menu_id}", True, f"plays and waits {menu.timeout_seconds} s for a key")
    return _ask(menu, 0, walk.speak(menu.introduction) + walk.speak(menu.prompt))


def pressed(walk: Walk, wait: MenuWait, gathered: Gathered) -> Move:
    """What the digits mean."""
    menu = walk.config.menus.get(wait.menu_id)
    if menu is None:
        return walk.broken(f"menu/{wait.menu_id}", "the menu was deleted meanwhile")
    digits = wait.digits + gathered.digits
    if not digits:
        return _again(walk, menu, wait.turn, f"no key within {menu.timeout_seconds} s", walk.speak(menu.no_key))
    longest = _longest_extension(walk, menu, digits)
    if not wait.digits and len(digits) == 1 and longest > 1:
        walk.note(f"menu/{menu.id} digit {digits}", True, f"begins an extension; waiting {REST_MS / 1000} s for the rest")
        return Stop(Gather((), longest - 1, REST_MS, REST_MS, _finish(menu)), MenuWait(menu.id, wait.turn, digits))
    if menu.extension_dialling and len(digits) > 1:
        extension = walk.config.extensions.get(digits)
        if extension is not None:
            walk.note(f"menu/{menu.id} extension {digits}", True, f"extension {digits} exists", name_of(extension.destination))
            walk.sender = None
            return ToDestination(extension.destination)
    key = next((key for key in menu.keys if key.key == digits), None)
    if key is not None:
        return _choose(walk, menu, key)
    return _again(walk, menu, wait.turn, f"{digits} is none of {_keys(menu)}", walk.speak(menu.wrong_key))


def _choose(walk: Walk, menu: Menu, key: MenuKey) -> Move:
    reason = f"key {key.key} was pressed"
    if key.language:
        reason += f"; the call's language is {key.language} from here on"
        walk.language = key.language
    if key.destination is None:
        walk.note(f"menu/{menu.id} key {key.key}", True, f"{reason}; it has a message, and then the menu again", f"menu/{menu.id}")
        return _ask(menu, 0, walk.speak(key.message) + walk.speak(menu.prompt))
    walk.note(f"menu/{menu.id} key {key.key}", True, reason, name_of(key.destination))
    walk.sender = None
    return ToDestination(key.destination)


def _again(walk: Walk, menu: Menu, turn: int, reason: str, message: tuple[Phrase, ...]) -> Move:
    if turn < menu.replays:
        walk.note(f"menu/{menu.id}", False, f"{reason}; replay {turn + 1} of {menu.replays}", f"menu/{menu.id}")
        return _ask(menu, turn + 1, message + walk.speak(menu.prompt))
    reason = f"{reason}; played {menu.replays} times again already"
    node = walk.node(walk.sender) if walk.sender is not None else None
    if walk.sender is not None and node is not None and node.menu is not None and node.menu.no_choice:
        walk.note(f"menu/{menu.id} no choice", True, f"{reason}; the node says where to", f"node {node.menu.no_choice}")
        return ToNode(walk.sender[0], node.menu.no_choice)
    if menu.no_choice is not None:
        walk.note(f"menu/{menu.id} no choice", True, f"{reason}; the menu says where to", name_of(menu.no_choice))
        walk.sender = None
        return ToDestination(menu.no_choice)
    walk.note(f"menu/{menu.id} no choice", True, f"{reason}; neither node nor menu says where to", "hang_up")
    return Stop(ENDS["answered"])


def _ask(menu: Menu, turn: int, phrases: tuple[Phrase, ...]) -> Stop:
    timeout_ms = menu.timeout_seconds * 1000
    return Stop(Gather(phrases[:MAX_PHRASES], 1, timeout_ms, timeout_ms), MenuWait(menu.id, turn))


def _keys(menu: Menu) -> str:
    keys = ", ".join(key.key for key in menu.keys) or "no key"
    return f"{keys}, nor an extension" if menu.extension_dialling else keys


def _finish(menu: Menu) -> str:
    return "" if any(key.key == "#" for key in menu.keys) else "#"


def _longest_extension(walk: Walk, menu: Menu, digits: str) -> int:
    """Length of the longest extension that begins with the digits; 0 if none may be dialled."""
    if not menu.extension_dialling:
        return 0
    extensions: Iterable[str] = walk.config.extensions
    return max((len(extension) for extension in extensions if extension.startswith(digits)), default=0)
