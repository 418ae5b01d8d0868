"""What may enter the ledger."""

import pytest

from carillon_cdr.domain.ledger import Poisoned, read_entry, same_content
from carillon_cdr.testing import Script, subject_of
from carillon_contracts.envelope import Event

FIRST = Script().started().events[0]
SUBJECT = subject_of(FIRST)


def changed(**changes: object) -> bytes:
    return FIRST.model_copy(update=changes).to_json()


def test_an_event_becomes_an_entry_with_its_bytes_untouched() -> None:
    body = FIRST.to_json()
    entry = read_entry(SUBJECT, body)
    assert (entry.tenant, entry.call_id, entry.seq, entry.body, entry.flaw) == ("dupont", "c1", 1, body, "")


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\x00", b"[]", b"{}", changed(seq=None), changed(seq=0), changed(seq=2**31), changed(callid="c2"), changed(callid=None)],
)
def test_what_has_no_place_in_the_ledger_is_poisoned(body: bytes) -> None:
    with pytest.raises(Poisoned):
        read_entry(SUBJECT, body)


@pytest.mark.feature("P-3")
def test_an_event_cannot_enter_another_tenants_ledger() -> None:
    with pytest.raises(Poisoned, match="tenant 'martin'"):
        read_entry(SUBJECT, changed(tenantid="martin"))
    with pytest.raises(Poisoned):
        read_entry("carillon.dupont.registration.registered", FIRST.to_json())


def test_data_that_does_not_fit_its_type_is_kept_and_its_flaw_named() -> None:
    assert "dialled" in read_entry(SUBJECT, changed(data={"direction": "inbound", "caller": ""})).flaw
    assert read_entry(SUBJECT, changed(type="carillon.call.sparkled.v1")).flaw == ""


def test_content_is_compared_by_meaning() -> None:
    spaced = FIRST.model_dump_json(exclude_none=True, indent=2).encode()
    assert same_content(FIRST.to_json(), spaced)
    assert not same_content(FIRST.to_json(), changed(data={**FIRST.data, "dialled": "103"}))
    assert isinstance(Event.from_json(spaced), Event)
