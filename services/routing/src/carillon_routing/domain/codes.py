"""The outbound PIN and account codes, asked for by voice before a call that needs them.

Always: digits are in no trace and no cursor; only an account code that was accepted is, for the call is charged to it. Wrong tries are
counted over all calls of a user, and too many block the code until an admin forgets them.
"""

from carillon_contracts.config import AccountCodePolicy, User
from carillon_contracts.inherited import account_code_policy_of, account_codes_for
from carillon_kit.pins import verify_pin
from carillon_routing.domain.asks import CountTry
from carillon_routing.domain.cursor import CodeWait, RefusedWait
from carillon_routing.domain.facts import Gather, Gathered, Play
from carillon_routing.domain.feature_phrases import Said, phrase
from carillon_routing.domain.feature_settings import language_of
from carillon_routing.domain.walk import BARRED, Move, Stop, Walk

#: Times that a caller is asked in one call.
MAX_TURNS = 3
#: Wrong PINs in a row that block it; account codes have their policy's `blocked_after`.
PIN_LIMIT = 10
FIRST_DIGIT_MS = 10_000
NEXT_DIGIT_MS = 5_000
PIN_DIGITS = 12


def can_be_asked(walk: Walk, user: User) -> bool:
    """Who dials can be; not who forwards calls or sends them on, and not a caller of a plan, which has its own way for a refused call."""
    return walk.call.caller_user_id == user.id and walk.sender is None and not walk.sent


def ask(walk: Walk, user: User, wait: CodeWait, said: Said | None = None) -> Stop:
    """Ask for the code, after what is said first."""
    if wait.kind == "pin" and not user.outbound_pin_hash:
        walk.note(f"user/{user.id} outbound PIN", False, "there is none, so none can be given")
        return refused(walk, "barred")
    policy = account_codes_for(walk.config, user)
    digits = PIN_DIGITS if wait.kind == "pin" or policy is None else policy.max_length
    language = language_of(walk)
    prompts: tuple[Said, ...] = ("enter_pin" if wait.kind == "pin" else "enter_account_code",)
    phrases = tuple(phrase(each, language) for each in ((said, *prompts) if said else prompts))
    walk.note(f"user/{user.id} {wait.kind} code", True, f"is asked for, for the {_ORDINALS[wait.turn]} time", wait.number)
    return Stop(Gather(phrases, digits, FIRST_DIGIT_MS, NEXT_DIGIT_MS, "#", secret=True), wait)


_ORDINALS = ("first", "second", "third")


def given(walk: Walk, wait: CodeWait, gathered: Gathered) -> Move | str:
    """The code that `wait.number` may be called with now, or what comes of a wrong one."""
    user = walk.config.users.get(walk.call.caller_user_id)
    if user is None:
        return refused(walk, "barred")
    subject = f"user/{user.id} {wait.kind} code"
    if gathered.digits:
        about = f"{wait.kind} {wait.number} {wait.turn}"
        right, reason, limit = _checked(walk, user, wait.kind, gathered.digits, about)
        accepted, wrong, uncounted = counted(walk, CountTry(user.id, wait.kind, right, limit, f"{wait.number} {wait.turn}"))
        reason += uncounted
        if accepted:
            walk.note(subject, True, reason if right and wait.kind == "account" else "was accepted", wait.number)
            return str(walk.judged(f"{about} code", lambda: gathered.digits if wait.kind == "account" else ""))
        if wrong >= limit:
            walk.note(subject, False, f"is blocked: {wrong} wrong tries in a row, at most {limit}")
            return refused(walk, "code_blocked")
    else:
        reason = "nothing was pressed"
    walk.note(subject, False, reason)
    if wait.turn + 1 >= MAX_TURNS:
        return refused(walk, "barred")
    again = CodeWait(wait.kind, wait.number, wait.ring_ms, wait.turn + 1)
    return ask(walk, user, again, "wrong_code" if gathered.digits else None)


def counted(walk: Walk, tried: CountTry) -> tuple[bool, int, str]:
    """Whether the try is accepted, how many in a row were wrong, and what the reason says besides where they could not be counted."""
    answer = walk.ask(tried)
    if not isinstance(answer, dict):
        return tried.right, 0, "; wrong tries could not be counted"
    return answer.get("accepted") is True, int(str(answer.get("wrong", 0))), ""


def _checked(walk: Walk, user: User, kind: str, digits: str, about: str) -> tuple[bool, str, int]:
    """Whether it is right, why, and how many wrong ones block it."""
    match walk.judged(about, lambda: [*_looked_up(walk, user, kind, digits)]):
        case [bool() as right, str() as reason, int() as limit]:
            return right, reason, limit
        case _:
            return _looked_up(walk, user, kind, digits)


def _looked_up(walk: Walk, user: User, kind: str, digits: str) -> tuple[bool, str, int]:
    if kind == "pin":
        right = verify_pin(digits, user.outbound_pin_hash)
        return right, "is the user's" if right else "is not the user's", PIN_LIMIT
    policy_id, _ = account_code_policy_of(walk.config, user)
    policy = walk.config.get(AccountCodePolicy, policy_id)
    if policy is None:
        return False, f"account_code_policy/{policy_id} does not exist", PIN_LIMIT
    if digits == user.account_code:
        return True, "is the user's own", policy.blocked_after
    if policy.validated:
        found = next((code for code in policy.codes if code.code == digits), None)
        reason = f"is one of account_code_policy/{policy.id}" + (f": {found.label}" if found is not None and found.label else "")
        return found is not None, reason if found is not None else f"is none of account_code_policy/{policy.id}", policy.blocked_after
    right = digits.isdecimal() and policy.min_length <= len(digits) <= policy.max_length
    return right, f"has {len(digits)} digits, {policy.min_length} to {policy.max_length} wanted", policy.blocked_after


def refused(walk: Walk, said: Said) -> Stop:
    """The caller is told, and the call ends; one that a user has sent there ends at once, so that it goes back."""
    if walk.sent:
        return Stop(BARRED)
    return Stop(Play((phrase(said, language_of(walk)),)), RefusedWait())
