"""Event package "message-summary" (RFC 3842): how many messages wait in a mailbox.

Invariant: the body's lines end in CRLF and no value can add a line (ValueError).
"""

from dataclasses import dataclass

EVENT = "message-summary"
CONTENT_TYPE = "application/simple-message-summary"


@dataclass(frozen=True, slots=True)
class VoiceMessages:
    """New and old messages, and how many of each are urgent."""

    new: int
    old: int
    new_urgent: int = 0
    old_urgent: int = 0


def message_summary(account: str, messages: VoiceMessages) -> bytes:
    """The body; `account` is the URI to call to hear them, or ""."""
    if "\r" in account or "\n" in account:
        raise ValueError("a line break in the account")
    who = f"Message-Account: {account}\r\n" if account else ""
    counts = f"{messages.new}/{messages.old} ({messages.new_urgent}/{messages.old_urgent})"
    return f"Messages-Waiting: {'yes' if messages.new else 'no'}\r\n{who}Voice-Message: {counts}\r\n".encode()
