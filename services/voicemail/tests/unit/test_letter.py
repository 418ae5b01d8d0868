"""The e-mail that brings a message."""

from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_voicemail.domain.letter import compose
from carillon_voicemail.domain.message import Addressing, Message

AUDIO = b"RIFF" + bytes(range(256)) * 8
HEADERS = {
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
}


def message(number: str = "+41790000001", name: str = "Marie Curie") -> Message:
    return Message(
        message_id=UUID(int=7),
        tenant="dupont",
        mailbox_id="main",
        call_id="c1",
        seq=5,
        caller_number=number,
        caller_name=name,
        received_at=datetime(2026, 3, 3, 9, 15, tzinfo=UTC),
        duration_ms=65_400,
        object="sha256-00",
    )


def to(language: str = "fr", name: str = "Réception", zone: str = "Europe/Zurich", *recipients: str) -> Addressing:
    return Addressing(recipients or ("dumas@dupont.example",), name, language, zone)


def read(letter: bytes) -> EmailMessage:
    parsed = message_from_bytes(letter, policy=default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def text_of(letter: EmailMessage) -> str:
    body = letter.get_body()
    assert body is not None
    return str(body.get_content())


@pytest.mark.feature("V-3")
def test_the_letter_says_who_when_how_long_and_brings_the_audio() -> None:
    letter = read(compose(message(), to(), "voicemail@pbx.example", AUDIO).as_bytes())
    assert letter["Subject"] == "Nouveau message vocal de Marie Curie, +41790000001 (1:05)"
    assert letter["To"] == "dumas@dupont.example"
    assert letter["From"] == "Réception <voicemail@pbx.example>"
    assert letter["Date"].datetime == datetime(2026, 3, 3, 9, 15, tzinfo=UTC)
    assert letter["Message-ID"] == f"<{UUID(int=7)}@pbx.example>"
    assert "Reçu: mardi 3 mars 2026 à 10:15" in text_of(letter)
    assert "De: Marie Curie, +41790000001" in text_of(letter)
    (attached,) = letter.iter_attachments()
    assert (attached.get_content_type(), attached.get_filename()) == ("audio/wav", "message-2026-03-03-1015-+41790000001.wav")
    assert attached.get_content() == AUDIO


@pytest.mark.parametrize(
    ("language", "date"),
    [
        ("en", "Tuesday, 3 March 2026 at 04:15"),
        ("fr", "mardi 3 mars 2026 à 04:15"),
        ("de", "Dienstag, 3. März 2026 um 04:15 Uhr"),
        ("nl", "dinsdag 3 maart 2026 om 04:15"),
        ("it", "martedì 3 marzo 2026 alle 04:15"),
        ("pt", "Tuesday, 3 March 2026 at 04:15"),
    ],
)
@pytest.mark.feature("V-3")
def test_date_and_time_are_the_tenants_in_its_language(language: str, date: str) -> None:
    assert date in text_of(compose(message(), to(language, zone="America/New_York"), "voicemail@pbx.example", AUDIO))


def test_a_withheld_number_is_said_to_be_so() -> None:
    assert "withheld number" in compose(message("", ""), to("en"), "voicemail@pbx.example", AUDIO)["Subject"]


def test_the_same_message_makes_the_same_letter() -> None:
    once, twice = (compose(message(), to(), "voicemail@pbx.example", AUDIO).as_bytes() for _ in range(2))
    assert once == twice


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
@pytest.mark.feature("V-3")
def test_no_name_or_number_adds_a_header_or_a_recipient(name: str, number: str, mailbox: str) -> None:
    evil = "\r\nBcc: thief@example.org\r\n\r\n"
    made = compose(message(number + evil, name + evil), to(name=mailbox + evil), "voicemail@pbx.example", AUDIO)
    letter = read(made.as_bytes())
    assert set(letter.keys()) == HEADERS
    assert [address.addr_spec for address in letter["To"].addresses] == ["dumas@dupont.example"]
    assert [address.addr_spec for address in letter["From"].addresses] == ["voicemail@pbx.example"]
    (attached,) = letter.iter_attachments()
    assert attached.get_content() == AUDIO
    assert "/" not in (attached.get_filename() or "")


@pytest.mark.parametrize("address", ["a@b\r\nBcc: c@d", "a@b, c@d", "nobody", "<a@b>"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError):
        compose(message(), to("en", "Main", "UTC", address), "voicemail@pbx.example", AUDIO)
