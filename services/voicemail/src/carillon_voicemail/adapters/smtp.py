"""E-mails to an SMTP server (RFC 5321).

Always: a temporary refusal (4yz, or no answer) is `MailUnavailable`; a permanent one of the message or of all its recipients is
`MailRefused`. A refused login or sender is our own setting and may be put right: it counts as temporary. Once the server has taken
the message, nothing that happens to the connection makes it fail.
"""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from carillon_kit.logs import get_logger
from carillon_voicemail.ports import Mail, MailRefused, MailUnavailable

StartTls = Literal["auto", "always", "never"]
_log = get_logger("smtp")


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mails go and how."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    tls: bool = False
    start_tls: StartTls = "auto"


def parse_smtp_url(url: str) -> SmtpServer:
    """`smtp://[user:password@]host[:port][?starttls=auto|always|never]`, or `smtps://`. Raises `ValueError`, without the password."""
    parts = urlsplit(url)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError("an SMTP URL is smtp://host:port or smtps://host:port")
    tls = parts.scheme == "smtps"
    start_tls = parse_qs(parts.query).get("starttls", ["auto"])[0]
    if start_tls not in ("auto", "always", "never"):
        raise ValueError("starttls must be auto, always or never")
    username = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    port = parts.port or (465 if tls else 25)
    return SmtpServer(parts.hostname, port, username, password, tls, start_tls)  # type: ignore[arg-type]


class Smtp:
    """`MailTransport` to one server; a connection per mail, `timeout` seconds a command."""

    def __init__(self, server: SmtpServer, timeout: float = 20.0) -> None:
        self._server = server
        self._timeout = timeout

    async def send(self, mail: Mail) -> None:
        """See the port."""
        client = aiosmtplib.SMTP(
            hostname=self._server.host,
            port=self._server.port,
            username=self._server.username,
            password=self._server.password,
            use_tls=self._server.tls,
            start_tls={"auto": None, "always": True, "never": False}[self._server.start_tls],
            timeout=self._timeout,
        )
        try:
            await client.connect()
            refused, _ = await client.sendmail(mail.sender, list(mail.recipients), mail.content)
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [one.code for one in error.recipients]
            raise (MailRefused if all(code >= 500 for code in codes) else MailUnavailable)(f"recipients refused: {codes}") from error
        except aiosmtplib.SMTPDataError as error:
            raise (MailRefused if error.code >= 500 else MailUnavailable)(f"{error.code} {error.message}") from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise MailUnavailable(f"{type(error).__name__}: {error}") from error
        finally:
            await _part(client)
        if refused:
            codes = [response.code for response in refused.values()]
            _log.warning("recipients_refused", message_id=str(mail.message_id), codes=codes)


async def _part(client: aiosmtplib.SMTP) -> None:
    try:
        if client.is_connected:
            await client.quit()
    except (aiosmtplib.SMTPException, OSError, TimeoutError):
        client.close()
