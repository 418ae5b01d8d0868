"""Hot desking by code: a user logs in on the phone that is at hand, by extension and PIN, and out again.

Always: the PIN is in no trace and no cursor, and what is said does not tell whether the extension or the PIN was wrong. Wrong PINs are
counted over all phones, and too many in a row block the user's until an admin forgets them.
"""

from carillon_contracts.config import User
from carillon_contracts.feature_codes import Coded
from carillon_kit.pins import verify_pin
from carillon_routing.domain.asks import CountTry, HavePhone
from carillon_routing.domain.codes import FIRST_DIGIT_MS, MAX_TURNS, NEXT_DIGIT_MS, PIN_DIGITS, PIN_LIMIT, counted
from carillon_routing.domain.cursor import DeskWait
from carillon_routing.domain.facts import Gather, Gathered
from carillon_routing.domain.feature_phrases import Said, phrase
from carillon_routing.domain.feature_settings import language_of, say
from carillon_routing.domain.walk import Stop, Walk

_EXTENSION_DIGITS = 6


def enter(walk: Walk, coded: Coded) -> Stop:
    """Ask for what is not known yet; who leaves is asked nothing."""
    subject, phone = f"feature {coded.feature} {coded.code}{coded.argument}", walk.call.sip_credential_id
    if walk.sent or not phone:
        walk.note(subject, False, "only a phone that dials it itself can be logged in on")
        return say(walk, "not_allowed")
    if coded.feature == "phone_login":
        walk.note(subject, True, f"somebody logs in on sip_credential/{phone}")
        return _ask(walk, DeskWait(coded.argument))
    done = walk.ask(HavePhone(phone, "")) is True
    walk.note(subject, done, f"sip_credential/{phone} is its owner's again" if done else "the directory did not take it")
    return say(walk, "phone_off" if done else "not_now")


def _ask(walk: Walk, wait: DeskWait, said: Said | None = None) -> Stop:
    """For the extension, then for the PIN, after what is said first."""
    wanted: Said = "enter_pin" if wait.extension else "enter_extension"
    language = language_of(walk)
    phrases = tuple(phrase(each, language) for each in ((said, wanted) if said else (wanted,)))
    digits = PIN_DIGITS if wait.extension else _EXTENSION_DIGITS
    return Stop(Gather(phrases, digits, FIRST_DIGIT_MS, NEXT_DIGIT_MS, "#", secret=bool(wait.extension)), wait)


def given(walk: Walk, wait: DeskWait, gathered: Gathered) -> Stop:
    """The phone is the user's, or what comes of a wrong answer."""
    if not gathered.digits:
        walk.note("log in", False, "nothing was pressed")
        return _again(walk, wait, None)
    if not wait.extension:
        walk.note("log in", True, "the PIN is asked for", f"extension {gathered.digits}")
        return _ask(walk, DeskWait(gathered.digits, wait.turn))
    found = walk.config.extensions.get(wait.extension)
    user = walk.config.users.get(found.destination.user_id or "") if found is not None else None
    if user is None:
        walk.note(f"extension {wait.extension}", False, "is no user's")
        return _again(walk, wait, "wrong_code")
    subject = f"user/{user.id} phone PIN"
    right = walk.judged(f"phone {user.id} {wait.turn}", lambda: verify_pin(gathered.digits, user.phone_pin_hash)) is True
    reason = "is the user's" if right else "is not the user's" if user.phone_pin_hash else "there is none, so none can be given"
    accepted, wrong, uncounted = counted(walk, CountTry(user.id, "phone", right, PIN_LIMIT, f"{wait.extension} {wait.turn}"))
    if not accepted and wrong >= PIN_LIMIT:
        walk.note(subject, False, f"is blocked: {wrong} wrong tries in a row, at most {PIN_LIMIT}")
        return say(walk, "code_blocked")
    walk.note(subject, accepted, reason + uncounted)
    return _logged_in(walk, user) if accepted else _again(walk, wait, "wrong_code")


def _logged_in(walk: Walk, user: User) -> Stop:
    phone = walk.call.sip_credential_id
    if not user.services.fixed_line:
        walk.note(f"user/{user.id}", False, "the user has no fixed line")
        return say(walk, "not_allowed")
    done = walk.ask(HavePhone(phone, user.id)) is True
    reason = f"has sip_credential/{phone} until they log out" if done else "the directory did not take it"
    walk.note(f"user/{user.id}", done, reason)
    return say(walk, "phone_on" if done else "not_now")


def _again(walk: Walk, wait: DeskWait, said: Said | None) -> Stop:
    if wait.turn + 1 >= MAX_TURNS:
        walk.note("log in", False, f"{MAX_TURNS} tries are enough")
        return say(walk, "not_allowed")
    return _ask(walk, DeskWait("", wait.turn + 1), said)
