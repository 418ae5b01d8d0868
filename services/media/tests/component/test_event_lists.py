"""All lamps of a phone by one subscription (RFC 4662): what the user's function keys watch, told as a list."""

from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest

from carillon_kit.testing import eventually
from carillon_sip import SessionEnded
from carillon_sip.message import Request
from strangers.watcher import REALM, Watcher, watcher_of

RLMI = "{urn:ietf:params:xml:ns:rlmi}"
DIALOG = "{urn:ietf:params:xml:ns:dialog-info}"
KEYS = f"sip:keys@{REALM}"
LISTS = "Supported: eventlist\r\nAccept: multipart/related, application/rlmi+xml, application/dialog-info+xml, application/pidf+xml\r\n"


class Told(NamedTuple):
    """A list as it was read: `states` by URI, each the states of its dialogs (or the basic status)."""

    version: int
    full: bool
    names: list[str | None]
    states: dict[str, list[str]]


def told(notice: Request) -> Told:
    assert notice.headers.get("Require") == "eventlist"
    read = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {notice.headers.get('Content-Type')}\r\n\r\n".encode() + notice.body)
    assert isinstance(read, EmailMessage)
    meta, *parts = read.iter_parts()
    top = ElementTree.fromstring(meta.get_content())
    by_id = {str(part["Content-ID"]): ElementTree.fromstring(part.get_content()) for part in parts}
    states = {}
    for resource in top:
        instance = resource.find(f"{RLMI}instance")
        assert instance is not None
        document = by_id[f"<{instance.get('cid')}>"]
        found = [text.text or "" for text in document.iter() if text.tag in (f"{DIALOG}state", "{urn:ietf:params:xml:ns:pidf}basic")]
        states[resource.get("uri", "")] = found
    names = [resource.findtext(f"{RLMI}name") for resource in top]
    return Told(int(top.get("version", "")), top.get("fullState") == "true", names, states)


async def until(watcher: Watcher, uri: str, state: str) -> list[Told]:
    """Lists up to the first in which the resource has this state alone."""
    lists: list[Told] = []
    while not lists or lists[-1].states.get(uri) != ([state] if state else []):
        lists.append(told(await watcher.notice()))
    return lists


async def keys_of_carol(house: Any, *keys: dict[str, Any]) -> None:
    numbered = [{"key": number, **key} for number, key in enumerate(keys, 1)]
    await house.configure("user", {"id": "carol", "last_name": "Carol", "function_keys": numbered})
    accounts = house.running.board.parts.directory._accounts
    await eventually(
        lambda: [key.key for key in accounts.config("dupont").users["carol"].function_keys] == [key["key"] for key in numbered]
    )


@pytest.fixture
def carol(house: Any) -> Any:
    """A phone of hers that subscribes."""
    return watcher_of(house.running.sip["udp"], "carol", "secret-carol")


@pytest.mark.feature("M-6")
async def test_one_subscription_tells_all_that_the_keys_watch(house: Any, words: Any, carol: Any) -> None:
    await keys_of_carol(house, {"user_id": "anne", "label": "Boss"}, {"user_id": "bob"}, {"number": "+41215550000"}, {"user_id": "bob"})
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    async with carol as phone:
        answer = await phone.ask(KEYS, extra=LISTS)
        assert (answer.status, answer.headers.get("Require")) == (200, "eventlist")
        first = told(await phone.notice())
        assert first == (0, True, ["Boss", "Bob"], {f"sip:101@{REALM}": [], f"sip:102@{REALM}": []})
        call = anne.call("102")
        await bob.pick_up()
        await anne.answered()
        lists = await until(phone, f"sip:102@{REALM}", "confirmed")
        anne.do("bye", call)
        await bob.expect(SessionEnded)
        lists += await until(phone, f"sip:102@{REALM}", "")
        assert [each.version for each in lists] == list(range(1, len(lists) + 1))
        assert not any(each.full for each in lists)
        assert {uri for each in lists for uri in each.states} == {f"sip:101@{REALM}", f"sip:102@{REALM}"}


@pytest.mark.feature("M-6")
async def test_other_keys_are_told_at_once_and_presence_comes_as_a_list_too(house: Any, carol: Any) -> None:
    await keys_of_carol(house, {"user_id": "anne"})
    async with carol as phone:
        await phone.ask(KEYS, "presence", extra=LISTS)
        assert told(await phone.notice()).states == {f"sip:101@{REALM}": ["closed"]}
        await house.phone("anne")
        assert (await until(phone, f"sip:101@{REALM}", "open"))[-1].full is False
        await keys_of_carol(house, {"user_id": "bob"})
        renewed = (await until(phone, f"sip:102@{REALM}", "closed"))[-1]
        assert (renewed.full, list(renewed.states)) == (True, [f"sip:102@{REALM}"])


@pytest.mark.feature("M-6")
async def test_other_labels_of_the_same_keys_are_told(house: Any, carol: Any) -> None:
    await keys_of_carol(house, {"user_id": "anne", "label": "Boss"}, {"user_id": "bob"})
    async with carol as phone:
        await phone.ask(KEYS, extra=LISTS)
        assert told(await phone.notice()).names == ["Boss", "Bob"]
        await keys_of_carol(house, {"user_id": "anne", "label": "Chief"}, {"user_id": "bob"})
        assert told(await phone.notice()) == (1, True, ["Chief", "Bob"], {f"sip:101@{REALM}": [], f"sip:102@{REALM}": []})


@pytest.mark.feature("M-6")
async def test_who_cannot_read_lists_is_told_so(house: Any, carol: Any) -> None:
    await keys_of_carol(house, {"user_id": "anne"})
    async with carol as phone:
        refused = await phone.ask(KEYS)
        assert (refused.status, refused.headers.get("Require")) == (421, "eventlist")
        assert (await phone.ask(KEYS, "message-summary", call_id="w2", extra="Supported: eventlist\r\n")).status == 404


@pytest.mark.feature("M-6")
async def test_a_list_goes_on_after_its_process_was_killed(house: Any, carol: Any) -> None:
    await keys_of_carol(house, {"user_id": "anne"}, {"user_id": "bob"})
    async with carol as phone:
        await phone.ask(KEYS, extra=LISTS)
        assert told(await phone.notice()).full
        kept = house.folder / "media" / "subscriptions.jsonl"
        await eventually(lambda: kept.exists() and "keys:carol" in kept.read_text())
        house.running.watching._watchers.clear()
        await house.die()
        again = await phone.notice()
        while again.cseq.number < 1000:
            again = await phone.notice()
        assert told(again).full
        assert set(told(again).states) == {f"sip:101@{REALM}", f"sip:102@{REALM}"}
