"""Agents by code: a user logs in and out at the hunt groups and queues that they work for, and pauses.

Always: nothing changes where the user is no member, and it is spoken only when it is kept. A permanent member of a hunt group is always
there; a pause is one of queues alone, and logging in ends it.
"""

from collections.abc import Mapping

from carillon_contracts.config import Feature
from carillon_contracts.feature_codes import Coded
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.asks import Attend, Attending
from carillon_routing.domain.feature_phrases import Said
from carillon_routing.domain.feature_settings import say
from carillon_routing.domain.walk import Stop, Walk

_MEANS: Mapping[Feature, tuple[Attending, Said]] = {
    "agent_login": ("log_in", "agent_on"),
    "agent_logout": ("log_out", "agent_off"),
    "agent_pause": ("pause", "agent_paused"),
}


def enter(walk: Walk, coded: Coded) -> Stop:
    """Do it at once; an extension after the code means the group or queue behind it alone."""
    user_id, subject = walk.call.caller_user_id, f"feature {coded.feature} {coded.code}{coded.argument}"
    extension = walk.config.extensions.get(coded.argument)
    if coded.argument and (extension is None or not (extension.destination.hunt_group_id or extension.destination.queue_id)):
        walk.note(subject, False, f"{coded.argument} is the extension of no hunt group and no queue")
        return say(walk, "no_such_extension")
    attending, said = _MEANS[coded.feature]
    only = extension.destination if extension is not None else None
    groups = () if attending == "pause" else log_in_groups(walk.config, user_id, (only.hunt_group_id or "") if only else None)
    queue_id = only.queue_id if only else None
    agents = () if only and not queue_id else _agents(walk.config, user_id, queue_id)
    if not groups and not agents:
        walk.note(subject, False, f"user/{user_id} has nowhere there to log in")
        return say(walk, "not_allowed")
    done = walk.ask(Attend(attending, user_id, agents, groups)) is True
    where = ", ".join([*(f"agent/{each}" for each in agents), *(f"hunt_group/{each}" for each in groups)])
    walk.note(subject, done, where if done else f"{where}: it could not be kept in time")
    return say(walk, said if done else "not_now")


def log_in_groups(config: TenantConfig, user_id: str, only: str | None = None) -> tuple[str, ...]:
    """Hunt groups of which the user is a member who must log in; `only`: no other than this one, and none if that is empty."""
    return tuple(
        group.id
        for group in config.hunt_groups.values()
        if only in (None, group.id) and any(member.user_id == user_id and not member.permanent for member in group.members)
    )


def _agents(config: TenantConfig, user_id: str, queue_id: str | None) -> tuple[str, ...]:
    agents = tuple(agent.id for agent in config.agents.values() if agent.user_id == user_id)
    if queue_id is None:
        return agents
    queue = config.queues.get(queue_id)
    members = {member.agent_id for member in queue.members} if queue is not None else set()
    return tuple(agent_id for agent_id in agents if agent_id in members)
