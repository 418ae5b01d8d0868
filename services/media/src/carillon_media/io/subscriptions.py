"""Commands of the SIP stack that concern subscriptions to us, and what dialogs are known by."""

import asyncio
from abc import abstractmethod

from carillon_kit.clock import Clock
from carillon_media.ports import Fields
from carillon_sip.subscription_commands import SubscriptionFacts
from carillon_sip.user_agent import DialogIds, UserAgent

_LOOK_SECONDS = 0.02


class SubscriptionPort:
    """As a part of `SipStack`: every command is followed by draining what it led to."""

    _agent: UserAgent
    _clock: Clock

    @abstractmethod
    def _soon(self) -> None: ...

    def dialog_ids(self, session: str) -> DialogIds | None:
        """What a session's dialog is known by; None: it is over."""
        return self._agent.dialog_ids(session)

    def accept_subscription(self, subscription: str, body: bytes, content_type: str) -> None:
        """200 and the first NOTIFY."""
        self._agent.accept_subscription(subscription, body, content_type, now=self._clock.monotonic())
        self._soon()

    def reject_subscription(self, subscription: str, status: int, headers: Fields = ()) -> None:
        """Refuse it."""
        self._agent.reject_subscription(subscription, status, headers=headers, now=self._clock.monotonic())
        self._soon()

    def notify(self, subscription: str, body: bytes, content_type: str, *, full: bool) -> None:
        """Tell the state, or what of it has changed."""
        self._agent.notify(subscription, body, content_type, full=full, now=self._clock.monotonic())
        self._soon()

    def subscription(self, subscription: str) -> SubscriptionFacts | None:
        """What to keep of it; None: it is over."""
        return self._agent.subscription(subscription)

    def adopt_subscription(self, facts: SubscriptionFacts) -> str:
        """Take up one that the process before had; its name here."""
        name = self._agent.adopt_subscription(facts, now=self._clock.monotonic())
        self._soon()
        return name

    async def subscriptions_over(self, within: float) -> None:
        """Until every watcher has heard the last of its subscription, or so many seconds are over."""
        for _ in range(round(within / _LOOK_SECONDS)):
            if not self._agent.counts().subscriptions:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def terminate_subscription(self, subscription: str, reason: str) -> None:
        """End it, with a last NOTIFY."""
        self._agent.terminate_subscription(subscription, reason, now=self._clock.monotonic())
        self._soon()
