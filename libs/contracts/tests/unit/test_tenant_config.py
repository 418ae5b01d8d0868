"""A configuration is the fold of its changes: in order, without gaps, old versions untouched."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_contracts.config import ConfigChanged, Extension, Resource, Tenant, User, codes_of
from carillon_contracts.tenant_config import ConfigGap, Folding, TenantConfig, evolve, pass_over


def created(resource: Resource) -> ConfigChanged:
    return ConfigChanged(
        resource=resource.KIND, resource_id=resource.id, action="created", after=resource.model_dump(mode="json"), actor="test"
    )


TENANT = Tenant(id="dupont", realm="dupont.example")
ALAIN = User(id="alain", last_name="Dupont", first_name="Alain")
EMPTY = TenantConfig("dupont")
ONE = evolve(EMPTY, 1, created(TENANT))
TWO = evolve(ONE, 2, created(ALAIN))


def test_changes_add_up_and_older_versions_stay_as_they_were() -> None:
    assert TWO.tenant == TENANT
    assert TWO.users == {"alain": ALAIN}
    assert ONE.users == {}
    assert (EMPTY.seq, ONE.seq, TWO.seq) == (0, 1, 2)


def test_a_change_seen_before_changes_nothing() -> None:
    assert evolve(TWO, 2, created(User(id="other", last_name="X"))) is TWO


def test_a_gap_is_an_error_that_names_the_missing_version() -> None:
    with pytest.raises(ConfigGap) as caught:
        evolve(TWO, 4, created(ALAIN))
    assert (caught.value.expected, caught.value.got) == (3, 4)


def test_a_deletion_removes() -> None:
    gone = ConfigChanged(resource="user", resource_id="alain", action="deleted", before=ALAIN.model_dump(mode="json"), actor="test")
    assert evolve(TWO, 3, gone).users == {}


@pytest.mark.feature("R-19")
def test_a_tenant_keeps_a_code_that_became_the_usual_one_of_another_feature() -> None:
    codes = {"agent_login": "*11", "agent_logout": "*12", "phone_logout": "*99"}
    stored = TENANT.model_dump(mode="json") | {"feature_codes": [{"feature": feature, "code": code} for feature, code in codes.items()]}
    change = ConfigChanged(resource="tenant", resource_id="dupont", action="created", after=stored, actor="test")
    found = codes_of(evolve(EMPTY, 1, change).tenant.feature_codes)
    assert (found["agent_login"], found["agent_logout"], found["phone_logout"], found["call_back"]) == ("*11", "*12", "*99", "*37")
    assert "phone_login" not in found


def test_a_kind_of_a_newer_version_only_counts() -> None:
    later = evolve(TWO, 3, ConfigChanged(resource="hologram", resource_id="x", action="created", after={"id": "x"}, actor="test"))
    assert later.seq == 3
    assert later.users == TWO.users


def test_the_lowest_extension_that_leads_to_a_user_is_theirs() -> None:
    config = TWO
    for seq, digits in ((3, "102"), (4, "101")):
        extension = Extension.model_validate({"id": digits, "destination": {"user_id": "alain"}})
        config = evolve(config, seq, created(extension))
    assert config.extension_of("alain") == "101"
    assert config.extension_of("nobody") == ""


def test_a_change_that_cannot_be_read_is_counted_and_changes_nothing_else() -> None:
    later = pass_over(TWO, 3)
    assert later.seq == 3
    assert later.users == TWO.users
    assert evolve(later, 4, created(User(id="next", last_name="X"))).users["next"].last_name == "X"


#: (user id, new name or None to delete) in a row.
STEPS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["X", "Y", None])), max_size=30)


def users_of(config: TenantConfig) -> Mapping[str, User]:
    return dict(config.users)


@given(STEPS, st.data())
def test_changes_are_folded_and_taken_back_as_one_by_one(steps: list[tuple[str, str | None]], data: st.DataObject) -> None:
    versions, changes = [ONE], []
    for name, last in steps:
        known = versions[-1].users.get(name)
        before = None if known is None else known.model_dump(mode="json")
        after = None if last is None else User(id=name, last_name=last, etag=str(len(versions) + 1)).model_dump(mode="json")
        change = ConfigChanged(resource="user", resource_id=name, action="updated", before=before, after=after, actor="test")
        changes.append(change)
        versions.append(evolve(versions[-1], versions[-1].seq + 1, change))
    start = data.draw(st.integers(0, len(steps)))
    forth, back = Folding(versions[start]), Folding(versions[-1])
    for index in range(max(0, start - 2), len(steps)):
        forth.add(index + 2, changes[index])
    for index in reversed(range(start, len(steps))):
        back.take_back(index + 2, changes[index])
    for made, expected in ((forth.result(), versions[-1]), (back.result(), versions[start])):
        assert (made.seq, users_of(made), made.tenant) == (expected.seq, users_of(expected), expected.tenant)


def test_folding_notices_what_does_not_follow() -> None:
    with pytest.raises(ConfigGap):
        Folding(TWO).add(4, created(ALAIN))
    with pytest.raises(ConfigGap):
        Folding(TWO).take_back(1, created(ALAIN))
