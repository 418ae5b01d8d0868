"""The commands of a user agent that concern subscriptions to it (RFC 6665).

Invariant: commands for a subscription that is already over are ignored, because such races are normal.
"""

from typing import NamedTuple

from carillon_sip.context import Fields
from carillon_sip.dialog import Dialog
from carillon_sip.flow import Flow
from carillon_sip.parts import Parts
from carillon_sip.subscription import Input, Notice


class SubscriptionFacts(NamedTuple):
    """What is kept of a subscription to take it up again elsewhere; `expires_at` in the time of `now`."""

    dialog: Dialog
    flow: Flow
    contact: str
    event: str
    event_id: str
    expires_at: float


class SubscriptionCommands(Parts):
    """Take, refuse, notify, end."""

    def accept_subscription(
        self,
        subscription: str,
        body: bytes,
        content_type: str,
        *,
        expires: int | None = None,
        pending: bool = False,
        headers: Fields = (),
        now: float,
    ) -> None:
        """200 (with a shorter `expires` if wanted) and the first NOTIFY with the whole state; `pending`: not yet allowed."""
        if (found := self._notifier.subscriptions.get(subscription)) is not None:
            self._notifier.accept(found, Notice(body, content_type), expires, pending, headers, now)

    def reject_subscription(self, subscription: str, status: int, *, headers: Fields = (), now: float) -> None:
        """Refuse the SUBSCRIBE."""
        if not 300 <= status < 700:
            raise ValueError(f"{status} does not refuse")
        if (found := self._notifier.subscriptions.get(subscription)) is not None:
            self._notifier.reject(found, status, headers, now)

    def notify(self, subscription: str, body: bytes, content_type: str, *, full: bool = True, now: float) -> None:
        """Tell the state. One NOTIFY is under way at a time: a full state replaces those that wait, a partial one waits in line."""
        if (found := self._notifier.subscriptions.get(subscription)) is not None:
            self._notifier.notify(found, Notice(body, content_type, full), now)

    def terminate_subscription(
        self, subscription: str, reason: str = "noresource", body: bytes = b"", content_type: str = "", *, now: float
    ) -> None:
        """End it with a last NOTIFY; `reason` is of RFC 6665 section 4.1.3 ("deactivated": subscribe again at once)."""
        if not reason.isalpha():
            raise ValueError("a reason is a word")
        if (found := self._notifier.subscriptions.get(subscription)) is not None:
            self._notifier.terminate(found, reason, Notice(body, content_type) if body else None, now)

    def subscription(self, subscription: str) -> SubscriptionFacts | None:
        """What to keep for `adopt_subscription`; None when it is over."""
        found = self._notifier.subscriptions.get(subscription)
        if found is None:
            return None
        return SubscriptionFacts(found.dialog, found.flow, found.contact, found.event, found.event_id, found.expires_at)

    def adopt_subscription(self, facts: SubscriptionFacts, *, now: float) -> str:
        """Take up a subscription that another user agent had (after a restart); `notify` the whole state then."""
        made = self._notifier.make(facts.dialog, facts.flow, facts.contact, facts.event, facts.event_id)
        made.feed(Input.ACCEPT)
        made.expires = max(1, round(facts.expires_at - now))
        self._notifier.start(made, made.expires, now)
        return made.id
