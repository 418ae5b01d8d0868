"""The parts that a user agent is made of, put together.

Invariant: parts know each other only as given here; all share one Context.
"""

from collections.abc import Callable

from carillon_sip.commands import UserAgentSettings
from carillon_sip.context import Context
from carillon_sip.dialog_requests import DialogRequests
from carillon_sip.established import Established
from carillon_sip.incoming_calls import IncomingCalls
from carillon_sip.inquiries import Inquiries
from carillon_sip.notifier import Notifier
from carillon_sip.outgoing_calls import OutgoingCalls
from carillon_sip.reception import Reception
from carillon_sip.refers_in import RefersIn
from carillon_sip.refers_out import RefersOut
from carillon_sip.reliable_calls import ReliableCalls
from carillon_sip.reliable_client import ReliableClient
from carillon_sip.resuming import Resuming
from carillon_sip.session_timers import SessionTimers
from carillon_sip.updates import Updates
from carillon_sip.usages import Usages


class Parts:
    """One of each."""

    def __init__(self, settings: UserAgentSettings, token: Callable[[], str]) -> None:
        self._context = Context(settings, token)
        self._requests = DialogRequests(self._context)
        self._timers = SessionTimers(self._context)
        self._updates = Updates(self._context, self._requests, self._timers)
        self._reliable_calls = ReliableCalls(self._context)
        self._reliable_calls.offer = self._updates.offered
        self._reliable_client = ReliableClient(self._context, self._requests)
        self._incoming = IncomingCalls(self._context, self._reliable_calls, self._timers)
        self._outgoing = OutgoingCalls(self._context, self._reliable_client, self._timers)
        self._established = Established(self._context, self._incoming, self._outgoing, self._updates, self._timers)
        self._inquiries = Inquiries(self._context, self._established)
        self._notifier = Notifier(self._context, self._requests)
        self._refers_in = RefersIn(self._context, self._notifier)
        self._resuming = Resuming(
            self._context,
            self._incoming,
            self._outgoing,
            self._established,
            self._reliable_calls,
            self._timers,
            self._refers_in,
            self._inquiries,
        )
        self._refers_out = RefersOut(self._context, self._requests)
        self._reception = Reception(
            self._context,
            self._incoming,
            self._established,
            self._reliable_calls,
            self._updates,
            Usages(self._context, self._notifier, self._refers_in, self._refers_out),
        )
