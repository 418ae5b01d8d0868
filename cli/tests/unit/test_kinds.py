import pytest

from carillon_cli.commands.list import lines
from carillon_cli.errors import CliError
from carillon_cli.kinds import kind_named

pytestmark = pytest.mark.feature("P-6")


@pytest.mark.parametrize("text", ["ring_group", "ring-groups", "Ring_Groups"])
def test_a_kind_is_known_by_both_its_names(text: str) -> None:
    kind = kind_named(text)
    assert (kind.noun, kind.plural) == ("RingGroup", "RingGroups")
    assert kind.request("List", page_size=7).page_size == 7


def test_an_unknown_kind_is_told_with_those_there_are() -> None:
    with pytest.raises(CliError) as refused:
        kind_named("telephones")
    assert "users" in refused.value.hint
    with pytest.raises(CliError):
        kind_named("tenant")
    assert kind_named("tenant", tenant=True).noun == "Tenant"


def test_a_line_says_who_and_where_to() -> None:
    found = lines(
        [
            {"id": "ann", "first_name": "Ann", "last_name": "Archer"},
            {"id": "+41215550100", "label": "main", "destination": {"plan_id": "main"}},
        ]
    )
    assert [line.split() for line in found[-2:]] == [["ann", "Ann", "Archer"], ["+41215550100", "main", "plan", "main"]]
