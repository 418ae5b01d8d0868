"""Who sees to which queues: a tenant's admins to all, a department's to those of it and below, users to those of their supervisions.

Always: what somebody sees to is worked out of the configuration of now, so that a right that is taken away counts at once.
"""

from carillon_contracts.config import Queue
from carillon_contracts.inherited import departments_from
from carillon_contracts.rights import Asker
from carillon_contracts.tenant_config import TenantConfig


def queues_of(config: TenantConfig, asker: Asker) -> frozenset[str]:
    """The queues that they see to."""
    if asker.whole_tenant:
        return frozenset(config.queues)
    rights = config.supervisions.values() if asker.user_id else ()
    supervised = {queue_id for right in rights if asker.user_id in right.supervisor_user_ids for queue_id in right.queue_ids}
    return frozenset(each.id for each in config.queues.values() if each.id in supervised or _within(config, asker.department, each))


def _within(config: TenantConfig, department: str, queue: Queue) -> bool:
    return bool(department) and any(each.id == department for each in departments_from(config, queue.department_id))


def agents_of(config: TenantConfig, asker: Asker, queues: frozenset[str]) -> frozenset[str]:
    """The agents whom they see and log in and out: of the queues that they see to (`queues_of`), and themselves."""
    if asker.whole_tenant:
        return frozenset(config.agents)
    mine = {agent.id for agent in config.agents.values() if asker.user_id and agent.user_id == asker.user_id}
    return frozenset(mine | {member.agent_id for queue_id in queues for member in config.queues[queue_id].members})
