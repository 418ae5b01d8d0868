"""The e-mail that brings a message: `compose` makes the same bytes for the same message every time.

Always: headers are set through the standard library's policy, so that a name or number with a line break in it can neither add a
header nor a recipient; Message-ID and boundary come from the message's id.
"""

import re
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from zoneinfo import ZoneInfo

from carillon_voicemail.domain.message import Addressing, Message
from carillon_voicemail.domain.phrases import Phrases, phrases_in, written_date, written_duration


def compose(message: Message, to: Addressing, sender: str, audio: bytes) -> EmailMessage:
    """The e-mail with its WAV. `sender` is an address (`voicemail@example.org`). Raises `ValueError` for an address that is none."""
    phrases = phrases_in(to.language)
    at = message.received_at.astimezone(_zone(to.time_zone))
    from_ = _address(sender, _one_line(to.mailbox_name))
    letter = EmailMessage(policy=SMTP)
    letter["From"] = from_
    letter["To"] = tuple(_address(recipient) for recipient in to.recipients)
    letter["Subject"] = phrases.subject.format(caller=caller_in(phrases, message), duration=written_duration(message.duration_ms))
    letter["Date"] = at
    letter["Message-ID"] = message_id_header(message, from_.domain)
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(_text(phrases, message, to, at), cte="quoted-printable")
    letter["Content-Language"] = phrases.language
    letter.add_attachment(audio, maintype="audio", subtype="wav", filename=file_name(message, at))
    letter.set_boundary(f"=_carillon_{message.message_id.hex}")
    return letter


def message_id_header(message: Message, domain: str) -> str:
    """Stable for the message, so that a mail server that gets it twice can tell."""
    return f"<{message.message_id}@{domain}>"


def caller_in(phrases: Phrases, message: Message) -> str:
    """Name and number, or that it was withheld; one line."""
    number, name = _one_line(message.caller_number), _one_line(message.caller_name)
    if name and number and name != number:
        return f"{name}, {number}"
    return name or number or phrases.withheld


def file_name(message: Message, at: datetime) -> str:
    """`message-2026-03-03-1015-+41790000001.wav`: letters, digits, plus and minus only."""
    number = re.sub(r"[^0-9A-Za-z+]", "", message.caller_number)
    return "-".join(filter(None, ("message", at.strftime("%Y-%m-%d-%H%M"), number))) + ".wav"


def _text(phrases: Phrases, message: Message, to: Addressing, at: datetime) -> str:
    lines = [
        phrases.new_message,
        "",
        f"{phrases.mailbox}: {_one_line(to.mailbox_name)}",
        f"{phrases.received}: {written_date(phrases, at)}",
        f"{phrases.caller}: {caller_in(phrases, message)}",
        f"{phrases.duration}: {written_duration(message.duration_ms)}",
        "",
        phrases.attached,
        "",
    ]
    return "\n".join(lines)


def _address(spec: str, name: str = "") -> Address:
    try:
        return Address(display_name=name, addr_spec=spec)
    except MessageError as error:
        raise ValueError(f"not an address: {spec!r}") from error


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo(str(UTC))


def _one_line(value: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())
