"""SIPp as the carrier and as phones: voicemail with its e-mail, busy, no answer, cancelled, over UDP and TCP."""

import email
import email.policy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

import grpc
import pytest

from carillon_cli.phone import tones, wav
from strangers.reflection import Reflected
from strangers.sipp import SPOKEN_HZ, Sipp, credentials, register, tone_file
from strangers.system import System, until

CARRIER = ("127.0.0.2", 5060)
#: Another exchange.
WORKS = "127.0.0.3"
SILENT = {'<exec rtp_stream="SOUND,-1,8"/>': ""}
CALLER = "+41791234567"
IN_HOURS, NIGHT = "2026-11-24T10:15+01:00", "2026-11-24T22:00+01:00"


def mails(system: System) -> dict[str, EmailMessage]:
    """Every mail in the Maildir by file name."""
    found: dict[str, EmailMessage] = {}
    for path in Path(system.run["mail"]["maildir"]).rglob("*"):
        if path.is_file() and path.parent.name in ("new", "cur"):
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            found[path.name] = message
    return found


@contextmanager
def answering(system: System, extension: str, scenario: str, calls: int = 1, *options: str, transport: str = "u1") -> Iterator[Sipp]:
    """A phone of SIPp's, registered while it does what the scenario says."""
    realm, user = system.tenant["realm"], system.user(extension)
    port = register(system.sip, realm, user, "-t", transport)
    try:
        with Sipp(scenario, system.sip, "-t", transport, *options, port=port, calls=calls, seconds=60) as phone:
            yield phone
    finally:
        register(system.sip, realm, user, "-t", transport, port=port, expires=0)


def call(system: System, caller: str, dialled: str, scenario: str = "call_with_authentication.xml", *options: str) -> Sipp:
    user = system.user(caller)
    keys = {"user": user["sip_user"], "realm": system.tenant["realm"], "dest": dialled}
    return Sipp(scenario, system.sip, *options, *credentials(user), **keys)


@pytest.mark.feature("V-1", "V-2", "V-3", "R-5", "M-2")
def test_a_call_out_of_hours_ends_in_the_mailbox_and_one_mail_has_what_was_said(system: System, tmp_path: Path) -> None:
    system.clock(NIGHT)
    known, old_mails = system.call_ids(), set(mails(system))
    replace = {"SOUND": str(tone_file(tmp_path))}
    keys = {"dest": system.tenant["numbers"]["main"], "caller": CALLER}
    with Sipp("carrier_calls.xml", system.sip, "-d", "22000", ip=CARRIER[0], port=CARRIER[1], seconds=45, replace=replace, **keys) as sipp:
        sipp.succeed()
    (record,) = system.new_records(known, 1)
    assert (record["status"], record["answered_by"], record["caller"]) == ("voicemail", "main", CALLER)
    fresh = until(lambda: {name: mail for name, mail in mails(system).items() if name not in old_mails}, "the mail", 30)
    (mail,) = fresh.values()
    assert CALLER in str(mail["subject"]) + mail.get_body(("plain",)).get_content()
    (sound,) = [part for part in mail.iter_attachments() if part.get_content_type() in ("audio/wav", "audio/x-wav")]
    heard = tones.hear(wav.read(sound.get_payload(decode=True)))
    assert heard.tone_seconds(SPOKEN_HZ) > 0.9 * heard.total > 1, str(heard)


@pytest.mark.feature("M-3", "C-1")
@pytest.mark.parametrize("transport", ["u1", "t1"])
def test_an_answered_call_over_udp_and_tcp(system: System, transport: str) -> None:
    known = system.call_ids()
    with answering(system, "106", "answer.xml", 1, "-d", "50", transport=transport) as phone:
        call(system, "101", "106", "call_with_authentication.xml", "-d", "1000", "-t", transport).succeed()
        phone.succeed()
    (record,) = system.new_records(known, 1)
    assert (record["status"], record["answered_by"]) == ("answered", "elise")
    assert record["talk_seconds"] == pytest.approx(1, abs=0.5)


@pytest.mark.feature("R-3", "R-12")
def test_busy_goes_where_the_user_forwards_it(system: System) -> None:
    """Alain is busy: the sales phones ring, one answers."""
    known = system.call_ids()
    with answering(system, "102", "busy.xml") as alain, answering(system, "105", "answer.xml", 1, "-d", "50") as david:
        call(system, "101", "102", "call_with_authentication.xml", "-d", "300").succeed()
        alain.succeed()
        david.succeed()
    (record,) = system.new_records(known, 1)
    assert (record["status"], record["answered_by"]) == ("answered", "david")
    assert {leg["party"]: leg["cause"] for leg in record["legs"]}["alain"] == "user_busy"


@pytest.mark.feature("R-6", "M-3")
def test_of_two_that_ring_the_first_answers_and_the_other_is_cancelled(system: System) -> None:
    known = system.call_ids()
    with answering(system, "105", "ring_until_cancelled.xml") as david, answering(system, "106", "answer.xml", 1, "-d", "300") as elise:
        call(system, "101", "210", "call_with_authentication.xml", "-d", "300").succeed()
        david.succeed()
        elise.succeed()
    (record,) = system.new_records(known, 1)
    assert record["answered_by"] == "elise"
    assert {leg["party"]: leg["cause"] for leg in record["legs"]}["david"] == "answered_elsewhere"


@pytest.mark.feature("R-18", "M-2")
def test_a_call_out_reaches_the_carrier_with_the_caller_s_number(system: System) -> None:
    known = system.call_ids()
    with Sipp("answer.xml", system.sip, "-d", "50", "-trace_msg", ip=CARRIER[0], port=CARRIER[1], calls=1) as carrier:
        call(system, "101", "0791234567", "call_with_authentication.xml", "-d", "300").succeed()
        carrier.succeed()
        seen = "".join(path.read_text() for path in carrier.folder.glob("*_messages.log"))
    assert "INVITE sip:+41791234567@127.0.0.2" in seen
    assert "+41215550101" in seen
    assert "dupont-101" not in seen
    (record,) = system.new_records(known, 1)
    assert (record["direction"], record["answered_by"], record["status"]) == ("outbound", "+41791234567", "answered")


@pytest.mark.feature("M-1")
def test_a_wrong_password_registers_nothing(system: System) -> None:
    user = system.user("103") | {"sip_password": "wrong"}
    with pytest.raises(AssertionError):
        register(system.sip, system.tenant["realm"], user)


@pytest.mark.feature("R-20", "R-24", "P-6")
def test_the_decision_of_a_call_can_be_read_afterwards(system: System, tmp_path: Path) -> None:
    system.clock(IN_HOURS)
    known = system.call_ids()
    sound = {"SOUND": str(tone_file(tmp_path))}
    keys = {"dest": system.tenant["numbers"]["main"], "caller": CALLER}
    with (
        answering(system, "101", "answer.xml", 1, "-d", "50"),
        Sipp("carrier_calls.xml", system.sip, "-d", "300", ip=CARRIER[0], port=CARRIER[1], replace=sound, **keys) as sipp,
    ):
        sipp.succeed()
    (record,) = system.new_records(known, 1)
    assert record["answered_by"] == "dumas"
    story = system.carillon("explain", record["call_id"])
    assert "office" in story
    assert "dumas" in story


def is_routed(system: System, trunk: str) -> bool:
    """Whether routing knows the trunk."""
    routing = Reflected(system.run["grpc"]["routing"], system.run["admin_token"])
    try:
        routing.call("carillon.routing.v1.RoutingService/Simulate", {"dialled": "106", "trunk_id": trunk})
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
            raise
        return False
    finally:
        routing.channel.close()
    return True


@pytest.mark.feature("R-23")
def test_users_of_another_exchange_and_ours_call_each_other_by_their_short_numbers(system: System) -> None:
    directory = Reflected(system.run["grpc"]["directory"], system.run["admin_token"])
    works = {"id": "works", "address": f"{WORKS}:5060", "prefixes": ["+354"], "short_ranges": [{"first": "7000", "last": "7999"}]}
    directory.call("carillon.directory.v1.TrunkService/CreateTrunk", {"trunk": works})
    try:
        until(lambda: "works" in system.carillon("trunks") and is_routed(system, "works"), "the trunk", 30)
        known = system.call_ids()
        with answering(system, "106", "answer.xml", 1, "-d", "50", "-trace_msg") as elise:
            Sipp("carrier_calls.xml", system.sip, "-d", "300", ip=WORKS, seconds=60, replace=SILENT, dest="106", caller="7012").succeed()
            shown = "".join(path.read_text() for path in elise.succeed().folder.glob("*_messages.log"))
        (record,) = system.new_records(known, 1)
        assert (record["status"], record["answered_by"], record["caller"], record["dialled"]) == ("answered", "elise", "7012", "106")
        assert "From: <sip:7012@" in shown
        with Sipp("answer.xml", system.sip, "-d", "50", "-trace_msg", ip=WORKS, port=5060, calls=1) as there:
            call(system, "106", "7012", "call_with_authentication.xml", "-d", "300").succeed()
            heard = "".join(path.read_text() for path in there.succeed().folder.glob("*_messages.log"))
        assert f"INVITE sip:7012@{WORKS}" in heard
        assert re.search(r'From: "[^"]+" <sip:106@', heard)
        (back,) = system.new_records(known | {record["call_id"]}, 1)
        assert (back["status"], back["dialled"]) == ("answered", "7012")
    finally:
        directory.call("carillon.directory.v1.TrunkService/DeleteTrunk", {"id": "works"})
        directory.channel.close()
