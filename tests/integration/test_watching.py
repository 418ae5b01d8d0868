"""SIPp's phones watch each other's calls and message boxes, and write to each other, in the running system."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from strangers.reflection import Reflected
from strangers.sipp import Sipp, credentials, register
from strangers.system import System, until


def watching(system: System, user: str, dest: str, package: str, last: str) -> Sipp:
    """A phone that watches until it is told `last`."""
    who = system.user(user)
    keys = {"user": who["sip_user"], "realm": system.tenant["realm"], "dest": dest, "package": package}
    return Sipp("watch.xml", system.sip, "-trace_msg", *credentials(who), replace={"LAST": last}, seconds=40, **keys)


def messages(sipp: Sipp) -> str:
    return "".join(path.read_text(errors="replace") for path in sipp.folder.glob("*_messages.log"))


@contextmanager
def phone(system: System, extension: str, scenario: str, *options: str) -> Iterator[Sipp]:
    """A registered phone that does what the scenario says."""
    realm, user = system.tenant["realm"], system.user(extension)
    port = register(system.sip, realm, user)
    try:
        with Sipp(scenario, system.sip, *options, port=port, seconds=40) as one:
            yield one
    finally:
        register(system.sip, realm, user, port=port, expires=0)


@pytest.mark.feature("M-6")
def test_a_busy_lamp_follows_a_call(system: System) -> None:
    caller = system.user("101")
    keys = {"user": caller["sip_user"], "realm": system.tenant["realm"], "dest": "106"}
    with watching(system, "102", "106", "dialog", "terminated") as lamp, phone(system, "106", "answer.xml", "-d", "400") as callee:
        until((lamp.folder / "told").exists, "the first NOTIFY")
        with Sipp("call_with_authentication.xml", system.sip, "-d", "600", *credentials(caller), **keys) as call:
            call.succeed()
        callee.succeed()
        lamp.succeed()
        told = messages(lamp)
    states = list(dict.fromkeys(re.findall(r"<state[^>]*>(\w+)</state>", told)))
    assert [state for state in states if state != "trying"] == ["early", "confirmed", "terminated"]
    versions = list(dict.fromkeys(int(found) for found in re.findall(r'version="(\d+)"', told)))
    assert versions == list(range(len(versions)))
    assert told.count('state="full"') >= 1
    assert f"sip:101@{system.tenant['realm']}" in told


@pytest.mark.feature("M-6")
def test_all_lamps_of_a_phone_by_one_subscription(system: System) -> None:
    """RFC 4662: `keys` is the list of what the user's function keys watch."""
    directory = Reflected(system.run["grpc"]["directory"], system.run["admin_token"])
    caller, watcher, realm = system.user("101"), system.user("102"), system.tenant["realm"]
    keys = {"user": caller["sip_user"], "realm": realm, "dest": "106"}
    watched = [{"key": 1, "user_id": caller["id"]}, {"key": 2, "user_id": system.user("106")["id"], "label": "Clerk"}]

    def set_keys(*function_keys: dict[str, object]) -> None:
        changed = {"user": {"id": watcher["id"], "function_keys": list(function_keys)}, "update_mask": "functionKeys"}
        directory.call("carillon.directory.v1.UserService/UpdateUser", changed)

    set_keys(*watched)
    try:
        with watching(system, "102", "keys", "dialog", "confirmed") as lamps, phone(system, "106", "answer.xml", "-d", "400") as callee:
            until((lamps.folder / "told").exists, "the first NOTIFY")
            with Sipp("call_with_authentication.xml", system.sip, "-d", "600", *credentials(caller), **keys) as call:
                call.succeed()
            callee.succeed()
            lamps.succeed()
            told = messages(lamps)
    finally:
        set_keys()
    assert told.count("Require: eventlist") >= 2
    assert f'<resource uri="sip:106@{realm}"><name>Clerk</name>' in told
    assert f'<resource uri="sip:101@{realm}">' in told
    assert 'fullState="true"' in told


@pytest.mark.feature("M-5", "M-6")
def test_the_lamp_of_a_parking_slot(system: System) -> None:
    """Dumas parks herself, and gives up."""
    caller = system.user("101")
    keys = {"user": caller["sip_user"], "realm": system.tenant["realm"], "dest": "*7708"}
    with watching(system, "102", "708", "dialog", "terminated") as lamp:
        until((lamp.folder / "told").exists, "the first NOTIFY")
        with Sipp("call_with_authentication.xml", system.sip, "-d", "600", *credentials(caller), **keys) as call:
            call.succeed()
        lamp.succeed()
        told = messages(lamp)
    assert list(dict.fromkeys(re.findall(r"<state[^>]*>(\w+)</state>", told))) == ["confirmed", "terminated"]
    assert f"sip:101@{system.tenant['realm']}" in told


@pytest.mark.feature("M-6", "V-6")
def test_the_lamp_of_a_mailbox(system: System) -> None:
    """Claire has a mailbox."""
    with watching(system, "104", "104", "message-summary", "Voice-Message:") as lamp:
        assert "Messages-Waiting: " in messages(lamp.succeed())


@pytest.mark.feature("M-15")
def test_a_message_is_taken_by_the_colleagues_phone_and_otherwise_refused(system: System) -> None:
    user = system.user("101")
    keys = {"user": user["sip_user"], "realm": system.tenant["realm"]}

    def send(dest: str, status: str) -> None:
        with Sipp("message.xml", system.sip, *credentials(user), replace={"STATUS": status}, dest=dest, **keys) as sender:
            sender.succeed()

    with phone(system, "106", "take_message.xml") as colleague:
        send("106", "200")
        colleague.succeed()
    send("106", "480")
    send("998", "404")
    assert "Lunch at noon" not in system.log()


@pytest.mark.feature("M-6")
def test_a_lamp_goes_on_after_its_media_process_was_killed(system: System) -> None:
    """The watcher does nothing for it: it only answers NOTIFYs."""
    caller = system.user("101")
    keys = {"user": caller["sip_user"], "realm": system.tenant["realm"], "dest": "106"}
    with watching(system, "102", "106", "dialog", "terminated") as lamp:
        until((lamp.folder / "told").exists, "the first NOTIFY")
        (call_id,) = set(re.findall(r"^Call-ID: (\S+)", messages(lamp), re.MULTILINE))
        until(lambda: any(f'"{call_id}"' in kept.read_text() for kept in system.data.rglob("subscriptions.jsonl")), "it is kept")
        old = system.kill("media")
        system.until_restarted("media", old)
        until(lambda: len(re.findall(r"^CSeq: \d+ NOTIFY", messages(lamp), re.MULTILINE)) >= 4, "a NOTIFY of the next process", 40)
        with phone(system, "106", "answer.xml", "-d", "400") as callee:
            with Sipp("call_with_authentication.xml", system.sip, "-d", "600", *credentials(caller), **keys) as call:
                call.succeed()
            callee.succeed()
        lamp.succeed()
        told = messages(lamp)
    counts = list(dict.fromkeys(int(found) for found in re.findall(r"^CSeq: (\d+) NOTIFY", told, re.MULTILINE)))
    assert counts == sorted(counts)
    assert counts[1] > 1000 > counts[0]
    assert "confirmed" in told


@pytest.mark.feature("D-9")
def test_the_command_line_shows_a_phone_and_who_watches_it(system: System) -> None:
    with phone(system, "106", "answer.xml") as one, watching(system, "102", "106", "dialog", "never") as lamp:
        until((lamp.folder / "told").exists, "the first NOTIFY")
        found = [json.loads(line) for line in system.carillon("registrations", "--json", "--user", "elise").splitlines()]
        table = system.carillon("registrations")
        page = system.carillon("lines", "show", "elise")
        assert one.port in {int(line["source"].rsplit(":", 1)[1]) for line in found}
    (line,) = [line for line in found if line["source"] == f"udp:127.0.0.1:{one.port}"]
    assert (line["user_id"], line["watched_by"]) == ("elise", ["alain"])
    assert line["registered_at"] <= line["last_heard_at"] < line["expires_at"]
    assert f"udp:127.0.0.1:{one.port}" in table
    assert f"udp:127.0.0.1:{one.port}" in page
    assert "online" in page
    assert "missing" not in page
