"""Whatever is asked in whatever order: what is accepted never leaves a dangling reference, and the log alone makes the state."""

from typing import Any

from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from carillon_contracts.config import RESOURCES, ConfigChanged, Resource
from carillon_contracts.tenant_config import Folding, TenantConfig, evolve
from carillon_directory.domain.changes import versioned
from carillon_directory.domain.commands import (
    ApplyCompany,
    AssignExtensions,
    AssignNumber,
    Batch,
    Command,
    CreateResource,
    DeleteResource,
    HotDesk,
    PutBack,
    ResetLine,
    UpdateResource,
)
from carillon_directory.domain.decide import decide
from carillon_directory.domain.graphs import loop_violation, plan_violations
from carillon_directory.domain.index import Index, values_of
from carillon_directory.domain.outcomes import Accepted, Conflict, Held
from carillon_directory.domain.past import as_now, restoring, undoing
from carillon_directory.domain.references import everything, exists, references

IDS = {
    "user": ("u1", "u2"),
    "mailbox": ("m1", "m2"),
    "ring_group": ("g1", "g2"),
    "plan": ("p1", "p2"),
    "number": ("+41215550101", "+41215550102"),
    "extension": ("101", "102"),
    "sip_credential": ("c1", "c2"),
    "short_code": ("s1", "s2"),
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
            "login": st.sampled_from(["ann", "bob"]),
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
    "sip_credential": st.fixed_dictionaries({"user_id": one_of("user"), "password": st.just("correct-horse")}),
    "short_code": st.fixed_dictionaries({"code": st.sampled_from(["101", "77"]), "number": st.just("+41445550000")}),
}


@st.composite
def verbs(draw: st.DrawFn) -> Command:
    """What more than one resource comes of."""
    return draw(
        st.builds(AssignNumber, actor=st.just("x"), number_id=one_of("number"), destination=st.none() | DESTINATIONS)
        | st.builds(
            AssignExtensions,
            actor=st.just("x"),
            user_ids=st.lists(one_of("user"), min_size=1, max_size=2, unique=True).map(tuple),
            first=st.just("101"),
        )
        | st.builds(
            ResetLine,
            actor=st.just("x"),
            user_id=one_of("user"),
            spare_passwords=st.just(dict.fromkeys(IDS["sip_credential"], "made-for-you")),
            leave_groups=st.booleans(),
        )
        | st.builds(HotDesk, actor=st.just("x"), sip_credential_id=one_of("sip_credential"), user_id=one_of("user") | st.just(""))
        | st.builds(Batch, actor=st.just("x"), items=st.lists(singles(), min_size=1, max_size=4).map(tuple))
    )


@st.composite
def singles(draw: st.DrawFn) -> CreateResource | UpdateResource | DeleteResource:
    """Of one resource."""
    return draw(commands().filter(lambda command: not isinstance(command, ApplyCompany)))  # type: ignore[return-value]


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


def check(config: TenantConfig) -> None:
    """All that must hold among a tenant's resources."""
    taken: dict[tuple[str, str], Resource] = {}
    for resource in everything(config):
        assert all(exists(config, each.kind, each.resource_id) for each in references(resource))
        assert loop_violation(config, resource) is None
        for _, space, value in values_of(resource):
            assert taken.setdefault((space, value), resource) is resource
    assert not any(plan_violations(plan) for plan in config.plans.values())


def content(config: TenantConfig, *, etags: bool = True) -> dict[str, dict[str, Resource]]:
    """The resources, kinds that have none left out."""
    left = {} if etags else {"etag": ""}
    kinds = {kind: {name: each.model_copy(update=left) for name, each in found.items()} for kind, found in config.resources.items()}
    return {kind: found for kind, found in kinds.items() if found}


class History:
    """A tenant's versions, each made of the one before by the changes of an accepted command."""

    def __init__(self) -> None:
        self.versions = [TenantConfig("acme")]
        self.changes: list[ConfigChanged] = []
        #: Versions at which an accepted command ended.
        self.ends: list[int] = []
        self.ask(TENANT)

    @property
    def now(self) -> TenantConfig:
        return self.versions[-1]

    def ask(self, command: Command) -> object:
        decision = decide(self.now, command)
        if isinstance(decision, Accepted):
            before = self.now.seq
            for change in decision.changes:
                self.versions.append(evolve(self.now, self.now.seq + 1, change))
                self.changes.append(change)
            assert self.now.seq == before + len(decision.changes)
            self.ends.append(self.now.seq)
            check(self.now)
            self._check_made(decision)
        if isinstance(decision, Held):
            assert all(exists(self.now, holder.kind, holder.resource_id) for holder in decision.holders)
        return decision

    def _check_made(self, decision: Accepted) -> None:
        """What the decision says of the configuration after it is what its changes make."""
        assert decision.after is not None
        assert decision.after.seq == self.now.seq
        assert {kind: dict(every) for kind, every in decision.after.resources.items() if every} == {
            kind: dict(every) for kind, every in self.now.resources.items() if every
        }
        made, anew = decision.index, Index.of(self.now)
        assert made is not None
        assert (dict(made.edges), dict(made.taken)) == (dict(anew.edges), dict(anew.taken))


@settings(max_examples=60, deadline=None)
@for_all(st.lists(commands() | verbs(), max_size=25))
def test_no_reference_dangles_and_nothing_stands_twice(asked: list[Command]) -> None:
    history = History()
    for command in asked:
        history.ask(command)
        assert versioned(history.now.seq, [(resource, resource) for resource in everything(history.now)]) == []


@settings(max_examples=40, deadline=None)
@for_all(st.lists(commands() | verbs(), max_size=15), st.data())
def test_every_version_is_the_fold_up_to_it_from_either_end(asked: list[Command], data: st.DataObject) -> None:
    history = History()
    for command in asked:
        history.ask(command)
    version = data.draw(st.integers(0, history.now.seq))
    forth, back = Folding(TenantConfig("acme")), Folding(history.now)
    for seq, change in enumerate(history.changes[:version], start=1):
        forth.add(seq, change)
    for seq in range(history.now.seq, version, -1):
        back.take_back(seq, history.changes[seq - 1])
    expected = history.versions[version]
    assert content(forth.result()) == content(back.result()) == content(expected)
    assert forth.result().seq == back.result().seq == version


@settings(max_examples=40, deadline=None)
@for_all(st.lists(commands() | verbs(), max_size=15), st.data())
def test_undo_and_restore_are_changes_that_bring_back_what_was(asked: list[Command], data: st.DataObject) -> None:
    history = History()
    for command in asked:
        history.ask(command)
    if history.now.seq < 2:
        return
    first = data.draw(st.integers(2, history.now.seq))
    then, expected = undoing([(first, history.changes[first - 1])])
    before = history.now
    decision = history.ask(PutBack(actor="x", then=then, expected=expected))
    if isinstance(decision, Accepted):
        (key,) = then
        was, is_now = then[key], history.now.resources.get(key[0], {}).get(key[1])
        assert (was is None) == (is_now is None)
        assert was is None or RESOURCES[key[0]].model_validate(was).model_copy(update={"etag": is_now.etag}) == is_now  # type: ignore[union-attr]
    else:
        assert history.now is before
    version = data.draw(st.sampled_from(history.ends))
    wanted = restoring(history.now, history.versions[version])
    restored = history.ask(PutBack(actor="x", then=wanted, expected=as_now(history.now, wanted)))
    assert not isinstance(restored, Conflict)
    assert isinstance(restored, Accepted)
    assert content(history.now, etags=False) == content(history.versions[version], etags=False)
