"""Busy lamps, message lamps and presence over real sockets: who may watch, what is told, and that a pick-up finds what a lamp shows."""

from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest

from carillon.common.v1 import call_application_pb2 as pb
from carillon.media.v1 import media_pb2
from carillon.media.v1.media_pb2_grpc import RegistrationServiceStub
from carillon_contracts.config import ConfigChanged
from carillon_contracts.envelope import Event
from carillon_contracts.mailbox import MailboxChanged
from carillon_contracts.streams import CONFIG, MAILBOXES, config_subject, mailbox_subject
from carillon_kit.auth import ADMIN, issue_token
from carillon_kit.grpc_client import channel
from carillon_kit.ids import SystemIds
from carillon_kit.testing import eventually
from carillon_sip import InviteReceived, SessionAnswered, SessionCancelled, SessionEnded
from carillon_sip.message import Request
from strangers.watcher import REALM, Watcher, watcher_of

KEY = "k" * 40
NAMESPACE = {"d": "urn:ietf:params:xml:ns:dialog-info"}
COPIED = ("Via", "From", "To", "Call-ID", "CSeq")


@pytest.fixture
def watcher(house: Any) -> Any:
    """Makes watchers."""
    return lambda user="anne", password="": watcher_of(house.running.sip["udp"], user, password or f"secret-{user}")


def told(notice: Request) -> tuple[int, str, list[tuple[str, str]]]:
    """Version, full or partial, and state and direction of every dialog."""
    top = ElementTree.fromstring(notice.body)
    dialogs = [(dialog.findtext("d:state", "", NAMESPACE), dialog.get("direction", "")) for dialog in top.findall("d:dialog", NAMESPACE)]
    return int(top.get("version", "")), top.get("state", ""), dialogs


def the_dialog(notice: Request) -> ElementTree.Element:
    found = ElementTree.fromstring(notice.body).find("d:dialog", NAMESPACE)
    assert found is not None
    return found


async def until(watcher: Watcher, state: str) -> list[Request]:
    """Notices up to the first that tells this state."""
    notices: list[Request] = []
    while not notices or state not in [found for found, _ in told(notices[-1])[2]]:
        notices.append(await watcher.notice())
    return notices


@pytest.mark.feature("M-6")
async def test_a_lamp_shows_a_call_from_ringing_to_its_end(house: Any, words: Any, watcher: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    async with watcher("carol") as carol:
        answer = await carol.ask(f"sip:102@{REALM}")
        assert (answer.status, answer.headers.get("Expires")) == (200, "600")
        first = await carol.notice()
        assert told(first) == (0, "full", [])
        assert first.headers.get("Subscription-State") == "active;expires=600"
        assert ElementTree.fromstring(first.body).get("entity") == f"sip:102@{REALM}"
        call = anne.call("102")
        invite, _ = await bob.pick_up()
        await anne.answered()
        notices = await until(carol, "confirmed")
        dialog = the_dialog(notices[-1])
        assert dialog.get("direction") == "recipient"
        assert dialog.get("call-id") == invite.request.call_id
        assert dialog.get("remote-tag") == invite.request.from_tag
        assert dialog.findtext("d:remote/d:identity", "", NAMESPACE) == f"sip:101@{REALM}"
        assert dialog.findtext("d:local/d:identity", "", NAMESPACE) == f"sip:102@{REALM}"
        anne.do("bye", call)
        await bob.expect(SessionEnded)
        notices += await until(carol, "terminated")
        versions = [told(notice)[:2] for notice in notices]
        assert versions == [(number, "partial") for number in range(1, len(versions) + 1)]
        assert (await carol.ask(f"sip:102@{REALM}", call_id="w2", expires=0)).status == 200
        assert told(await carol.notice()) == (0, "full", [])


@pytest.mark.feature("M-6")
async def test_the_callers_lamp_shows_whom_it_calls(house: Any, words: Any, watcher: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    async with watcher("carol") as carol:
        await carol.ask(f"sip:101@{REALM}")
        await carol.notice()
        anne.call("102")
        await bob.pick_up()
        await anne.answered()
        dialog = the_dialog((await until(carol, "confirmed"))[-1])
        assert dialog.get("direction") == "initiator"
        assert dialog.findtext("d:remote/d:identity", "", NAMESPACE) == f"sip:102@{REALM}"
        assert (await carol.ask("sip:bob@127.0.0.1", call_id="w2")).status == 200
        assert told(await carol.notice()) == (0, "full", [("confirmed", "recipient")])


@pytest.mark.feature("M-6")
async def test_what_a_lamp_shows_can_be_picked_up(house: Any, words: Any, watcher: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob, carol = [await house.phone(user) for user in ("anne", "bob", "carol")]
    async with watcher("carol") as lamp:
        await lamp.ask(f"sip:102@{REALM}")
        await lamp.notice()
        anne.call("102")
        invite = await bob.expect(InviteReceived)
        bob.do("ring", invite.session)
        dialog = the_dialog((await until(lamp, "early"))[-1])
        replaces = f"{dialog.get('call-id')};to-tag={dialog.get('local-tag')};from-tag={dialog.get('remote-tag')}"
        carol.call("102", headers=(("Replaces", replaces),))
        await carol.expect(SessionAnswered)
        await bob.expect(SessionCancelled)
        await anne.answered()
        assert (await until(lamp, "terminated"))[-1] is not None


@pytest.mark.feature("M-5", "M-6")
async def test_a_parking_slot_has_a_lamp(house: Any, words: Any, watcher: Any) -> None:
    await house.configure("parking_lot", {"id": "main", "first_slot": "701", "last_slot": "702"})
    step = pb.Step(park=pb.Park(slots=["701", "702"], timeout_ms=60_000))
    house.application.follow(pb.NextResponse(step=step, config_seq=5))
    anne = await house.phone("anne")
    async with watcher("carol") as lamp, watcher("bob") as other:
        await eventually(lambda: house.running.board.parts.directory._accounts.is_slot("dupont", "701"))
        assert (await lamp.ask(f"sip:701@{REALM}")).status == 200
        assert (await other.ask(f"sip:702@{REALM}")).status == 200
        assert told(await lamp.notice()) == (0, "full", [])
        assert (await lamp.ask(f"sip:701@{REALM}", "presence", call_id="w2")).status == 404
        assert (await lamp.ask(f"sip:703@{REALM}", call_id="w3")).status == 404
        call = anne.call("*7")
        await anne.answered()
        dialog = the_dialog((await until(lamp, "confirmed"))[-1])
        assert dialog.findtext("d:local/d:identity", "", NAMESPACE) == f"sip:701@{REALM}"
        assert dialog.findtext("d:remote/d:identity", "", NAMESPACE) == f"sip:101@{REALM}"
        anne.do("bye", call)
        await until(lamp, "terminated")
        assert told(await other.notice()) == (0, "full", [])
        assert other.notices.empty()


async def all_told(watcher: Watcher, state: str, seen: dict[str, list[int]], watchers: int) -> None:
    """So many subscriptions were told this state; `seen` gets the versions of each. What was sent again is passed over."""
    count = 0
    while count < watchers:
        notice = await watcher.notice()
        version, _, dialogs = told(notice)
        versions = seen.setdefault(notice.call_id, [])
        if versions and version == versions[-1]:
            continue
        versions.append(version)
        count += (state, "recipient") in dialogs


@pytest.mark.feature("M-6")
async def test_many_watch_one_user(house: Any, words: Any, watcher: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    async with watcher("carol") as carol:
        for number in range(120):
            assert (await carol.ask(f"sip:102@{REALM}", call_id=f"n{number}")).status == 200
            assert told(await carol.notice())[0] == 0
        call = anne.call("102")
        await bob.pick_up()
        await anne.answered()
        seen: dict[str, list[int]] = {}
        await all_told(carol, "confirmed", seen, 120)
        anne.do("bye", call)
        await all_told(carol, "terminated", seen, 120)
        assert [versions for versions in seen.values() if versions != list(range(1, len(versions) + 1))] == []
        assert len(seen) == 120


@pytest.mark.feature("M-6")
async def test_a_refresh_tells_everything_again_and_an_end_ends(house: Any, watcher: Any) -> None:
    async with watcher() as anne:
        answer = await anne.ask(f"sip:102@{REALM}")
        await anne.notice()
        again = await anne.ask(f"sip:102@{REALM}", to_tag=answer.to_tag)
        assert again.status == 200
        assert told(await anne.notice())[:2] == (1, "full")
        assert (await anne.ask(f"sip:102@{REALM}", to_tag=answer.to_tag, expires=0)).status == 200
        last = await anne.notice()
        assert (last.headers.get("Subscription-State") or "").startswith("terminated")


@pytest.mark.feature("M-6")
async def test_nobody_watches_another_house(house: Any, watcher: Any) -> None:
    await publish(house, "other", "tenant", {"id": "other", "realm": "other.example"}, 1)
    await publish(house, "other", "user", {"id": "zoe", "last_name": "Zoe"}, 2)
    await publish(house, "other", "extension", {"id": "900", "destination": {"user_id": "zoe"}}, 3)
    async with watcher() as anne:
        asked = (f"sip:900@{REALM}", "sip:900@other.example", "sip:zoe@other.example", "sip:102@other.example", f"sip:777@{REALM}")
        assert [(await anne.ask(uri, call_id=f"x{n}")).status for n, uri in enumerate(asked)] == [404] * 5


@pytest.mark.feature("M-6")
async def test_strangers_see_nothing(house: Any, watcher: Any) -> None:
    async with watcher("anne", "wrong") as wrong, watcher("nobody", "x") as unknown:
        assert (await wrong.ask(f"sip:102@{REALM}")).status == 403
        assert (await unknown.ask(f"sip:102@{REALM}")).status == 403
        assert wrong.notices.empty()
        assert unknown.notices.empty()
    async with watcher() as anne:
        assert (await anne.ask(f"sip:102@{REALM}", "secrets")).status == 489
        assert (await anne.ask(f"sip:102@{REALM}", call_id="w2", extra="Accept: text/plain\r\n")).status == 406


async def test_at_the_end_watchers_are_asked_to_come_back(house: Any, watcher: Any) -> None:
    async with watcher() as anne:
        await anne.ask(f"sip:102@{REALM}")
        await anne.notice()
        await house.stop()
        last = await anne.notice()
        assert last.headers.get("Subscription-State") == "terminated;reason=deactivated"
        await house.start()
        anne.server = house.running.sip["udp"]
        assert (await anne.ask(f"sip:102@{REALM}", call_id="w2")).status == 200
        assert told(await anne.notice()) == (0, "full", [])


@pytest.mark.feature("M-6", "V-6")
async def test_watchers_of_a_process_that_was_killed_are_told_by_the_next_one(house: Any, words: Any, watcher: Any) -> None:
    await house.configure("mailbox", {"id": "box"})
    await house.configure("user", {"id": "carol", "last_name": "Carol", "mailbox_id": "box"})
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    async with watcher("carol") as carol:
        await carol.ask(f"sip:102@{REALM}")
        await carol.ask(f"sip:102@{REALM}", "presence", call_id="w2")
        await carol.ask(f"sip:103@{REALM}", "message-summary", call_id="w3")
        before = {first.call_id: first.cseq.number for first in [await carol.notice() for _ in range(3)]}
        call = anne.call("102")
        await bob.pick_up()
        await anne.answered()
        await shown(carol, "confirmed")
        kept = house.folder / "media" / "subscriptions.jsonl"
        await eventually(lambda: kept.exists() and len(kept.read_text().splitlines()) >= 3)
        house.running.watching._watchers.clear()
        await house.die()
        again: dict[str, Request] = {}
        while len(again) < 3:
            notice = await carol.notice()
            if notice.cseq.number > 1000:
                again[notice.call_id.split("-")[0]] = notice
        assert all(notice.cseq.number > before[notice.call_id] for notice in again.values())
        assert told(again["w1"])[1:] == ("full", [("confirmed", "recipient")])
        assert b"Messages-Waiting: no" in again["w3"].body
        assert b"on-the-phone" in again["w2"].body
        anne.do("bye", call)
        await shown(carol, "terminated")


def registered(notice: Request) -> dict[str, tuple[str, list[str]]]:
    """By address of record its state and contacts."""
    spaces = {"r": "urn:ietf:params:xml:ns:reginfo"}
    top = ElementTree.fromstring(notice.body)
    assert top.get("state") == "full"
    return {
        one.get("aor", ""): (one.get("state", ""), [uri.text or "" for uri in one.findall("r:contact/r:uri", spaces)])
        for one in top.findall("r:registration", spaces)
    }


@pytest.mark.feature("M-6")
async def test_registrations_are_watched_by_their_user_and_by_admins(house: Any, watcher: Any) -> None:
    await house.configure("user", {"id": "anne", "last_name": "Anne", "role": "admin"})
    async with watcher("bob") as own, watcher("anne") as admin, watcher("carol") as other:
        await eventually(lambda: house.running.watching._accounts.is_admin("dupont", "anne"))
        assert (await other.ask(f"sip:102@{REALM}", "reg")).status == 403
        for one in (own, admin):
            assert (await one.ask(f"sip:102@{REALM}", "reg")).status == 200
            first = await one.notice()
            assert first.content_type == "application/reginfo+xml"
            assert registered(first) == {f"sip:bob@{REALM}": ("init", [])}
        await house.phone("bob")
        for one in (own, admin):
            notice = await one.notice()
            state, (contact,) = registered(notice)[f"sip:bob@{REALM}"]
            assert (state, contact) == ("active", house.running.registrar.devices_of("bob")[0].binding.contact)
            assert contact.startswith("sip:bob@127.0.0.1:")
            assert ElementTree.fromstring(notice.body).get("version") == "1"
        await house.configure("user", {"id": "anne", "last_name": "Anne", "role": "user"})
        await eventually(lambda: not house.running.watching._accounts.is_admin("dupont", "anne"))
        assert (await admin.ask(f"sip:102@{REALM}", "reg", call_id="w2")).status == 403
        assert other.notices.empty()


@pytest.mark.feature("D-9", "V-6")
async def test_the_list_of_registrations_says_who_watches_and_what_was_told(house: Any, watcher: Any) -> None:
    await house.configure("mailbox", {"id": "box"})
    await house.configure("user", {"id": "bob", "last_name": "Bob", "mailbox_id": "box"})
    await house.phone("bob")
    target = f"127.0.0.1:{house.running.grpc_port}"
    async with watcher("carol") as carol, watcher("bob") as own, channel(target, issue_token(KEY, "a", "dupont", [ADMIN])) as link:
        await eventually(lambda: house.running.watching._accounts.mailbox_of("dupont", "bob") == "box")
        assert (await carol.ask(f"sip:102@{REALM}")).status == 200
        assert (await own.ask(f"sip:102@{REALM}", "message-summary")).status == 200
        await own.notice()
        await messages(house, "box", 1)
        await own.notice()
        asked = media_pb2.ListRegistrationsRequest(user_id="bob")
        (one,) = (await RegistrationServiceStub(link).ListRegistrations(asked)).registrations
    assert (list(one.watched_by), one.message_notices, one.node) == (["carol"], 2, "test")
    assert one.registered_at.ToDatetime() <= one.last_heard_at.ToDatetime() < one.expires_at.ToDatetime()
    async with channel(target, issue_token(KEY, "a", "other", [ADMIN])) as link:
        assert not (await RegistrationServiceStub(link).ListRegistrations(asked)).registrations


async def shown(watcher: Watcher, state: str) -> None:
    """A NOTIFY of some lamp tells this state."""
    while f">{state}</state>".encode() not in (await watcher.notice()).body:
        pass


async def publish(house: Any, tenant: str, resource: str, after: dict[str, Any], seq: int) -> None:
    change = ConfigChanged(resource=resource, resource_id=after["id"], action="created", after=after, actor="test")
    event = Event(
        id=SystemIds().uuid7(),
        source="carillon/directory",
        type=change.event_type,
        subject=f"{resource}/{after['id']}",
        time=datetime.now(UTC),
        data=change.model_dump(),
        tenantid=tenant,
        configseq=seq,
    )
    await house.bus.publish(CONFIG.name, config_subject(tenant, resource, "created"), event.to_json(), str(event.id))


async def messages(house: Any, mailbox_id: str, new: int) -> None:
    """Voicemail says how many messages wait."""
    changed = MailboxChanged(mailbox_id=mailbox_id, new=new, old=0)
    event = Event(
        id=SystemIds().uuid7(),
        source="carillon/voicemail",
        type=f"carillon.{changed.TYPE}",
        subject=f"mailbox/{mailbox_id}",
        time=datetime.now(UTC),
        data=changed.model_dump(),
        tenantid="dupont",
    )
    await house.bus.publish(MAILBOXES.name, mailbox_subject("dupont", mailbox_id, changed.fact()), event.to_json(), str(event.id))


@pytest.mark.feature("V-6")
@pytest.mark.feature("M-6")
async def test_the_message_lamp_of_ones_own_mailbox(house: Any, watcher: Any) -> None:
    await house.configure("mailbox", {"id": "box"})
    for user, mailbox in (("anne", "box"), ("bob", "box"), ("carol", "")):
        await house.configure("user", {"id": user, "last_name": user.title(), "mailbox_id": mailbox})
    await messages(house, "box", 2)
    async with watcher("anne") as anne, watcher("bob") as bob, watcher("carol") as carol:
        assert (await anne.ask(f"sip:anne@{REALM}", "message-summary")).status == 200
        first = await anne.notice()
        assert first.content_type == "application/simple-message-summary"
        assert b"Messages-Waiting: yes\r\n" in first.body
        assert b"Voice-Message: 2/0 (0/0)\r\n" in first.body
        assert (await bob.ask(f"sip:101@{REALM}", "message-summary")).status == 200
        await bob.notice()
        assert (await carol.ask(f"sip:101@{REALM}", "message-summary")).status == 403
        assert (await carol.ask(f"sip:103@{REALM}", "message-summary", call_id="w2")).status == 404
        await messages(house, "box", 3)
        for lamp in (anne, bob):
            assert b"Voice-Message: 3/0 (0/0)\r\n" in (await lamp.notice()).body
        await house.stop()
        await house.start()
        anne.server = house.running.sip["udp"]
        await anne.notice()
        assert (await anne.ask(f"sip:anne@{REALM}", "message-summary", call_id="w3")).status == 200
        assert b"Voice-Message: 3/0 (0/0)\r\n" in (await anne.notice()).body


@pytest.mark.feature("M-6")
async def test_presence_is_open_while_registered_and_says_who_talks(house: Any, words: Any, watcher: Any) -> None:
    house.application.follow(words.ring("bob"))
    async with watcher("carol") as carol:
        await carol.ask(f"sip:102@{REALM}", "presence")
        assert b"<basic>closed</basic>" in (await carol.notice()).body
        anne, bob = await house.phone("anne"), await house.phone("bob")
        assert b"<basic>open</basic>" in (await carol.notice()).body
        anne.call("102")
        await bob.pick_up()
        await anne.answered()
        assert b"on-the-phone" in (await carol.notice()).body
