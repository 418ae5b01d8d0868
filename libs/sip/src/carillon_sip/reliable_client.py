"""100rel for calls from us (RFC 3262 section 4): reliable provisional responses are taken in order and acknowledged with PRACK.

Invariant: a response that is not the next in its dialog is neither acknowledged nor shown to the user.
"""

from carillon_sip.context import Context, Fields, body_lines
from carillon_sip.dialog_requests import DialogRequests
from carillon_sip.message import Response
from carillon_sip.session import EarlyDialog, Session
from carillon_sip.transaction import Failure


class ReliableClient:
    """Sends PRACK."""

    def __init__(self, context: Context, requests: DialogRequests) -> None:
        self._context = context
        self._requests = requests
        self._enabled = "100rel" in context.settings.extensions

    def heard(self, session: Session, early: EarlyDialog | None, response: Response, now: float) -> tuple[bool, bool]:
        """A provisional response: whether the user is to see it, and whether its offer waits for `prack`.

        "If the UAC receives another reliable provisional response to the same request, and its RSeq value is not one higher
        than the value of the sequence number, that response MUST NOT be acknowledged with a PRACK, and MUST NOT be processed".
        """
        value = response.headers.get("rseq") or ""
        reliable = self._enabled and "100rel" in response.headers.all("require") and value.isascii() and value.isdigit()
        if not reliable or early is None or len(value) > 10:
            return True, False
        rseq = int(value)
        if early.rseq is not None and rseq != early.rseq + 1:
            return False, False
        early.rseq = rseq
        rack = f"RAck: {rseq} {session.invite_cseq} INVITE\r\n"
        if response.body and session.delayed_offer and not early.answered:
            # "If the UAC receives a reliable provisional response with an offer ... it MUST generate an answer in the PRACK"
            early.unanswered = rack
            return True, True
        early.answered = early.answered or bool(response.body)
        self._send(session, early, rack, b"", now)
        return True, False

    def answer(self, session: Session, body: bytes, headers: Fields, now: float) -> None:
        """PRACK with the answer to the offer that came last."""
        for early in reversed((session.early or {}).values()):
            if early.unanswered:
                rack, early.unanswered, early.answered = early.unanswered, "", True
                session.local_body = body
                self._send(session, early, rack + body_lines(headers, body), body, now)
                return

    def _send(self, session: Session, early: EarlyDialog, fields: str, body: bytes, now: float) -> None:
        self._requests.send("PRACK", early.dialog, session.flow, fields, body, now, _nobody, session.credentials)


def _nobody(event: Response | Failure, now: float) -> None:
    """When a PRACK fails the far end refuses the INVITE itself (section 3)."""
