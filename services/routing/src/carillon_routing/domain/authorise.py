"""Who may call which number, by which trunks, and who is shown: the one answer for every way in which a number is called for a user.

Always: an emergency number is allowed, by any trunk, with a number to call back; a profile that is not there allows nothing; every
condition that was tried has a line in the trace. An allowed prefix beats a denied one, which beats a class.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Literal

from carillon_contracts import hops
from carillon_contracts.config import AccountCodePolicy, CallClass, RestrictionProfile, Trunk, User
from carillon_contracts.emergency_numbers import countries_of, is_emergency
from carillon_contracts.inherited import account_code_policy_of, restriction_profile_of, trunks_of
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain import trunks
from carillon_routing.domain.facts import CallFacts, TraceLine
from carillon_routing.domain.identity import for_help, shown_inside, shown_outside
from carillon_routing.domain.number_classes import classes_of
from carillon_routing.domain.public_numbers import in_full


@dataclass(frozen=True, slots=True)
class Allowed:
    """Trunks, best first, each with the prefix that matched; number (empty: none) and name of the caller to be shown."""

    trunks: tuple[tuple[Trunk, str], ...]
    caller_number: str
    caller_name: str
    withheld: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Why not; `loop`: because the call goes round in circles, whoever it is for."""

    reason: str
    loop: bool = False


@dataclass(frozen=True, slots=True)
class NeedsCode:
    """Not without the user's outbound PIN, or an account code."""

    kind: Literal["pin", "account"]

    @property
    def reason(self) -> str:
        """As `Refused` says it: who forwards a call is not there to be asked, and who is forwarded has no right to another's code."""
        code = "the outbound PIN" if self.kind == "pin" else "an account code"
        return f"it needs {code}, which only who dials can be asked for"


Decision = Allowed | Refused | NeedsCode
Authorised = tuple[Decision, tuple[TraceLine, ...]]


def authorise(config: TenantConfig, user: User | None, number: str, call: CallFacts, given: Container[str] = ()) -> Authorised:
    """Whether `number` (E.164, an extension or an emergency number) may be called in the rights of `user`; None: of the tenant's admins.

    The rights may be another's than the caller's: of who forwards. Who is shown depends on the call alone. `given`: kinds of codes that
    the caller gave.
    """
    countries = countries_of(config, (user.id if user is not None else "", call.caller_user_id))
    if is_emergency(number, countries):
        line = TraceLine(f"authorise {number}", True, f"an emergency number of {' or '.join(sorted(countries))}: always allowed")
        shown, name = for_help(config, call)
        return Allowed(tuple(trunks.for_emergency(config)), shown, name, withheld=not shown), (line,)
    trace: list[TraceLine] = []
    spent = f"{call.hops_spent} of {hops.HOPS} hops are spent"
    if hops.left(call.hops_spent, sent_on=call.direction == "inbound") < 1:
        reason = f"{spent}: it goes round in circles between exchanges"
        return Refused(reason, loop=True), (TraceLine("hop budget", False, reason),)
    if call.hops_spent >= hops.SENT_ON:
        trace.append(TraceLine("hop budget", True, spent))
    if user is not None:
        against = _restricted(config, user, number, trace, given)
        if against is not None:
            return against, tuple(trace)
    full = in_full(config, user, number)
    shown, name = shown_outside(config, call) if full.startswith("+") else shown_inside(config, call)
    return Allowed(_trunks(config, user, number, full, trace), shown, name, withheld=not shown), tuple(trace)


def restricts(config: TenantConfig, user: User) -> bool:
    """Whether the user, the departments or the house rules have anything to say."""
    return bool(restriction_profile_of(config, user)[0] or account_code_policy_of(config, user)[0])


def _restricted(config: TenantConfig, user: User, number: str, trace: list[TraceLine], given: Container[str]) -> Refused | NeedsCode | None:
    """What the user's profile and account code policy have against it, their own or inherited."""
    profile_id, from_profile = restriction_profile_of(config, user)
    policy_id, from_policy = account_code_policy_of(config, user)
    if not profile_id and not policy_id:
        return None
    classes = classes_of(config, user, number)
    trace.append(TraceLine(f"user/{user.id} class", True, f"{number} is {' and '.join(classes)}"))
    profile = policy = None
    if profile_id:
        _inherited(user, f"restriction_profile/{profile_id}", from_profile, trace)
        profile = config.get(RestrictionProfile, profile_id)
        full = in_full(config, user, number)
        refused = (
            _missing(f"restriction_profile/{profile_id}", trace) if profile is None else _barred(profile, number, full, classes, trace)
        )
        if refused is not None:
            return refused
    if (
        profile is not None
        and _needs(f"restriction_profile/{profile.id} pin_needed", profile.pin_needed, classes, trace)
        and "pin" not in given
    ):
        return NeedsCode("pin")
    if policy_id:
        subject = f"account_code_policy/{policy_id}"
        _inherited(user, subject, from_policy, trace)
        policy = config.get(AccountCodePolicy, policy_id)
        if policy is None:
            return _missing(subject, trace)
        if _needs(f"{subject} needed", policy.needed, classes, trace) and "account" not in given:
            return NeedsCode("account")
    return None


def _inherited(user: User, what: str, source: str, trace: list[TraceLine]) -> None:
    """A line where it is not the user's own."""
    if source != f"user/{user.id}":
        trace.append(TraceLine(f"user/{user.id}", True, f"{what} counts, by {source}"))


def _missing(subject: str, trace: list[TraceLine]) -> Refused:
    trace.append(TraceLine(subject, False, "does not exist; nothing is allowed by it"))
    return Refused(f"{subject} does not exist")


def _barred(profile: RestrictionProfile, number: str, full: str, classes: Sequence[CallClass], trace: list[TraceLine]) -> Refused | None:
    """By its prefixes and classes; a public short number is allowed by no prefix, and denied by those of its country."""
    subject = f"restriction_profile/{profile.id}"
    if _begins(f"{subject} allowed_prefixes", profile.allowed_prefixes, number, trace):
        return None
    denied = _begins(f"{subject} denied_prefixes", profile.denied_prefixes, full, trace)
    if denied:
        return Refused(f"{subject} denies numbers that begin with {denied}")
    barred = [each for each in classes if each in profile.barred]
    said = f"{', '.join(profile.barred) or 'nothing'} is barred"
    trace.append(TraceLine(f"{subject} barred", bool(barred), f"{number} is {' and '.join(classes)}; {said}"))
    return Refused(f"{subject} bars {' and '.join(barred)} calls") if barred else None


def _begins(subject: str, prefixes: Sequence[str], number: str, trace: list[TraceLine]) -> str:
    """The longest prefix that the number begins with, or empty."""
    found = max((prefix for prefix in prefixes if number.startswith(prefix)), key=len, default="")
    if prefixes:
        reason = f"{number} begins with {found}" if found else f"{number} begins with none of {', '.join(prefixes)}"
        trace.append(TraceLine(subject, bool(found), reason))
    return found


def _needs(subject: str, needed: Sequence[CallClass], classes: Sequence[CallClass], trace: list[TraceLine]) -> bool:
    if not needed:
        return False
    asked = [each for each in classes if each in needed]
    trace.append(TraceLine(subject, bool(asked), f"{' and '.join(asked or classes)} calls need {'a' if asked else 'no'} code"))
    return bool(asked)


def _trunks(config: TenantConfig, user: User | None, number: str, full: str, trace: list[TraceLine]) -> tuple[tuple[Trunk, str], ...]:
    """Those that take the number and that the line may use."""
    found = trunks.candidates(config, number, full)
    able = {trunk.id for trunk, _ in found}
    for trunk in config.trunks.values():
        if trunk.id not in able:
            why = f"begins with none of {', '.join(trunk.prefixes)}" if full.startswith("+") else "is none of that exchange's"
            trace.append(TraceLine(f"trunk/{trunk.id}", False, f"{number} {why}"))
    allowed, source = trunks_of(config, user) if user is not None else ((), "")
    if not allowed:
        return tuple(found)
    for trunk, _ in found:
        if trunk.id not in allowed:
            trace.append(TraceLine(f"trunk/{trunk.id}", False, f"is none of {source}'s trunks: {', '.join(allowed)}"))
    return tuple(each for each in found if each[0].id in allowed)
