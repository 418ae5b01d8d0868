"""What users set and dial by code for themselves: forwarding, do not disturb, calling back, withholding their number once.

Always: a change is the user's own and is spoken only when the directory has it; what cannot be found out is said to be impossible now.
"""

from collections.abc import Mapping
from dataclasses import replace

from pydantic import JsonValue

from carillon_contracts.config import Destination, Feature, User
from carillon_contracts.feature_codes import Coded
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.asks import ChangeUser, LastCaller
from carillon_routing.domain.cursor import PlayWait
from carillon_routing.domain.dialling import ToExtension, ToOutside, ToOwnNumber, dialled_by_user
from carillon_routing.domain.facts import HangUp, Play
from carillon_routing.domain.feature_phrases import Said, phrase
from carillon_routing.domain.walk import BARRED, ENDS, UNKNOWN_NUMBER, Stop, Walk

UNCONDITIONAL, SUSPENDED = "forwarding.unconditional", "forwarding.suspended"
#: How a call ends that a user has sent to what cannot be.
_REFUSED: Mapping[Said, HangUp] = {
    "not_allowed": BARRED,
    "barred": BARRED,
    "code_blocked": BARRED,
    "no_such_extension": UNKNOWN_NUMBER,
    "not_now": HangUp(41, 503, "not possible now"),
    **dict.fromkeys(("nothing_there", "nobody_talks", "nobody_listens", "nobody_called"), ENDS["unreachable"]),
}
_SAID: Mapping[Feature, Said] = {"forward_on": "forward_on", "forward_off": "forward_off", "dnd_on": "dnd_on", "dnd_off": "dnd_off"}


def change(config: TenantConfig, user: User, coded: Coded) -> ChangeUser | None:
    """The change of the user that the code wants; None: it wants none, or one that cannot be."""
    reason = coded.code + coded.argument
    match coded.feature:
        case "dnd_on" | "dnd_off":
            return ChangeUser(user.id, (("do_not_disturb", coded.feature == "dnd_on"),), ("do_not_disturb",), reason)
        case "forward_off":
            return ChangeUser(user.id, (), (UNCONDITIONAL,), reason)
        case "forward_on":
            destination = _destination(config, user, coded.argument)
            if destination is None or destination.user_id == user.id:
                return None
            fields = destination.model_dump(mode="json", exclude_none=True)
            document = tuple((f"{UNCONDITIONAL}.{name}", value) for name, value in fields.items())
            rest: list[JsonValue] = [rule for rule in user.forwarding.suspended if rule != "unconditional"]
            if len(rest) == len(user.forwarding.suspended):
                return ChangeUser(user.id, document, (UNCONDITIONAL,), reason)
            return ChangeUser(user.id, (*document, (SUSPENDED, rest)), (UNCONDITIONAL, SUSPENDED), reason)
        case _:
            return None


def changed(walk: Walk, coded: Coded) -> Stop:
    """Make the change and tell what became of it."""
    user = walk.config.users.get(walk.call.caller_user_id)
    wanted = change(walk.config, user, coded) if user is not None else None
    if wanted is None:
        walk.note(
            f"feature {coded.feature} {coded.code}", False, f"{coded.argument or 'it'} cannot be set for user/{walk.call.caller_user_id}"
        )
        return say(walk, "no_such_extension" if user is not None else "not_allowed")
    done = walk.ask(wanted) is True
    reason = "the directory has it" if done else "the directory did not take it"
    walk.note(f"feature {coded.feature} {coded.code}", done, f"{', '.join(wanted.paths)} of user/{wanted.user_id}: {reason}")
    return say(walk, _SAID[coded.feature] if done else "not_now")


def _destination(config: TenantConfig, user: User, digits: str) -> Destination | None:
    match dialled_by_user(config, digits, user.id):
        case ToExtension(extension):
            user_id = extension.destination.user_id
            return Destination(user_id=user_id) if user_id else Destination(extension_id=extension.id)
        case ToOwnNumber(number):
            return Destination(external_number=number.id)
        case ToOutside(number) if number.startswith("+"):
            return Destination(external_number=number)
        case _:
            return None


def redial(walk: Walk, coded: Coded) -> Stop | None:
    """The call goes on as if something else had been dialled, which `walk.call` then says; or it ends with what is spoken."""
    if coded.feature == "withhold":
        walk.note(f"feature withhold {coded.code}", True, "the caller is not shown", coded.argument)
        walk.call = replace(walk.call, dialled=coded.argument, withheld=True)
        return None
    known = walk.call.caller_user_id in walk.config.users
    number = walk.ask(LastCaller(walk.call.caller_user_id)) if known else None
    if not isinstance(number, str) or not number:
        reason = "it could not be found out" if number is None else "nobody called, or the last one was withheld"
        walk.note(f"feature call_return {coded.code}", False, reason)
        return say(walk, "not_now" if number is None else "nobody_called")
    walk.note(f"feature call_return {coded.code}", True, "who called last", number)
    walk.call = replace(walk.call, dialled=number)
    return None


def language_of(walk: Walk) -> str:
    """Of the user who dialled."""
    user = walk.config.users.get(walk.call.caller_user_id)
    return (user.language if user is not None else "") or walk.config.tenant.language


def say(walk: Walk, said: Said) -> Stop:
    """Tell who dialled, then end. Who was sent there hears nothing: it would count as an answer, and the call would not go back."""
    if walk.sent and said in _REFUSED:
        return Stop(_REFUSED[said])
    return Stop(Play((phrase(said, language_of(walk)),)), PlayWait())
