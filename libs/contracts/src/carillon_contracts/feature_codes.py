"""Which feature was dialled: the tenant's codes, and the slots of its parking lots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from carillon_contracts.config import Destination, Feature, FeatureCode, HuntMember, RingMember, codes_of
from carillon_contracts.tenant_config import TenantConfig

#: Whether something must, or may, follow the code; nothing may follow the others.
_FOLLOWED: Mapping[Feature, bool] = {
    "pick_up": True,
    "park": False,
    "voicemail": False,
    "forward_on": True,
    "agent_login": False,
    "agent_logout": False,
    "phone_login": False,
    "withhold": True,
    "intercom": True,
    "page": True,
    "listen": True,
    "whisper": True,
    "barge": True,
    "call_back": True,
}


@dataclass(frozen=True, slots=True)
class Coded:
    """A feature with what followed its code (`argument`); `slot`: the slot of a parking lot was dialled by itself."""

    feature: Feature
    code: str
    argument: str = ""
    slot: bool = False


def recognise(config: TenantConfig, dialled: str) -> Coded | None:
    """The feature that these digits mean; None: they are none. The longest code that fits counts."""
    if not dialled.startswith(("*", "#")):
        if len(dialled) == 1 and (dialled, "operator") in _by_length(config.tenant.feature_codes):
            return Coded("operator", dialled)
        lot = lot_of(config, dialled)
        return Coded("park", "", dialled, slot=True) if lot else None
    for code, feature in _by_length(config.tenant.feature_codes):
        argument = dialled.removeprefix(code)
        if argument == dialled:
            continue
        needed = _FOLLOWED.get(feature)
        argument = argument.removesuffix("#") if needed is not None else argument
        if (argument and needed is not None) or (not argument and not needed):
            return Coded(feature, code, argument)
    return None


def lot_of(config: TenantConfig, slot: str) -> str:
    """The parking lot that has this slot; empty if none has."""
    return next((lot.id for lot in config.parking_lots.values() if lot.holds(slot)), "")


@lru_cache(1024)
def _by_length(changed: tuple[FeatureCode, ...]) -> tuple[tuple[str, Feature], ...]:
    codes = sorted(((code, feature) for feature, code in codes_of(changed).items()), key=lambda pair: (-len(pair[0]), pair[0]))
    return tuple(codes)


def rung_at(config: TenantConfig, extension: str) -> tuple[str, ...]:
    """Users whose phones ring when the extension is dialled; what rings there may be picked up."""
    found = config.extensions.get(extension)
    if found is None:
        return ()
    if found.destination.user_id is not None:
        return (found.destination.user_id,)
    ringing: list[Destination | RingMember | HuntMember] = [found.destination]
    users: dict[str, None] = {}
    for each in ringing:  # Groups in groups come to its end.
        for member in _members(config, each):
            if member.user_id is not None:
                users[member.user_id] = None
            elif member not in ringing:
                ringing.append(member)
    return tuple(users)


def _members(config: TenantConfig, group: Destination | RingMember | HuntMember) -> Sequence[RingMember | HuntMember]:
    """Of a ring group or hunt group that this leads to; of anything else none."""
    if isinstance(group, HuntMember):
        return ()
    ringing, hunting = config.ring_groups.get(group.ring_group_id or ""), config.hunt_groups.get(group.hunt_group_id or "")
    return ringing.members if ringing is not None else hunting.members if hunting is not None else ()


def picks_up_for(config: TenantConfig, user_id: str) -> tuple[str, ...]:
    """The others of the user's pickup groups, each once."""
    groups = [group for group in config.pickup_groups.values() if user_id in group.user_ids]
    return tuple(dict.fromkeys(user for group in groups for user in group.user_ids if user != user_id))
