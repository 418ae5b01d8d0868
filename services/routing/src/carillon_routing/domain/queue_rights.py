"""Who sees to which queues: a tenant's admins to all, a department's to those of it and below, users to those of their supervisions.

Always: what somebody sees to is worked out of the configuration of now, so that a right that is taken away counts at once.
"""

from dataclasses import dataclass

from carillon_contracts.config import Queue
from carillon_contracts.inherited import departments_from
from carillon_contracts.tenant_config import TenantConfig


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks; `department`: of a department's admin, `user_id`: of a person; empty: neither."""

    whole_tenant: bool = False
    department: str = ""
    user_id: str = ""


def queues_of(config: TenantConfig, asker: Asker) -> frozenset[str]:
    """The queues that they see to."""
    return frozenset(queue.id for queue in config.queues.values() if asker.whole_tenant or _sees_to(config, asker, queue))


def _sees_to(config: TenantConfig, asker: Asker, queue: Queue) -> bool:
    if asker.department and any(each.id == asker.department for each in departments_from(config, queue.department_id)):
        return True
    rights = config.supervisions.values() if asker.user_id else ()
    return any(asker.user_id in right.supervisor_user_ids and queue.id in right.queue_ids for right in rights)


def agents_of(config: TenantConfig, asker: Asker) -> frozenset[str]:
    """The agents whom they see and log in and out: of the queues that they see to, and themselves."""
    if asker.whole_tenant:
        return frozenset(config.agents)
    mine = {agent.id for agent in config.agents.values() if asker.user_id and agent.user_id == asker.user_id}
    return frozenset(mine | {member.agent_id for queue_id in queues_of(config, asker) for member in config.queues[queue_id].members})
