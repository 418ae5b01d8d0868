"""Mail servers and Maildirs take an e-mail once."""

import mailbox
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from carillon_kit.embedded import free_port
from carillon_voicemail.adapters.maildir import Maildir
from carillon_voicemail.adapters.smtp import Smtp, SmtpServer, parse_smtp_url
from carillon_voicemail.ports import Mail, MailRefused, MailUnavailable

MAIL = Mail(
    UUID(int=7),
    "voicemail@pbx.example",
    ("a@dupont.example", "b@dupont.example"),
    b"From: voicemail@pbx.example\r\nSubject: hello\r\n\r\ntext\r\n",
    datetime(2026, 3, 3, 9, 15, tzinfo=UTC),
)


@pytest.mark.feature("V-3")
async def test_a_maildir_holds_a_mail_once_read_or_unread(tmp_path: Path) -> None:
    transport = Maildir(tmp_path / "mail")
    await transport.send(MAIL)
    await transport.send(MAIL)
    box = mailbox.Maildir(tmp_path / "mail", create=False)
    ((key, found),) = box.items()
    assert found["Subject"] == "hello"
    found.set_subdir("cur")
    found.set_flags("S")
    box[key] = found
    await transport.send(MAIL)
    assert len(mailbox.Maildir(tmp_path / "mail", create=False)) == 1
    assert list((tmp_path / "mail" / "tmp").iterdir()) == []


async def test_a_maildir_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file")
    with pytest.raises(MailUnavailable):
        await Maildir(tmp_path / "mail").send(MAIL)


@pytest.mark.feature("V-3")
async def test_a_mail_server_gets_the_bytes_and_every_recipient(mail_server: Any) -> None:
    await Smtp(SmtpServer("127.0.0.1", mail_server.port)).send(MAIL)
    (envelope,) = mail_server.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos, envelope.content) == (MAIL.sender, list(MAIL.recipients), MAIL.content)


@pytest.mark.parametrize(("answer", "error"), [("451 later", MailUnavailable), ("554 never", MailRefused)])
async def test_the_server_says_whether_it_is_worth_trying_again(mail_server: Any, answer: str, error: type[Exception]) -> None:
    mail_server.answers = [answer]
    with pytest.raises(error):
        await Smtp(SmtpServer("127.0.0.1", mail_server.port)).send(MAIL)


async def test_one_recipient_that_does_not_exist_does_not_keep_the_mail_from_the_other(mail_server: Any) -> None:
    mail_server.unknown = {"a@dupont.example"}
    await Smtp(SmtpServer("127.0.0.1", mail_server.port)).send(MAIL)
    assert [envelope.rcpt_tos for envelope in mail_server.envelopes] == [["b@dupont.example"]]
    mail_server.unknown = set(MAIL.recipients)
    with pytest.raises(MailRefused):
        await Smtp(SmtpServer("127.0.0.1", mail_server.port)).send(MAIL)


@pytest.mark.feature("V-3")
async def test_once_the_mail_is_taken_a_rude_farewell_does_not_send_it_again(mail_server: Any) -> None:
    mail_server.farewell = "421 out of order"
    await Smtp(SmtpServer("127.0.0.1", mail_server.port)).send(MAIL)
    assert len(mail_server.envelopes) == 1


async def test_a_server_that_is_away_is_unavailable() -> None:
    with pytest.raises(MailUnavailable):
        await Smtp(SmtpServer("127.0.0.1", free_port()), timeout=1).send(MAIL)


def test_the_url_names_server_login_and_encryption() -> None:
    assert parse_smtp_url("smtp://mail.example") == SmtpServer("mail.example", 25)
    assert parse_smtp_url("smtps://u%40x:p%3A@mail.example:4650") == SmtpServer("mail.example", 4650, "u@x", "p:", tls=True)
    assert parse_smtp_url("smtp://mail.example:587?starttls=always").start_tls == "always"
    for wrong in ("mail.example:25", "http://mail.example", "smtp://mail.example?starttls=perhaps"):
        with pytest.raises(ValueError):
            parse_smtp_url(wrong)
