"""Finding things by what people know of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_contracts.config import ConfigChanged
from carillon_directory.domain.search import FIELDS, SearchIndex, asked, plain

USERS = {
    "elise": {"id": "elise", "first_name": "Élise", "last_name": "Moreau", "email": "e.moreau@dupont.example", "mobile": "+41791234567"},
    "alain": {"id": "alain", "first_name": "Alain", "last_name": "Dupont", "function": "Direction", "department_id": "board"},
    "denise": {"id": "denise", "first_name": "Denise", "last_name": "Dumas", "mailbox_id": "secretbox", "language": "fr"},
}
NUMBERS = {"+41215550100": {"id": "+41215550100", "label": "main"}}
DEVICES = {"d1": {"id": "d1", "label": "Reception", "mac": "00156512ab34", "serial": "SN-77"}}


@pytest.fixture
def index() -> SearchIndex:
    made = SearchIndex()
    made.begin(7, {"user": USERS, "number": NUMBERS, "device": DEVICES})
    return made


def ids(index: SearchIndex, query: str, **more: Any) -> list[str]:
    return [found.resource_id for found in index.find(query, 20, **more)[0]]


@pytest.mark.feature("D-21")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("elise", ["elise"]),
        ("ÉLI", ["elise"]),
        ("mor eli", ["elise"]),
        ("du", ["alain", "denise", "elise"]),
        ("dupont", ["alain", "elise"]),
        ("e.moreau@dup", ["elise"]),
        ("021 555 01", ["+41215550100"]),
        ("+41 21 555 01 00", ["+41215550100"]),
        ("0791234567", ["elise"]),
        ("00:15:65:12", ["d1"]),
        ("00-15-65-12-AB-34", ["d1"]),
        ("sn-77", ["d1"]),
        ("secretbox", []),
        ("fr", []),
        ("nobody", []),
        ("elise nobody", []),
        ("", []),
        ("  -- ", []),
    ],
)
def test_people_find_what_they_mean(index: SearchIndex, query: str, found: list[str]) -> None:
    assert ids(index, query) == found


@pytest.mark.feature("D-21")
def test_kinds_and_rights_narrow(index: SearchIndex) -> None:
    assert ids(index, "dupont", kinds=["device"]) == []
    assert ids(index, "dupont", kinds=["user"], visible=lambda kind, name: FIELDS if name == "elise" else ()) == ["elise"]


@pytest.mark.feature("D-21")
def test_a_change_is_found_and_the_old_word_is_not(index: SearchIndex) -> None:
    after = USERS["elise"] | {"last_name": "Lambert"}
    index.apply(8, ConfigChanged(resource="user", resource_id="elise", action="updated", before=USERS["elise"], after=after, actor="x"))
    assert ids(index, "lambert") == ["elise"]
    assert ids(index, "elise moreau") == ["elise"], "her address still has it"
    index.apply(9, ConfigChanged(resource="user", resource_id="elise", action="deleted", before=after, actor="x"))
    assert ids(index, "elise") == []
    index.apply(8, ConfigChanged(resource="user", resource_id="elise", action="created", after=after, actor="x"))
    assert ids(index, "elise") == []


@pytest.mark.feature("D-21")
def test_more_than_fits_is_told() -> None:
    index = SearchIndex()
    index.begin(1, {"user": {f"u{n}": {"id": f"u{n}", "last_name": "Martin"} for n in range(30)}})
    found, more = index.find("martin", 20)
    assert (len(found), more) == (20, True)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.text("aébc 1+", max_size=6)), max_size=20))
def test_an_index_of_changes_is_the_index_of_what_they_leave(changes: list[tuple[str, str]]) -> None:
    live, left = SearchIndex(), dict[str, dict[str, str]]()
    for seq, (name, last_name) in enumerate(changes, 1):
        if last_name:
            left[name] = {"id": name, "last_name": last_name}
        else:
            left.pop(name, None)
        live.apply(seq, ConfigChanged(resource="user", resource_id=name, action="updated", after=left.get(name), actor="x"))
    fresh = SearchIndex()
    fresh.begin(len(changes), {"user": left})
    for word in ("a", "b", "c", "1", "e"):
        assert live.find(word, 100) == fresh.find(word, 100)
    assert (set(live._holders), live._sorted) == (set(fresh._holders), fresh._sorted)


@given(st.text())
def test_no_query_breaks_anything(query: str) -> None:
    index = SearchIndex()
    index.begin(1, {"user": USERS})
    index.find(query, 5)
    assert all(word == plain(word) for word in asked(query))
