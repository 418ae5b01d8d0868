"""Settings of the voicemail service."""

from datetime import timedelta
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from carillon_kit.settings import ServiceSettings
from carillon_voicemail.domain.delivery import RetryPolicy


class VoicemailSettings(ServiceSettings):
    """Environment variables `CARILLON_<FIELD>`; e-mails go to the SMTP server if there is one, else to the Maildir."""

    #: `smtp://[user:password@]host[:port][?starttls=auto|always|never]` or `smtps://...`
    smtp_url: SecretStr | None = None
    #: Folder of the Maildir.
    maildir: Path | None = None
    #: Address that e-mails come from.
    mail_from: str = Field(default="voicemail@localhost", pattern=r"^[^@\s]+@[^@\s]+$")
    #: Directory's `host:port`, for PINs that are changed by phone; empty: none is.
    directory: str = ""
    mail_retry_first_seconds: float = Field(default=1.0, gt=0)
    mail_retry_longest_seconds: float = Field(default=1800.0, gt=0)
    mail_give_up_days: float = Field(default=5.0, gt=0)
    #: Seconds for fetching the audio and handing over one e-mail.
    mail_deadline_seconds: float = Field(default=60.0, gt=0)
    #: Between the last party's leaving a conference and its summary; a room that is left stays open for two minutes.
    conference_summary_seconds: float = Field(default=150.0, gt=0)
    #: Seconds after which the events of a killed process are handled by another.
    ack_wait_seconds: float = 5.0
    #: Connections to Postgres.
    postgres_connections: int = 8
    #: How long the configuration may take to be read at the start.
    catch_up_seconds: float = 60.0

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.smtp_url is None and self.maildir is None:
            raise ValueError("e-mails need CARILLON_SMTP_URL or CARILLON_MAILDIR")
        return self

    @property
    def retry_policy(self) -> RetryPolicy:
        """When failed e-mails are tried again."""
        return RetryPolicy(self.mail_retry_first_seconds, self.mail_retry_longest_seconds, timedelta(days=self.mail_give_up_days))
