"""What holds of every kind of resource, whatever it is: a kind that is new fails here until it has an example of its own."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as for_all
from hypothesis import strategies as st

from carillon_contracts.config import RESOURCES, Extension, Resource, Tenant
from carillon_contracts.tenant_config import Folding, TenantConfig
from carillon_directory.domain.commands import (
    ApplyCompany,
    Batch,
    Command,
    CreateResource,
    DeleteResource,
    Document,
    PutBack,
    UpdateResource,
)
from carillon_directory.domain.decide import decide
from carillon_directory.domain.documents import differing, dump
from carillon_directory.domain.outcomes import Accepted, Held, Invalid
from carillon_directory.domain.past import as_now, restoring, undoing
from carillon_directory.domain.references import references
from carillon_directory.testing import company_command, documents_of

from ..conftest import WHOLE  # noqa: TID252  (fixtures are not there while hypothesis makes its strategies)
from .test_invariants import History, content

NODE = {"id": "a", "destination": {"destination": {"user_id": "bob"}}}
AUDIO = {
    "object": f"sha256-{'1' * 64}",
    "wide_object": f"sha256-{'2' * 64}",
    "duration_ms": 1000,
    "rights_confirmed_by": "user/ann",
    "rights_confirmed_at": "2026-01-01T00:00:00Z",
}
#: With one of every kind at least.
EVERY: dict[str, Any] = WHOLE | {
    "schedules": [*WHOLE["schedules"], {"id": "never"}],
    "audios": [{"id": "jingle", **AUDIO}],
    "playlists": [{"id": "calm", "tracks": [{"audio_id": "jingle"}]}],
    "recording_policies": [{"id": "some", "mode": "on_demand"}],
    "trunk_credentials": [{"id": "account", "username": "4121", "sealed_password": "sealed"}],
    "pickup_groups": [{"id": "near", "user_ids": ["ann", "bob"]}],
    "paging_groups": [{"id": "stock", "number": "7", "user_ids": ["bob"]}],
    "supervisions": [{"id": "watch", "supervisor_user_ids": ["ann"], "user_ids": ["bob"], "modes": ["listen"]}],
    "hunt_groups": [{"id": "hunt", "members": [{"user_id": "ann"}]}],
    "agents": [{"id": "bob", "user_id": "bob"}],
    "queues": [{"id": "help", "members": [{"agent_id": "bob"}]}],
    "look_up_tables": [{"id": "codes", "rows": [{"key": "1", "value": "one"}]}],
    "conference_rooms": [{"id": "board", "owner_user_id": "bob"}],
    "plan_drafts": [{"id": "next", "plan_id": "main", "entry": "a", "nodes": [NODE]}],
    "plan_tests": [
        {"id": "reaches", "plan_id": "main", "dialled": "+41215550900", "at": "2031-01-06T10:00", "reaches": {"user_id": "ann"}}
    ],
    "parking_lots": [{"id": "lot", "first_slot": "771", "last_slot": "775"}],
}
#: The second of each kind: what it says otherwise than the first.
SECOND: Mapping[str, dict[str, Any]] = {
    "agent": {"id": "ann", "user_id": "ann"},
    "extension": {"id": "202", "destination": {"user_id": "bob"}},
    "extension_range": {"id": "second", "first": "600", "last": "610"},
    "number": {"id": "+41215550901", "destination": {"ring_group_id": "team"}, "label": "second"},
    "number_block": {"id": "second", "first": "+41225550900", "last": "+41225550909"},
    "paging_group": {"id": "second", "number": "8", "user_ids": ["ann"]},
    "parking_lot": {"id": "second", "first_slot": "781", "last_slot": "785"},
    "short_code": {"id": "second", "code": "78", "number": "+41215550112", "department_id": "trade"},
    "sip_credential": {"id": "acme-102", "user_id": "bob", "password": "correct-horse"},
    "user": {"id": "carl", "last_name": "Carpenter", "department_id": "trade", "mobile": "+41795550902", "ring_seconds": 33},
    "contact": {"id": "second", "last_name": "Else", "mobile": "+41795550903", "short_number": "", "owner_user_id": "ann"},
    "device": {"id": "second", "mac": "001565000002", "site_id": "lausanne"},
}
#: Of which there is one, by this id.
SINGLE = {"tenant": "acme", "house_rule_set": "default", "short_number_rule": "default"}
KINDS = [kind for kind in RESOURCES if kind != Tenant.KIND]


def started() -> History:
    history = History()
    assert isinstance(history.ask(company_command(EVERY)), Accepted)
    return history


@pytest.fixture(scope="module")
def whole_company() -> TenantConfig:
    return started().now


def second(kind: str) -> dict[str, Any]:
    """A document of one more of the kind."""
    return SECOND.get(kind) or {**documents_of(EVERY)[kind][0], "id": SINGLE.get(kind, "second")}


def of_kind(config: TenantConfig, kind: str) -> Iterator[Resource]:
    yield from config.resources[kind].values()


def otherwise(value: object) -> Any:
    """Something else of the same type, if that is easily said."""
    return not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else "+41795550999" if value else "Other"


def test_every_kind_has_an_example(whole_company: TenantConfig) -> None:
    assert set(whole_company.resources) == set(RESOURCES)


@pytest.mark.feature("D-22", "P-1")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_created_is_there_as_it_was_said_and_undone_it_was_never_there(kind: str) -> None:
    history = started()
    if kind in SINGLE:
        assert isinstance(history.ask(DeleteResource(actor="x", kind=kind, resource_id="default")), Accepted)
    before, document = history.now, second(kind)
    decision = history.ask(CreateResource(actor="x", kind=kind, document=document))
    assert isinstance(decision, Accepted)
    made = dump(history.now.resources[kind][document["id"]])
    assert made["etag"] == str(history.now.seq) or len(decision.changes) > 1
    said = {name: value for name, value in document.items() if name != "password"}
    as_said = dump(RESOURCES[kind].model_validate({**made, **said}))
    assert {name: made.get(name) for name in said} == {name: as_said.get(name) for name in said}
    assert not isinstance(decide(history.now, CreateResource(actor="x", kind=kind, document=document)), Accepted)
    then, expected = undoing([(before.seq + place, change) for place, change in enumerate(decision.changes, 1)])
    assert isinstance(history.ask(PutBack(actor="x", then=then, expected=expected)), Accepted)
    assert content(history.now) == content(before)


@pytest.mark.feature("D-22", "P-1")
@pytest.mark.parametrize("kind", [*KINDS, "tenant"])
def test_an_update_changes_the_fields_of_its_mask_alone(kind: str, whole_company: TenantConfig) -> None:
    """To what another of the kind has, to something else, and to what it is when nothing is said."""
    accepted = 0
    for resource in of_kind(whole_company, kind):
        other = {"id": "acme", "display_name": "Acme", "country": "FR"} if kind == "tenant" else second(kind)
        for name in RESOURCES[kind].model_fields.keys() - {"id", "etag"}:
            for document in (other, {name: otherwise(getattr(resource, name))}, {name: "No such!"}, {}):
                asked = UpdateResource(actor="x", kind=kind, resource_id=resource.id, document=document, paths=(name,), etag=resource.etag)
                decision = decide(whole_company, asked)
                if not isinstance(decision, Accepted):
                    continue
                accepted += bool(decision.changes)
                assert decision.after is not None
                for change in decision.changes:
                    if (change.resource, change.resource_id) == (kind, resource.id):
                        assert change.before is not None
                        assert change.after is not None
                        assert set(differing(change.before, change.after)) <= {name, name.removesuffix("_hash")}
                    else:
                        assert (kind, name, change.resource) == ("number", "destination", Extension.KIND)
    assert accepted


@pytest.mark.feature("D-22", "P-1")
@pytest.mark.parametrize("kind", KINDS)
def test_what_others_refer_to_is_not_deleted_and_what_is_deleted_comes_back_as_it_was(kind: str) -> None:
    history = started()
    every = [each for found in history.now.resources.values() for each in found.values()]
    for resource in [*of_kind(history.now, kind)]:
        before = history.now
        holders = {(each.KIND, each.id) for each in every for ref in references(each) if (ref.kind, ref.resource_id) == (kind, resource.id)}
        decision = history.ask(DeleteResource(actor="x", kind=kind, resource_id=resource.id))
        if holders - {(kind, resource.id)}:
            assert isinstance(decision, Held)
            assert {(each.kind, each.resource_id) for each in decision.holders} == holders - {(kind, resource.id)}
            assert history.now is before
            continue
        assert isinstance(decision, Accepted)
        then, expected = undoing([(before.seq + place, change) for place, change in enumerate(decision.changes, 1)])
        assert isinstance(history.ask(PutBack(actor="x", then=then, expected=expected)), Accepted)
        assert content(history.now, etags=False) == content(before, etags=False)


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_batch_with_one_that_is_wrong_nothing_is_there(kind: str, whole_company: TenantConfig) -> None:
    right = CreateResource(actor="x", kind=kind, document=second(kind))
    wrong = CreateResource(actor="x", kind=kind, document={**second(kind), "id": "no id!"})
    decision = decide(whole_company, Batch(actor="x", items=(right, wrong) if kind not in SINGLE else (wrong,)))
    assert isinstance(decision, Invalid)
    assert all(each.field.startswith(f"requests[{int(kind not in SINGLE)}].{kind}") for each in decision.violations)


_FIRST = documents_of(EVERY)
POOL: dict[str, list[dict[str, Any]]] = {kind: [*_FIRST[kind], second(kind)] for kind in KINDS}
_NAMES = {kind: [each["id"] for each in pool] for kind, pool in POOL.items()}


@st.composite
def documents(draw: st.DrawFn, kind: str) -> Document:
    """One of the examples with fields of another or without some, as somebody else's, and now and then with a name that is none."""
    document = dict(draw(st.sampled_from(POOL[kind])))
    other = draw(st.sampled_from(POOL[kind]))
    for name in draw(st.lists(st.sampled_from(sorted({*document, *other})), max_size=3, unique=True)):
        if draw(st.booleans()) and name in other:
            document[name] = other[name]
        elif name != "id":
            document.pop(name, None)
    for name in [name for name in document if name.endswith("_id")]:
        pointed = name.removesuffix("_id").removeprefix("owner_").removeprefix("parent_")
        if pointed in _NAMES and draw(st.integers(0, 3)) == 0:
            document[name] = draw(st.sampled_from([*_NAMES[pointed], "nobody"]))
    return document


@st.composite
def asked(draw: st.DrawFn) -> CreateResource | UpdateResource | DeleteResource:
    kind = draw(st.sampled_from(KINDS))
    document = draw(documents(kind))
    match draw(st.sampled_from(["create", "update", "update", "delete"])):
        case "create":
            return CreateResource(actor="x", kind=kind, document=document)
        case "update":
            paths = draw(st.lists(st.sampled_from(sorted(RESOURCES[kind].model_fields.keys() - {"id", "etag"})), min_size=1, max_size=3))
            return UpdateResource(
                actor="x", kind=kind, resource_id=draw(st.sampled_from(_NAMES[kind])), document=document, paths=tuple(paths)
            )
        case _:
            return DeleteResource(actor="x", kind=kind, resource_id=draw(st.sampled_from(_NAMES[kind])))


def companies() -> st.SearchStrategy[Command]:
    some = st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(st.just(kind), documents(kind)))
    return st.builds(
        lambda found, prune: ApplyCompany(actor="x", documents={kind: [each] for kind, each in found}, prune=prune),
        st.lists(some, max_size=3),
        st.integers(0, 9).map(lambda number: number == 0),
    )


def several() -> st.SearchStrategy[Command]:
    return st.builds(lambda items: Batch(actor="x", items=tuple(items)), st.lists(asked(), min_size=1, max_size=4))


@pytest.mark.feature("D-22")
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@for_all(st.lists(asked() | several() | companies(), max_size=10), st.data())
def test_whatever_is_asked_of_whatever_kind_every_check_holds_and_the_past_stays_what_it_was(
    found: list[Command], data: st.DataObject
) -> None:
    """`History.ask` checks what holds among all resources after each command."""
    history = started()
    first = history.now.seq
    for command in found:
        before = history.now
        decision = history.ask(command)
        if isinstance(decision, Accepted) and decision.changes and data.draw(st.booleans()):
            then, expected = undoing([(before.seq + place, change) for place, change in enumerate(decision.changes, 1)])
            assert isinstance(history.ask(PutBack(actor="x", then=then, expected=expected)), Accepted)
            assert content(history.now, etags=False) == content(before, etags=False)
    version = data.draw(st.integers(0, history.now.seq))
    forth, back = Folding(TenantConfig("acme")), Folding(history.now)
    for seq, change in enumerate(history.changes[:version], start=1):
        forth.add(seq, change)
    for seq in range(history.now.seq, version, -1):
        back.take_back(seq, history.changes[seq - 1])
    assert content(forth.result()) == content(back.result()) == content(history.versions[version])
    wanted = restoring(history.now, history.versions[first])
    assert isinstance(history.ask(PutBack(actor="x", then=wanted, expected=as_now(history.now, wanted))), Accepted)
    assert content(history.now, etags=False) == content(history.versions[first], etags=False)
