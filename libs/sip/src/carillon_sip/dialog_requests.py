"""Requests of ours within a dialog other than INVITE and ACK, whose final answer one listener hears (RFC 3261 section 12.2.1).

Invariant: a listener hears exactly once: the final response (after one answered challenge at most) or the failure.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from carillon_sip.context import Context
from carillon_sip.dialog import Dialog
from carillon_sip.digest import Credentials
from carillon_sip.flow import Flow
from carillon_sip.message import Response
from carillon_sip.transaction import ClientTransaction, Failure

AnswerListener: TypeAlias = Callable[[Response | Failure, float], None]


@dataclass(slots=True, eq=False)
class DialogRequest:
    """One request under way; `described`: it has a body, so an offer of ours may wait for its answer."""

    dialog: Dialog
    listener: AnswerListener
    credentials: Credentials | None
    described: bool
    challenged: bool = False


class DialogRequests:
    """Sends them, one transaction each."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def send(
        self,
        method: str,
        dialog: Dialog,
        flow: Flow,
        fields: str,
        body: bytes,
        now: float,
        listener: AnswerListener,
        credentials: Credentials | None = None,
    ) -> DialogRequest:
        """Send a request; `fields` are ready lines, each with CRLF."""
        context = self._context
        asked = DialogRequest(dialog, listener, credentials, bool(body))
        request = dialog.request(method, flow, context.branch(), context.agent_line + fields, body)
        context.layer.start_client(request, self._heard, asked, now)
        return asked

    def _heard(self, transaction: ClientTransaction, event: Response | Failure, now: float) -> None:
        asked = transaction.owner
        if not isinstance(asked, DialogRequest) or (isinstance(event, Response) and event.status < 200):
            return
        if isinstance(event, Response) and event.status >= 300:
            again = self._context.authorized(transaction.request, event, asked)
            if again is not None:
                self._context.layer.start_client(replace(again, cseq=asked.dialog.next_cseq()), self._heard, asked, now)
                return
        asked.listener(event, now)


def status_of(event: Response | Failure) -> int:
    """The final status that an answer is, or stands for: 408 on timeout, 503 when the transport failed (section 8.1.3.1)."""
    if isinstance(event, Failure):
        return 408 if event is Failure.TIMEOUT else 503
    return event.status
