"""The cursor: back and forth without loss, and nothing else is taken for one."""

import contextlib
import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_contracts.call_order import Blocked
from carillon_routing.domain.cursor import (
    MAX_BYTES,
    BadCursor,
    CallBackWait,
    CodeWait,
    Cursor,
    ExternalWait,
    GroupWait,
    Held,
    MenuWait,
    NoticeWait,
    PlayWait,
    QueueWait,
    RefusedWait,
    UserWait,
    decode,
    encode,
)

text = st.text(max_size=64)
counts = st.integers(0, 1 << 40)
waits = st.one_of(
    st.builds(UserWait, text),
    st.builds(GroupWait, text),
    st.builds(ExternalWait, text, st.lists(text, max_size=10).map(tuple), counts, text, st.booleans()),
    st.builds(CallBackWait, text, st.sampled_from(get_args(Blocked))),
    st.builds(NoticeWait, text, counts),
    st.builds(MenuWait, text, counts, text),
    st.builds(PlayWait, text),
    st.builds(QueueWait, text, counts, counts, counts, text, counts, counts),
    st.builds(QueueWait, text, counts, counts, counts, text, counts, counts, st.integers(0, 2)),
    st.builds(QueueWait, text, counts, counts, counts),
    st.builds(RefusedWait),
    st.builds(CodeWait, text, text, counts, counts),
)
cursors = st.builds(
    Cursor,
    counts,
    waits,
    st.none() | st.tuples(text, text),
    text,
    counts,
    counts,
    codes=st.lists(st.tuples(text, text), max_size=2).map(tuple),
    places=st.lists(st.builds(Held, text, counts, st.booleans()), max_size=3).map(tuple),
    visits=counts,
)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["v", "c", "w", "s", "l", "h", "f"]), inner, max_size=7),
)


@given(cursors)
def test_a_cursor_survives_its_bytes(cursor: Cursor) -> None:
    assert decode(encode(cursor)) == cursor


@pytest.mark.parametrize("value", ["Zoé", "\ud800", "\x00", "1e999"])
def test_whatever_a_look_up_says_comes_back(value: str) -> None:
    """Half a surrogate pair is in JSON what it is not in UTF-8."""
    cursor = Cursor(1, UserWait("anna"), variables=(("found", value),))
    assert decode(encode(cursor)) == cursor


def test_a_usual_cursor_is_small() -> None:
    assert len(encode(Cursor(52, GroupWait("support"), ("main", "support"), "fr", 6))) < 90


@given(st.binary() | junk.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_refused_and_nothing_worse(raw: bytes) -> None:
    with pytest.raises(BadCursor):
        decode(raw)


@given(cursors, st.sampled_from(["v", "c", "w", "s", "l", "h", "f"]), junk)
def test_a_cursor_with_a_wrong_part_is_refused_or_still_a_cursor(cursor: Cursor, key: str, value: Any) -> None:
    raw = json.dumps({**json.loads(encode(cursor)), key: value}).encode()
    with contextlib.suppress(BadCursor):
        assert isinstance(decode(raw), Cursor)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{}", "version"),
        (b'{"v":9,"c":1,"w":["user","a","",0]}', "version 9"),
        (b'{"v":2,"c":1}', "w is not a wait"),
        (b'{"v":2,"c":1,"w":["user"]}', "wait of kind user"),
        (b'{"v":2,"c":-1,"w":["user","a","",0]}', "c is not a count"),
        (b'{"v":2,"c":true,"w":["user","a","",0]}', "c is not a count"),
        (b'{"v":2,"c":1,"w":["user","a","",0],"s":["a"]}', "s is not"),
        (b'{"v":2,"c":1,"w":["user","a","",0],"p":{}}', "p is not"),
        (b'{"v":2,"c":1,"w":["user","a","",0],"p":[["support",1]]}', "p is not"),
        (b'{"v":2,"c":1,"w":["user","a","",0],"p":[["support","1",true]]}', "p is not"),
        (b"[" * 4000, "not JSON"),
        (b" " * (MAX_BYTES + 1), "bytes"),
    ],
)
def test_the_reason_is_said(raw: bytes, reason: str) -> None:
    with pytest.raises(BadCursor, match=reason):
        decode(raw)
