"""REFERs to us (RFC 3515 section 2.4, RFC 4488): told to the user; its NOTIFYs are those of a subscription.

Invariant: an accepted REFER with a subscription gets NOTIFYs until a final status, its expiry, or a failure.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from carillon_sip.context import Context
from carillon_sip.dialog import Dialog
from carillon_sip.flow import Flow
from carillon_sip.message import Request
from carillon_sip.notifier import Notifier
from carillon_sip.outputs import ReferReceived
from carillon_sip.refer import SIPFRAG, read_refer, sipfrag
from carillon_sip.session import Session
from carillon_sip.subscription import Input, Notice, Subscription
from carillon_sip.transaction import ServerTransaction


@dataclass(slots=True, eq=False)
class _Referred:
    """One REFER; `subscription` None: nobody wants NOTIFYs, or it is not answered yet. `transaction` None: another process answered it."""

    transaction: ServerTransaction | None
    dialog: Dialog
    flow: Flow
    contact: str
    session: Session | None
    subscribes: bool
    subscription: Subscription | None = None


class RefersIn:
    """REFERs by name."""

    def __init__(self, context: Context, notifier: Notifier) -> None:
        self._context = context
        self._notifier = notifier
        self._names = 0
        self._referred: dict[str, _Referred] = {}

    def received(
        self, session: Session | None, dialog: Dialog, transaction: ServerTransaction, request: Request, flow: Flow, now: float
    ) -> None:
        """A REFER came; raises ParseError."""
        context = self._context
        asked = read_refer(request)
        if self._notifier.full or len(self._referred) >= context.settings.max_subscriptions:
            retry = f"Retry-After: {context.settings.retry_after_seconds}\r\n"
            context.layer.reply(transaction, 503, now, fields=context.server_line + retry)
            return
        dialog.refresh_target(request)
        contact = session.contact if session is not None else f"<{context.contact_uri(flow)}>"
        subscribes = asked.subscribes or "norefersub" not in context.settings.extensions
        self._names += 1
        name = f"r{self._names}"
        self._referred[name] = _Referred(transaction, dialog, flow, contact, session, subscribes)

        def forgotten(at: float) -> None:
            self.decline(name, 500, at)

        context.alarm(now + context.settings.timing.timeout / 2, forgotten)
        context.outputs.append(
            ReferReceived(
                name,
                session.id if session is not None else None,
                request,
                flow,
                asked.refer_to,
                asked.referred_by,
                asked.replaces,
                subscribes,
            )
        )

    def accept(self, name: str, now: float) -> None:
        """202, and the first NOTIFY: "the agent ... MUST ... send ... NOTIFY ... immediately", 100 Trying (section 2.4.4)."""
        found = self._referred.get(name)
        if found is None or found.subscription is not None or found.transaction is None or found.transaction.done:
            return
        context, transaction = self._context, found.transaction
        copied = "".join([f"Record-Route: {route}\r\n" for route in transaction.head.record_routes])
        # "an indication to the REFER-Issuer that no implicit subscription is created" (RFC 4488 section 4)
        none = "" if found.subscribes else "Refer-Sub: false\r\n"
        context.layer.reply(transaction, 202, now, fields=f"{copied}Contact: {found.contact}\r\n{context.server_line}{none}")
        if not found.subscribes:
            del self._referred[name]
            return
        # "the id ... is the CSeq ... of the REFER"; more than one REFER may come in a dialog (RFC 3515 section 2.4.6).
        made = self._subscribe(name, found, str(transaction.cseq) if found.session is not None else "", now)
        self._notifier.notify(made, Notice(sipfrag(100), SIPFRAG), now)

    def resume(self, session: Session, dialog: Dialog, refers: Mapping[str, str], now: float) -> None:
        """Those of a session that were accepted by a process that died, under the same names (to the ids of their events)."""
        for name, event_id in refers.items():
            self._names = max(self._names, int(name.removeprefix("r")))
            found = self._referred[name] = _Referred(None, dialog, session.flow, session.contact, session, True)
            self._subscribe(name, found, event_id, now)

    def _subscribe(self, name: str, found: _Referred, event_id: str, now: float) -> Subscription:
        made = found.subscription = self._notifier.make(found.dialog, found.flow, found.contact, "refer", event_id)
        session = found.session
        if session is not None:
            session.refers = {**(session.refers or {}), name: event_id}

        def ended(reason: str, at: float) -> None:
            self._forget(name)

        def wanted(at: float) -> None:
            self._notifier.notify(made, made.last, at)

        made.ended, made.wanted = ended, wanted
        made.feed(Input.ACCEPT)
        made.expires = self._context.settings.refer_seconds
        self._notifier.start(made, made.expires, now)
        return made

    def _forget(self, name: str) -> None:
        found = self._referred.pop(name, None)
        if found is not None and found.session is not None and found.session.refers is not None:
            found.session.refers.pop(name, None)

    def decline(self, name: str, status: int, now: float) -> None:
        """Refuse it."""
        found = self._referred.get(name)
        if found is not None and found.subscription is None and found.transaction is not None:
            del self._referred[name]
            self._context.layer.reply(found.transaction, status, now, fields=self._context.server_line)

    def progress(self, name: str, status: int, reason: str | None, now: float) -> None:
        """Tell how the new call goes; a final status is the last."""
        found = self._referred.get(name)
        if found is None or found.subscription is None:
            return
        notice = Notice(sipfrag(status, reason), SIPFRAG)
        if status < 200:
            self._notifier.notify(found.subscription, notice, now)
        else:
            self._forget(name)
            self._notifier.terminate(found.subscription, "noresource", notice, now)
