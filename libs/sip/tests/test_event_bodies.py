"""Bodies of the event packages: read back by an XML parser, and by their rules."""

from email.parser import BytesParser
from email.policy import HTTP
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_sip.dialog_info import Participant, WatchedDialog, changes, dialog_info
from carillon_sip.event_list import ListedResource, event_list, is_list
from carillon_sip.message_summary import VoiceMessages, message_summary
from carillon_sip.presence import Presence, pidf
from carillon_sip.reg_info import RegisteredContact, Registration, reg_info

pytestmark = pytest.mark.feature("M-6")
DIALOG = "{urn:ietf:params:xml:ns:dialog-info}"
PIDF = "{urn:ietf:params:xml:ns:pidf}"
REG = "{urn:ietf:params:xml:ns:reginfo}"
RINGS = WatchedDialog(
    "d1", "early", "recipient", Participant("sip:bob@x", "Bob"), Participant("sip:ann@x", held=True), "c1", "lt", "rt", duration=7
)


def test_a_ringing_dialog_is_told_with_what_pickup_needs() -> None:
    top = fromstring(dialog_info("sip:bob@x", 3, [RINGS]))
    assert top.tag == f"{DIALOG}dialog-info"
    assert top.attrib == {"version": "3", "state": "full", "entity": "sip:bob@x"}
    (dialog,) = top
    assert dialog.attrib == {"id": "d1", "call-id": "c1", "local-tag": "lt", "remote-tag": "rt", "direction": "recipient"}
    assert dialog.findtext(f"{DIALOG}state") == "early"
    assert dialog.findtext(f"{DIALOG}duration") == "7"
    identity = dialog.find(f"{DIALOG}local/{DIALOG}identity")
    assert identity is not None
    assert (identity.text, identity.get("display")) == ("sip:bob@x", "Bob")
    held = dialog.find(f"{DIALOG}remote/{DIALOG}target/{DIALOG}param")
    assert held is not None
    assert held.attrib == {"pname": "+sip.rendering", "pval": "no"}


def test_an_ended_dialog_says_why_and_partial_states_only_what_changed() -> None:
    over = WatchedDialog("d1", "terminated", "recipient", reason="remote-bye", code=200)
    top = fromstring(dialog_info("sip:bob@x", 4, [over], full=False))
    state = top.find(f"{DIALOG}dialog/{DIALOG}state")
    assert state is not None
    assert (top.get("state"), state.text, state.attrib) == ("partial", "terminated", {"event": "remote-bye", "code": "200"})
    other = WatchedDialog("d2", "confirmed", "initiator")
    assert changes([RINGS, other], [over, other]) == (over,)
    assert changes([], [other]) == (other,)
    assert changes([other], [other]) == ()


def test_message_summary() -> None:
    body = message_summary("sip:*97@x", VoiceMessages(2, 8, 0, 2))
    assert body == b"Messages-Waiting: yes\r\nMessage-Account: sip:*97@x\r\nVoice-Message: 2/8 (0/2)\r\n"
    assert message_summary("", VoiceMessages(0, 3)) == b"Messages-Waiting: no\r\nVoice-Message: 0/3 (0/0)\r\n"
    with pytest.raises(ValueError, match="line break"):
        message_summary("a\r\nb", VoiceMessages(0, 0))


def test_presence() -> None:
    top = fromstring(pidf("sip:bob@x", [Presence(True, "sip:bob@x", "on-the-phone", "in a call"), Presence(False)]))
    assert [t.findtext(f"{PIDF}status/{PIDF}basic") for t in top.findall(f"{PIDF}tuple")] == ["open", "closed"]
    person = top.find("{urn:ietf:params:xml:ns:pidf:data-model}person")
    assert person is not None
    assert person.find("{urn:ietf:params:xml:ns:pidf:rpid}activities/{urn:ietf:params:xml:ns:pidf:rpid}on-the-phone") is not None
    assert person.findtext("{urn:ietf:params:xml:ns:pidf:data-model}note") == "in a call"


def test_registrations() -> None:
    here = RegisteredContact("c1", "sip:bob@192.0.2.1", "refreshed", 3600, 0.5, "call", 7, "Desk")
    gone = RegisteredContact("c2", "sip:bob@192.0.2.2", "expired")
    top = fromstring(reg_info(1, [Registration("r1", "sip:bob@x", "active", (here, gone))]))
    assert top.attrib == {"version": "1", "state": "full"}
    first, second = top.findall(f"{REG}registration/{REG}contact")
    assert first.attrib == {
        "id": "c1", "state": "active", "event": "refreshed", "expires": "3600", "q": "0.5", "callid": "call", "cseq": "7",
    }  # fmt: skip
    assert (first.findtext(f"{REG}uri"), first.findtext(f"{REG}display-name")) == ("sip:bob@192.0.2.1", "Desk")
    assert second.attrib == {"id": "c2", "state": "terminated", "event": "expired"}


@given(st.text(alphabet=st.characters(), max_size=40))
def test_any_text_makes_well_formed_documents(text: str) -> None:
    person = Participant(text or "x", text, text)
    dialog = WatchedDialog(text, "early", "initiator", person, person, text, text, text)
    fromstring(dialog_info(text, 0, [dialog]))
    fromstring(pidf(text, [Presence(True, text, "", text)]))
    fromstring(reg_info(0, [Registration(text, text, "init", (RegisteredContact(text, text, "created", display_name=text),))]))


def test_surrogates_of_undecodable_bytes_are_left_out() -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert b"caf" in dialog_info("sip:b@x", 0, [WatchedDialog("d", "early", "initiator", Participant("sip:b@x", name))])


RLMI = "{urn:ietf:params:xml:ns:rlmi}"


def test_a_list_names_its_parts_and_each_is_read_back_by_a_reader_of_mime() -> None:
    bodies = [dialog_info("sip:bob@x", 0, [RINGS]), pidf("sip:ann@x", [Presence(True)])]
    resources = [
        ListedResource("sip:bob@x", "Bob", bodies[0], "application/dialog-info+xml"),
        ListedResource("sip:ann@x", "", bodies[1], "application/pidf+xml"),
    ]
    body, content_type = event_list("sip:keys@x", 7, resources, full=False)
    assert is_list(content_type)
    read = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    meta, *parts = read.iter_parts()
    assert (read.get_param("start"), meta["Content-ID"], meta.get_content_type()) == (
        meta["Content-ID"],
        meta["Content-ID"],
        "application/rlmi+xml",
    )
    top = fromstring(meta.get_content())
    assert (top.get("uri"), top.get("version"), top.get("fullState")) == ("sip:keys@x", "7", "false")
    assert [(found.get("uri"), found.findtext(f"{RLMI}name")) for found in top] == [("sip:bob@x", "Bob"), ("sip:ann@x", None)]
    cids = [found.find(f"{RLMI}instance").get("cid") for found in top]  # type: ignore[union-attr]
    assert [f"<{cid}>" for cid in cids] == [part["Content-ID"] for part in parts]
    assert [part.get_content() for part in parts] == bodies


def test_an_empty_list_is_a_list_without_parts() -> None:
    body, content_type = event_list("sip:keys@x", 0, [])
    read = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    (meta,) = read.iter_parts()
    assert list(fromstring(meta.get_content())) == []
