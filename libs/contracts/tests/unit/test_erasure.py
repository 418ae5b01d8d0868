"""Words of a person are replaced as words, wherever they stand, and nothing else is touched."""

import json
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_contracts.erasure import Cleaner, PersonErasureOrdered, order_event, read_order

pytestmark = pytest.mark.feature("P-8")
PSEUDONYM = "erased-abcdef012345"
CLEANER = Cleaner(
    PersonErasureOrdered(
        erasure_id="1",
        user_id="zoe",
        pseudonym=PSEUDONYM,
        ids={"zoe": PSEUDONYM, "acme-zoe": f"{PSEUDONYM}-1"},
        user_ids={"sales": PSEUDONYM},
        texts={"zoe quill": "erased", "quill": "erased", "zoe@acme.example": "erased@erased.invalid", "+41791234567": "+41790000000"},
    )
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("user/zoe", f"user/{PSEUDONYM}"),
        ("sip:acme-zoe@10.0.0.1:5060", f"sip:{PSEUDONYM}-1@10.0.0.1:5060"),
        ("Zoe Quill, QUILL!", "erased, erased!"),
        ("mailto:ZOE@acme.example", "mailto:erased@erased.invalid"),
        ("calls +41791234567 now", "calls +41790000000 now"),
        ("zoe-2 zoe.b azoe zoes other-zoe Quillery", "zoe-2 zoe.b azoe zoes other-zoe Quillery"),
        ("+417912345678 +41791234567", "+417912345678 +41790000000"),
        ("user/sales asks sales", f"user/{PSEUDONYM} asks sales"),
        ("zoe. And zoe, and (zoe)", f"{PSEUDONYM}. And {PSEUDONYM}, and ({PSEUDONYM})"),
    ],
)
def test_a_word_is_replaced_where_it_is_a_word(before: str, after: str) -> None:
    assert CLEANER.text(before) == after


def test_a_shared_id_is_replaced_where_a_user_is_named() -> None:
    document: dict[str, Any] = {"user_id": "sales", "queue_id": "sales", "legs": [{"party": "sales"}], "user_ids": ["sales", "bob"]}
    assert CLEANER.value(document) == {
        "user_id": PSEUDONYM,
        "queue_id": "sales",
        "legs": [{"party": PSEUDONYM}],
        "user_ids": [PSEUDONYM, "bob"],
    }
    assert CLEANER.value({"zoe": 1, "sales": 2}) == {PSEUDONYM: 1, "sales": 2}
    assert CLEANER.value({"user:zoe": 1}) == CLEANER.value({"user:sales": 1}) == {f"user:{PSEUDONYM}": 1}


def test_bytes_stay_as_they_are_where_nothing_is_to_be_replaced() -> None:
    raw = b'{ "a" :  "azoe" }'
    assert CLEANER.json(raw) is raw
    assert CLEANER.json(b'{"a":"zoe"}') == f'{{"a":"{PSEUDONYM}"}}'.encode()
    assert CLEANER.json(b"zoe, no json") == f"{PSEUDONYM}, no json".encode()


WORDS = st.sampled_from(
    ["zoe", "Zoe Quill", "quill", "acme-zoe", "sales", "user/sales", "zoe@acme.example", "+41791234567", "x", ".", "-", " "]
)


@given(st.lists(WORDS).map("".join), st.sampled_from(["", "user_id", "by", "text"]))
def test_twice_is_as_once(text: str, key: str) -> None:
    once = CLEANER.text(text, key)
    assert CLEANER.text(once, key) == once


def test_what_is_no_order_is_refused_without_a_word_of_what_is_inside() -> None:
    given = PersonErasureOrdered(
        erasure_id=str(UUID(int=1)), ids={"zoe": PSEUDONYM}, texts={"quill": "erased"}, user_id="zoe", pseudonym=PSEUDONYM
    )
    _, subject, payload = order_event("acme", given, datetime(2026, 3, 5, tzinfo=UTC))
    assert read_order(subject, payload).data == given
    faults = {
        "1 faults": payload.replace(b'"round":1', b'"round":0'),
        "2 faults": payload.replace(b'"round":1', b'"round":0').replace(b'"texts":{"quill":"erased"}', b'"texts":["quill"]'),
        "no order": payload[:-1],
        "tenant": payload.replace(b'"acme"', b'"quill"'),
    }
    for said, broken in faults.items():
        with pytest.raises(ValueError, match=said) as refused:
            read_order(subject, broken)
        assert "quill" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("name", ['Zoé "Zo" Quill', "Quill\\Feather", "Zoé/Quill", "O'Quill"])
@pytest.mark.parametrize(
    "write", [orjson.dumps, lambda value: json.dumps(value).encode(), lambda value: json.dumps(value, indent=1).encode()]
)
def test_a_name_is_found_however_json_writes_it(name: str, write: Callable[[Any], bytes]) -> None:
    order = PersonErasureOrdered(erasure_id="1", user_id="x", pseudonym=PSEUDONYM, ids={}, texts={name.casefold(): "erased"})
    for written in (name, name.upper()):
        assert orjson.loads(Cleaner(order).json(write({"text": f"Call {written}, now"}))) == {"text": "Call erased, now"}


def test_an_event_says_that_it_reads_otherwise() -> None:
    event = {"specversion": "1.0", "type": "x", "data": {"number": "+41791234567"}}
    once = CLEANER.json(orjson.dumps(event))
    assert orjson.loads(once) == {**event, "data": {"number": "+41790000000"}, "erased": True}
    assert CLEANER.json(once) is once
