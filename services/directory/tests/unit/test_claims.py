"""Claims follow the changes, whatever their order."""

from hypothesis import given as for_all
from hypothesis import strategies as st

from carillon_contracts.config import ConfigChanged
from carillon_directory.domain.claims import Claim, claim_changes

STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12)


def change(number: str, there: bool, wanted: bool) -> ConfigChanged | None:
    if there == wanted:
        return None
    before, after = ({"id": number}, None) if there else (None, {"id": number})
    return ConfigChanged(
        resource="number", resource_id=number, action="deleted" if there else "created", before=before, after=after, actor="x"
    )


@for_all(st.sets(st.sampled_from("abc")), STEPS)
def test_what_is_held_after_the_changes_is_what_was_held_moved_by_them(held: set[str], steps: list[tuple[str, bool]]) -> None:
    now, changes = set(held), []
    for number, wanted in steps:
        if made := change(number, number in now, wanted):
            changes.append(made)
            now ^= {number}
    moved = claim_changes(changes)
    claims = {Claim("number", number) for number in held}
    assert (claims - moved.released) | moved.taken == {Claim("number", number) for number in now}
    assert not moved.released & moved.taken
    assert moved.released <= claims
    assert not moved.taken & claims
