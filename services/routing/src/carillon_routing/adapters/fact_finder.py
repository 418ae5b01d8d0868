"""`ports.FactFinder`: who is asked for what."""

from pydantic import JsonValue

from carillon_routing.adapters.letters import Letters
from carillon_routing.adapters.peers import Peers
from carillon_routing.adapters.postgres_facts import PostgresFacts
from carillon_routing.adapters.web import Web
from carillon_routing.domain.asks import (
    AcknowledgeNotice,
    Ask,
    Attend,
    CallsOnTrunks,
    CancelCallBacks,
    ChangeUser,
    Fetch,
    HavePhone,
    LastCaller,
    Mail,
    NoticeWords,
    OrderCallBack,
)
from carillon_routing.domain.facts import CallFacts
from carillon_routing.handlers.attendance import Attendances
from carillon_routing.handlers.call_orders import CallOrders


class RealFacts:
    """The facts of the running service."""

    def __init__(
        self, facts: PostgresFacts, letters: Letters, web: Web, attendances: Attendances, peers: Peers, orders: CallOrders
    ) -> None:
        self._facts = facts
        self._web = web
        self._peers = peers
        self._attendances = attendances
        self._letters = letters
        self._orders = orders

    async def find(self, call: CallFacts, ask: Ask) -> JsonValue:
        """As the port says."""
        match ask:
            case ChangeUser() | HavePhone() | LastCaller():
                return await self._peers.find(call, ask)
            case Mail():
                return await self._letters.take(call, ask)
            case Attend():
                return await self._attendances.attend(call.tenant_id, ask)
            case CallsOnTrunks() | OrderCallBack() | CancelCallBacks() | NoticeWords() | AcknowledgeNotice():
                return await self._orders.find(call, ask)
            case Fetch():
                return await self._web.fetch(call, ask)
            case _:
                return await self._facts.find(call, ask)
