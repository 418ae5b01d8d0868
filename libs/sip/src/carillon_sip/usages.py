"""Dialogs that subscriptions and REFERs use, with or without a call in them (RFC 5057): SUBSCRIBE, NOTIFY, REFER.

Invariant: a request is taken here only when one of its usages knows it; each taken is answered or told to the user.
"""

from carillon_sip.context import Context
from carillon_sip.dialog import Dialog
from carillon_sip.flow import Flow
from carillon_sip.message import Request
from carillon_sip.notifier import Notifier
from carillon_sip.refers_in import RefersIn
from carillon_sip.refers_out import RefersOut
from carillon_sip.session import Session
from carillon_sip.transaction import ServerTransaction


class Usages:
    """Whose request it is."""

    def __init__(self, context: Context, notifier: Notifier, refers_in: RefersIn, refers_out: RefersOut) -> None:
        self._notifier = notifier
        self._refers_in = refers_in
        self._refers_out = refers_out
        self._packages = bool(context.settings.event_packages)

    def dialog_of(self, request: Request) -> Dialog | None:
        """The dialog of a request that belongs to no call."""
        return self._notifier.dialog_of(request) or self._refers_out.dialog_of(request)

    def within(
        self, session: Session | None, dialog: Dialog, transaction: ServerTransaction, request: Request, flow: Flow, now: float
    ) -> bool:
        """A request within a dialog; False when it is none of these. Raises ParseError."""
        if request.method == "REFER":
            self._refers_in.received(session, dialog, transaction, request, flow, now)
            return True
        if request.method == "NOTIFY":
            return self._refers_out.notified(transaction, request, now)
        return request.method == "SUBSCRIBE" and self._notifier.again(transaction, request, dialog, flow, now)

    def makes_dialog(self, request: Request) -> bool:
        """Whether a request outside any dialog makes one here."""
        return request.method == "REFER" or (request.method == "SUBSCRIBE" and self._packages)

    def begin(self, dialog: Dialog, transaction: ServerTransaction, request: Request, flow: Flow, now: float) -> None:
        """A request that makes a dialog; raises ParseError."""
        if request.method == "REFER":
            self._refers_in.received(None, dialog, transaction, request, flow, now)
        else:
            self._notifier.asked(transaction, request, dialog, flow, now)
