"""No reference of any resource is missed: the naming convention holds for the published models themselves."""

from typing import Any, get_args

import pytest
from pydantic import BaseModel

from carillon_contracts.config import RESOURCES, Destination, PagingGroup, RingMember, User
from carillon_directory.domain.references import REFERRING, Reference, references


def models_in(model: type[BaseModel]) -> set[type[BaseModel]]:
    """The model and every model inside it."""
    found = {model}
    ahead: list[Any] = [field.annotation for field in model.model_fields.values()]
    while ahead:
        kind = ahead.pop()
        ahead += get_args(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in found:
            found.add(kind)
            ahead += [field.annotation for field in kind.model_fields.values()]
    return found


@pytest.mark.parametrize("kind", RESOURCES.values(), ids=list(RESOURCES))
def test_every_field_that_names_another_resource_is_known(kind: type[BaseModel]) -> None:
    names = {name for model in models_in(kind) for name in model.model_fields}
    # Resellers stand above the tenants.
    assert {name for name in names if name.endswith("_id")} - {"reseller_id"} <= set(REFERRING)


@pytest.mark.parametrize("name", [name for name in Destination.model_fields if name.endswith("_id")])
def test_every_kind_of_destination_is_a_reference(name: str) -> None:
    destination = Destination.model_validate({name: "x"})
    assert list(references(destination)) == [Reference(name, name.removesuffix("_id"), "x")]


def test_each_item_of_a_list_of_ids_is_a_reference() -> None:
    group = PagingGroup(id="hall", number="1", user_ids=("ann", "bob"), allowed_user_ids=("cleo",))
    assert list(references(group)) == [
        Reference("user_ids[0]", "user", "ann"),
        Reference("user_ids[1]", "user", "bob"),
        Reference("allowed_user_ids[0]", "user", "cleo"),
    ]


def test_empty_and_outside_targets_are_none() -> None:
    assert list(references(RingMember(external_number="+41795550101"))) == []
    assert list(references(User(id="ann", last_name="A"))) == []
