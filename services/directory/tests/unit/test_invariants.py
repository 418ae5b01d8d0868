"""Whatever is asked in whatever order: what is accepted never leaves a dangling reference, and the log alone makes the state."""

from typing import Any

from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from carillon_contracts.tenant_config import TenantConfig, evolve
from carillon_directory.domain.changes import changes
from carillon_directory.domain.commands import ApplyCompany, Command, CreateResource, DeleteResource, UpdateResource
from carillon_directory.domain.decide import decide
from carillon_directory.domain.graphs import loop_violation, plan_violations
from carillon_directory.domain.outcomes import Accepted, Held
from carillon_directory.domain.references import everything, exists, references

IDS = {
    "user": ("u1", "u2"),
    "mailbox": ("m1", "m2"),
    "ring_group": ("g1", "g2"),
    "plan": ("p1", "p2"),
    "number": ("+41215550101", "+41215550102"),
    "extension": ("101", "102"),
}


def one_of(kind: str) -> st.SearchStrategy[str]:
    return st.sampled_from(IDS[kind])


DESTINATIONS = st.sampled_from(["user", "mailbox", "ring_group", "plan"]).flatmap(
    lambda kind: st.fixed_dictionaries({f"{kind}_id": one_of(kind)})
)
OUTSIDE = st.fixed_dictionaries({"external_number": one_of("number")})
NODES = {"id": st.just("a"), "destination": st.fixed_dictionaries({"destination": DESTINATIONS | OUTSIDE})}
DOCUMENTS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "user": st.fixed_dictionaries(
        {"last_name": st.just("X")},
        optional={
            "mailbox_id": one_of("mailbox"),
            "caller_number": one_of("number"),
            "forwarding": st.fixed_dictionaries({"busy": DESTINATIONS}),
        },
    ),
    "mailbox": st.just({}),
    "ring_group": st.fixed_dictionaries(
        {"members": st.lists(st.fixed_dictionaries({"user_id": one_of("user")}), min_size=1, max_size=2)},
        optional={"no_answer": DESTINATIONS},
    ),
    "plan": st.fixed_dictionaries({"entry": st.just("a"), "nodes": st.lists(st.fixed_dictionaries(NODES), min_size=1, max_size=1)}),
    "number": st.fixed_dictionaries({}, optional={"destination": DESTINATIONS | OUTSIDE}),
    "extension": st.fixed_dictionaries({"destination": DESTINATIONS}),
}


@st.composite
def commands(draw: st.DrawFn) -> Command:
    kind = draw(st.sampled_from(list(IDS)))
    resource_id = draw(one_of(kind))
    document = {"id": resource_id} | draw(DOCUMENTS[kind])
    which = draw(st.sampled_from(["create", "create", "update", "delete", "apply"]))
    if which == "delete":
        return DeleteResource(actor="x", kind=kind, resource_id=resource_id)
    if which == "update":
        return UpdateResource(actor="x", kind=kind, resource_id=resource_id, document=document, paths=tuple(document))
    if which == "apply":
        return ApplyCompany(actor="x", documents={kind: [document]}, prune=draw(st.booleans()))
    return CreateResource(actor="x", kind=kind, document=document)


TENANT = CreateResource(actor="x", kind="tenant", document={"id": "acme", "realm": "acme.example"})


@settings(max_examples=60, deadline=None)
@for_all(st.lists(commands(), max_size=25))
def test_no_reference_ever_dangles(asked: list[Command]) -> None:
    config = TenantConfig("acme")
    for command in [TENANT, *asked]:
        before = config
        decision = decide(config, command)
        if isinstance(decision, Held):
            assert all(exists(config, holder.kind, holder.resource_id) for holder in decision.holders)
        if not isinstance(decision, Accepted):
            continue
        for change in decision.changes:
            config = evolve(config, config.seq + 1, change)
        assert config.seq == before.seq + len(decision.changes)
        for resource in everything(config):
            assert all(exists(config, each.kind, each.resource_id) for each in references(resource))
            assert loop_violation(config, resource) is None
        assert not any(plan_violations(plan) for plan in config.plans.values())
        assert changes(config.seq, command, [(resource, resource) for resource in everything(config)]) == ()
