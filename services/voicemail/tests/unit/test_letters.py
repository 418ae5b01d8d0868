"""Letters of other services, as e-mails."""

from email import message_from_bytes
from email.policy import default

import pytest

from carillon_contracts.letter import Attachment, LetterRequested
from carillon_voicemail.letters import compose


def test_a_letter_is_an_e_mail_with_its_attachment() -> None:
    calendar = Attachment(name="meeting.ics", media_type="text/calendar", text="BEGIN:VCALENDAR\nEND:VCALENDAR\n")
    letter = LetterRequested(to=("b@x.example",), subject="Réunion", text="Bonjour é", language="fr", attachments=(calendar,))
    with pytest.raises(ValueError, match="address"):
        compose(letter.model_copy(update={"to": ("no address\r\nBcc: x@y",)}), "pbx@x.example", "1")
    made = message_from_bytes(compose(letter, "pbx@x.example", "1").as_bytes(), policy=default)
    assert made["Subject"] == "Réunion"
    assert made["Message-ID"] == "<1@x.example>"
    (attached,) = made.iter_attachments()
    assert (attached.get_content_type(), attached.get_filename()) == ("text/calendar", "meeting.ics")


@pytest.mark.parametrize("subject", ["Hello\r\nBcc: evil@x.example", "a\nb"])
def test_no_subject_and_no_name_adds_a_header(subject: str) -> None:
    letter = LetterRequested(to=("b@x.example",), subject=subject, text="x", sender_name=subject)
    made = message_from_bytes(compose(letter, "pbx@x.example", "1").as_bytes(), policy=default)
    assert made["Bcc"] is None
    assert made["To"] == "b@x.example"
