"""Page tokens and sizes."""

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_kit.errors import InvalidArgument
from carillon_kit.pages import cut, decode_token, encode_token, page_size

VALUES = st.one_of(st.integers(-(2**53), 2**53), st.text(), st.booleans(), st.none())


@given(st.dictionaries(st.text(), VALUES))
def test_a_token_holds_the_position(position: dict[str, object]) -> None:
    assert decode_token(encode_token(position)) == position


def test_no_token_is_the_start() -> None:
    assert decode_token("") == {}


@pytest.mark.parametrize("token", ["?", "abc", "é", *(base64.urlsafe_b64encode(raw).decode() for raw in (b"[1]", b"nope")), "A" * 5000])
def test_a_bad_token_is_the_callers_fault(token: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        decode_token(token)
    assert set(refused.value.violations) == {"page_token"}


@given(st.text())
def test_no_token_does_harm(token: str) -> None:
    with suppress(InvalidArgument):
        assert isinstance(decode_token(token), dict)


@pytest.mark.parametrize(("asked", "given_"), [(0, 50), (1, 1), (1000, 1000), (1001, 1000)])
def test_page_sizes_are_clamped(asked: int, given_: int) -> None:
    assert page_size(asked) == given_


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(InvalidArgument) as refused:
        page_size(-1)
    assert set(refused.value.violations) == {"page_size"}


@given(st.sets(st.text(min_size=1, max_size=3)), st.integers(1, 5))
def test_pages_of_what_is_there_tell_everything_once(names: set[str], size: int) -> None:
    found: list[str] = []
    token = ""
    while True:
        page, token = cut(names, str, size, token)
        assert len(page) <= size
        found += page
        if not token:
            break
    assert found == sorted(names)
    assert cut(names, str, 0, "") == (sorted(names), "")


def test_a_page_of_another_list_or_of_a_size_below_nothing_is_refused() -> None:
    for size, token in ((-1, ""), (1, encode_token({"after": 7})), (1, "?")):
        with pytest.raises(InvalidArgument):
            cut(["a"], str, size, token)
