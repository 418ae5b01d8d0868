"""What is odd about plans and short numbers: told when one is saved; of plans by `CheckPlan` too, which tells why one would be refused."""

import re
from collections.abc import Iterable
from typing import Any, TypeVar

from carillon.directory.v1 import directory_pb2 as pb
from carillon_contracts.config import Contact, Extension, Plan, PlanDraft, Resource, ShortCode
from carillon_contracts.languages import Language
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.adapters.finding_texts import told
from carillon_directory.adapters.proto_mapping import mask_paths, to_document
from carillon_directory.domain.commands import CreateResource, UpdateResource
from carillon_directory.domain.findings import findings, of_number
from carillon_directory.domain.group_findings import KINDS, findings_of
from carillon_directory.domain.outcomes import Invalid, Violation
from carillon_directory.domain.refusals import refused
from carillon_directory.grpc_common import bounds_of, language_of, or_raise, reach_of, resource_of
from carillon_directory.handlers import Directory, Executed, TooBusy
from carillon_kit.errors import InvalidArgument, NotFound, Unavailable
from carillon_kit.grpc_server import current_principal, current_tenant

R = TypeVar("R", bound=Resource)
#: Kinds that answer what is odd when they are saved.
WARNED: tuple[type[Resource], ...] = (Plan, PlanDraft, *KINDS, Extension, ShortCode, Contact)
_WARNED_KINDS = frozenset(kind.KIND for kind in WARNED)
_NODE = re.compile(r"(?:plan\.)?nodes\[(\d+)\]")


class PlanChecks:
    """`CheckPlan`; changes nothing."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def check(self, request: pb.CheckPlanRequest, context: object) -> pb.CheckPlanResponse:
        """See plan.proto."""
        config = or_raise(await self._directory.read(current_tenant()))
        language = language_of(config, request.language)
        match request.WhichOneof("subject"):
            case "plan_id":
                plan: Plan | list[Violation] = _known(config, Plan, request.plan_id)
            case "plan_draft_id":
                draft = _known(config, PlanDraft, request.plan_draft_id)
                plan = draft.plan(config.plans.get(draft.plan_id))
            case "plan":
                plan = await self._tried(config, request.plan)
            case _:
                raise InvalidArgument({"subject": "plan_id, plan_draft_id or plan is required"})
        if isinstance(plan, Plan):
            return pb.CheckPlanResponse(findings=warnings(config, plan, language))
        return pb.CheckPlanResponse(findings=[refusal(each, request.plan, language) for each in plan])

    async def _tried(self, config: TenantConfig, message: pb.Plan) -> Plan | list[Violation]:
        """The plan as it would be saved, or why it would not."""
        principal, document = current_principal(), to_document(message)
        asked: dict[str, Any] = {"actor": principal.subject, "bounds": bounds_of(principal), "kind": Plan.KIND, "document": document}
        command: CreateResource | UpdateResource = CreateResource(**asked)
        if message.id in config.plans:
            command = UpdateResource(**asked, resource_id=message.id, paths=mask_paths(["*"], message))
        try:
            done = await self._directory.execute(config.tenant_id, command, dry_run=True)
        except TooBusy as busy:
            raise Unavailable(str(busy)) from busy
        if isinstance(done, Invalid):
            return list(done.violations)
        changes = or_raise(done).changes
        return Plan.model_validate(changes[-1].after) if changes else _known(config, Plan, message.id)


def _known(config: TenantConfig, kind: type[R], name: str) -> R:
    found = resource_of(config, kind.KIND, name)
    if not isinstance(found, kind) or not reach_of(config).covers(found):
        raise NotFound(f"{kind.KIND} {name!r}")
    return found


def warnings(config: TenantConfig, resource: Resource, language: Language) -> list[pb.PlanFinding]:
    """What is odd about a plan, a menu, ..., in words."""
    odd = findings(config, resource) if isinstance(resource, Plan) else [*findings_of(config, resource), *of_number(config, resource)]
    return [
        pb.PlanFinding(
            severity=pb.FINDING_SEVERITY_WARNING,
            kind=each.kind,
            node_id=each.node,
            field=each.path,
            reason=(said := told(each, language))[0],
            mend=said[1],
        )
        for each in odd
    ]


def saved_warnings(config: TenantConfig, resource: Resource) -> Iterable[pb.PlanFinding]:
    """Of what was just saved; nothing of what is not one of `WARNED`."""
    if isinstance(resource, PlanDraft):
        resource = resource.plan(config.plans.get(resource.plan_id))
    return warnings(config, resource, language_of(config)) if isinstance(resource, WARNED) else ()


def warnings_of_all(executed: Executed) -> Iterable[pb.SavedPlanFindings]:
    """Of what a step saves, or would save, each that has any."""
    after = executed.after
    for change in executed.changes:
        if after is None or change.resource not in _WARNED_KINDS or change.action == "deleted":
            continue
        resource = resource_of(after, change.resource, change.resource_id)
        found = list(saved_warnings(after, resource)) if resource is not None else []
        if found:
            yield pb.SavedPlanFindings(**{f"{change.resource}_id": change.resource_id}, findings=found)


def refusal(violation: Violation, plan: pb.Plan, language: Language) -> pb.PlanFinding:
    """Why a plan is refused, in words."""
    match = _NODE.match(violation.field)
    index = int(match.group(1)) if match is not None else len(plan.nodes)
    found = refused(violation)
    reason, mend = told(found, language)
    return pb.PlanFinding(
        severity=pb.FINDING_SEVERITY_ERROR,
        kind=found.kind,
        node_id=plan.nodes[index].id if index < len(plan.nodes) else "",
        field=violation.field.removeprefix("plan."),
        reason=reason,
        mend=mend,
    )
