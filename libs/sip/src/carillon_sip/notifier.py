"""The notifier of RFC 6665: SUBSCRIBE makes a subscription, NOTIFYs tell its state until it ends; any event package.

Invariant: every subscription is in both tables exactly until its last NOTIFY was answered or failed; each has an end
in time; the number of subscriptions, and of states that wait in each, is bounded.
"""

from carillon_sip.context import Context, Fields, has, lines
from carillon_sip.dialog import Dialog
from carillon_sip.dialog_requests import DialogRequests, status_of
from carillon_sip.event_list import EXTENSION, is_list
from carillon_sip.flow import Flow
from carillon_sip.message import Request, Response
from carillon_sip.outputs import StateWanted, SubscribeReceived, SubscriptionEnded
from carillon_sip.subscription import Effect, Input, Notice, State, Subscription, read_event
from carillon_sip.transaction import Failure, ServerTransaction

#: Partial states that may wait behind a NOTIFY under way; above it the user is asked for the whole state.
MAX_WAITING = 16
#: How often a NOTIFY that its watcher asked to have later is sent again, and how long that may be, in seconds.
MAX_FAILURES = 3
MAX_RETRY_AFTER = 60
DialogKey = tuple[str, str, str]


class Notifier:
    """All subscriptions to us."""

    def __init__(self, context: Context, requests: DialogRequests) -> None:
        self._context = context
        self._requests = requests
        self._names = 0
        self.subscriptions: dict[str, Subscription] = {}
        self._dialogs: dict[DialogKey, list[Subscription]] = {}

    @property
    def full(self) -> bool:
        """Whether no subscription is taken any more."""
        return len(self.subscriptions) >= self._context.settings.max_subscriptions

    def make(self, dialog: Dialog, flow: Flow, contact: str, event: str, event_id: str) -> Subscription:
        """A subscription in state ASKED."""
        self._names += 1
        name = f"s{self._names}"

        def ended(reason: str, now: float) -> None:
            self._context.outputs.append(SubscriptionEnded(name, reason))

        def wanted(now: float) -> None:
            self._context.outputs.append(StateWanted(name))

        made = Subscription(name, dialog, flow, contact, event, event_id, ended, wanted)
        self.subscriptions[name] = made
        self._dialogs.setdefault(_key(dialog), []).append(made)
        return made

    def dialog_of(self, request: Request) -> Dialog | None:
        """The dialog of a request that only a subscription keeps alive."""
        found = self._dialogs.get((request.call_id, request.to_tag, request.from_tag))
        return found[0].dialog if found else None

    def asked(self, transaction: ServerTransaction, request: Request, dialog: Dialog, flow: Flow, now: float) -> None:
        """A SUBSCRIBE outside any subscription."""
        settings = self._context.settings
        event, event_id = read_event(request.headers.get("event"))
        if event not in settings.event_packages:
            # "If the event package name is not understood, the notifier SHOULD ... 489 (Bad Event)" (section 4.2.1.1)
            self._refuse(transaction, 489, now, lines((("Allow-Events", ", ".join(settings.event_packages)),)))
            return
        expires = self._expires(transaction, request, now)
        if expires is None:
            return
        if self.full:
            self._refuse(transaction, 503, now, f"Retry-After: {settings.retry_after_seconds}\r\n")
            return
        made = self.make(dialog, flow, f"<{self._context.contact_uri(flow)}>", event, event_id)
        made.server, made.expires = transaction, expires

        def forgotten(at: float) -> None:
            self._run(made, made.feed(Input.TIMER_USER), at, reason="timeout", status=500)

        made.alarm = self._context.alarm(now + settings.timing.timeout / 2, forgotten)
        self._context.outputs.append(SubscribeReceived(made.id, request, event, expires, flow))

    def again(self, transaction: ServerTransaction, request: Request, dialog: Dialog, flow: Flow, now: float) -> bool:
        """A SUBSCRIBE within a dialog: refresh or end; False when it fits no subscription. Raises ParseError."""
        event = read_event(request.headers.get("event"))
        found = next((s for s in self._dialogs.get(_key(dialog), ()) if (s.event, s.event_id) == event and s.state is not State.OVER), None)
        if found is None:
            return False
        expires = self._expires(transaction, request, now)
        if expires is None:
            return True
        dialog.refresh_target(request)
        found.flow, found.server, found.expires = flow, transaction, expires
        step = found.feed(Input.REFRESH if expires else Input.UNSUBSCRIBE)
        if not step:
            self._refuse(transaction, 491, now)
        self._run(found, step, now, reason="unsubscribed")
        return True

    def accept(self, found: Subscription, notice: Notice, expires: int | None, pending: bool, headers: Fields, now: float) -> None:
        """200 to the SUBSCRIBE and the first NOTIFY; or a pending subscription becomes active."""
        if found.state is State.ASKED and expires is not None:
            # "The value of the Expires header field in the 200-class response ... MUST NOT be larger" (section 4.2.1.1)
            found.expires = min(found.expires, max(expires, 0))
        fetch = found.state is State.ASKED and found.expires == 0
        event = Input.FETCH if fetch else Input.ACCEPT_PENDING if pending else Input.ACCEPT
        headers = (*headers, ("Require", EXTENSION)) if is_list(notice.content_type) else headers
        self._run(found, found.feed(event), now, notice=notice, headers=headers, reason="fetched")

    def reject(self, found: Subscription, status: int, headers: Fields, now: float) -> None:
        """Refuse the SUBSCRIBE."""
        self._run(found, found.feed(Input.REJECT), now, status=status, headers=headers)

    def notify(self, found: Subscription, notice: Notice, now: float) -> None:
        """Tell the state."""
        self._run(found, found.feed(Input.NOTIFY), now, notice=notice)

    def terminate(self, found: Subscription, reason: str, notice: Notice | None, now: float) -> None:
        """End it from our side; its watcher learns why."""
        self._run(found, found.feed(Input.TERMINATE), now, notice=notice, reason=reason)

    def start(self, found: Subscription, seconds: float, now: float) -> None:
        """It lasts that long from now, unless refreshed."""
        if found.alarm is not None:
            found.alarm.stop()
        found.expires_at = now + seconds

        def expire(at: float) -> None:
            self._run(found, found.feed(Input.TIMER_EXPIRES), at, reason="timeout")

        found.alarm = self._context.alarm(found.expires_at, expire)

    def _expires(self, transaction: ServerTransaction, request: Request, now: float) -> int | None:
        settings = self._context.settings
        asked = request.expires
        if asked is None:
            return settings.subscription_seconds
        if 0 < asked < settings.min_subscription_seconds:
            self._refuse(transaction, 423, now, f"Min-Expires: {settings.min_subscription_seconds}\r\n")
            return None
        return min(asked, settings.max_subscription_seconds)

    def _refuse(self, transaction: ServerTransaction, status: int, now: float, fields: str = "") -> None:
        self._context.layer.reply(transaction, status, now, fields=self._context.server_line + fields)

    def _run(
        self,
        found: Subscription,
        effects: tuple[Effect, ...],
        now: float,
        *,
        notice: Notice | None = None,
        headers: Fields = (),
        reason: str = "",
        status: int = 0,
    ) -> None:
        for effect in effects:
            if effect is Effect.OK:
                self._accepted(found, headers, now)
            elif effect is Effect.REFUSE:
                transaction, found.server = found.server, None
                if transaction is not None:
                    self._refuse(transaction, status, now, lines(headers))
            elif effect is Effect.NOTIFY and notice is not None:
                self._queue(found, notice, now)
            elif effect is Effect.LAST:
                why = "timeout" if reason in ("unsubscribed", "fetched") else reason
                self._queue(found, (notice or found.last)._replace(full=True, state=f"terminated;reason={why}"), now)
            elif effect is Effect.WANT_STATE:
                found.wanted(now)
            elif effect is Effect.FORGET:
                found.waiting.clear()
                self._forget(found)
            elif effect is Effect.ENDED:
                found.ended(reason, now)

    def _accepted(self, found: Subscription, headers: Fields, now: float) -> None:
        transaction, found.server = found.server, None
        if transaction is None:
            return
        copied = "".join([f"Record-Route: {route}\r\n" for route in transaction.head.record_routes])
        contact = "" if has(headers, "contact") else f"Contact: {found.contact}\r\n"
        fields = f"{copied}{contact}{self._context.server_line}Expires: {found.expires}\r\n{lines(headers)}"
        self._context.layer.reply(transaction, 200, now, fields=fields)
        if found.expires:
            self.start(found, found.expires, now)
        elif found.alarm is not None:
            found.alarm.stop()

    def _queue(self, found: Subscription, notice: Notice, now: float) -> None:
        if notice.full:
            found.waiting.clear()
        elif len(found.waiting) >= MAX_WAITING:
            found.waiting.clear()
            found.wanted(now)
            return
        found.waiting.append(notice)
        if not found.sending:
            self._send_next(found, now)

    def _send_next(self, found: Subscription, now: float) -> None:
        if not found.waiting:
            if found.state is State.OVER:
                self._forget(found)
            return
        notice = found.waiting.popleft()
        found.last, found.sending = notice, True
        left = max(0, round(found.expires_at - now))
        state = notice.state or f"{found.state};expires={left}"
        kind = f"Content-Type: {notice.content_type}\r\n" if notice.body else ""
        require = f"Require: {EXTENSION}\r\n" if is_list(notice.content_type) else ""
        fields = f"Contact: {found.contact}\r\n{found.event_line}Subscription-State: {state}\r\n{require}{kind}"

        def heard(event: Response | Failure, at: float) -> None:
            self._answered(found, notice, event, at)

        self._requests.send("NOTIFY", found.dialog, found.flow, fields, notice.body, now, heard)

    def _answered(self, found: Subscription, notice: Notice, event: Response | Failure, now: float) -> None:
        found.sending = False
        status = status_of(event)
        if status < 300:
            found.failures = 0
        elif found.state is not State.OVER and (pause := _retry_after(event)) and found.failures < MAX_FAILURES:
            found.failures += 1
            found.sending = True

            def later(at: float) -> None:
                found.sending = False
                if not found.waiting or not found.waiting[0].full:
                    found.waiting.appendleft(notice)
                self._send_next(found, at)

            self._context.alarm(now + pause, later)
            return
        else:
            # "the notifier SHOULD remove the subscription" (section 4.2.2): no answer, 481 and the like.
            reason = str(event) if isinstance(event, Failure) else str(status)
            found.waiting.clear()
            self._run(found, found.feed(Input.NOTIFY_FAILED), now, reason=reason)
        self._send_next(found, now)

    def _forget(self, found: Subscription) -> None:
        if self.subscriptions.pop(found.id, None) is None:
            return
        if found.alarm is not None:
            found.alarm.stop()
        key = _key(found.dialog)
        others = [other for other in self._dialogs.get(key, ()) if other is not found]
        if others:
            self._dialogs[key] = others
        else:
            self._dialogs.pop(key, None)


def _key(dialog: Dialog) -> DialogKey:
    return (dialog.call_id, dialog.local_tag, dialog.remote_tag)


def _retry_after(event: Response | Failure) -> float:
    """When to try again, in seconds; 0 when the far end does not ask for it."""
    if isinstance(event, Failure):
        return 0.0
    value = (event.headers.get("retry-after") or "").partition(";")[0].partition("(")[0].strip()
    return float(value) if value.isascii() and value.isdigit() and len(value) < 6 and 0 < int(value) <= MAX_RETRY_AFTER else 0.0
