"""What the directory finds odd about plans, or refuses of them, in lines."""

from collections.abc import Sequence

from carillon.directory.v1 import plan_pb2


def found(findings: Sequence[plan_pb2.PlanFinding]) -> list[str]:
    """Each with its node and field, and how to mend it."""
    lines = []
    for each in findings:
        word = "error" if each.severity == plan_pb2.FINDING_SEVERITY_ERROR else "warning"
        lines += [f"{word}  node {each.node_id or '-'}  {each.field}", f"    {each.reason}"]
        lines += [f"    -> {each.mend}"] if each.mend else []
    return lines or ["nothing is odd"]
