"""What routing looks up often, worked out once for each version of a resource kind: nodes by id, extensions by their beginnings."""

from collections.abc import Mapping

from carillon_contracts.config import Extension, Plan, PlanNode
from carillon_contracts.tenant_config import TenantConfig

Nodes = Mapping[str, Mapping[str, PlanNode]]


def node_of(config: TenantConfig, plan_id: str, node_id: str) -> PlanNode | None:
    """A node by plan and id."""
    return config.derived("routing nodes", Plan, _nodes).get(plan_id, {}).get(node_id)


def longest_extension(config: TenantConfig, beginning: str) -> int:
    """Length of the longest extension that begins with these digits; 0 if none does."""
    return config.derived("routing extension beginnings", Extension, _beginnings).get(beginning, 0)


def _nodes(plans: Mapping[str, Plan]) -> Nodes:
    return {plan.id: {node.id: node for node in plan.nodes} for plan in plans.values()}


def _beginnings(extensions: Mapping[str, Extension]) -> dict[str, int]:
    found: dict[str, int] = {}
    for extension in extensions:
        for length in range(1, len(extension) + 1):
            found[extension[:length]] = max(found.get(extension[:length], 0), len(extension))
    return found
