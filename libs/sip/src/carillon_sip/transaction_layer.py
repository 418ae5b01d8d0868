"""All transactions of a user agent: which message belongs to which, their timers, and what they want sent (RFC 3261 section 17).

Invariant: a transaction is in its table exactly as long as it is not terminated.
"""

from typing import TypeAlias

from carillon_sip.flow import Flow
from carillon_sip.message import Request, Response
from carillon_sip.outgoing import BRANCH_COOKIE, OutgoingRequest
from carillon_sip.outputs import Output, Send
from carillon_sip.reply import ReplyHead, reply_flow
from carillon_sip.timers import TimerQueue, Timing
from carillon_sip.transaction import (
    ClientListener,
    ClientTransaction,
    Deliver,
    Failed,
    Failure,
    Input,
    ServerTransaction,
    SetTimer,
    State,
    Transaction,
    status_input,
    user_input,
)
from carillon_sip.transaction_invite_client import InviteClientTransaction
from carillon_sip.transaction_invite_server import InviteServerTransaction
from carillon_sip.transaction_non_invite_client import NonInviteClientTransaction
from carillon_sip.transaction_non_invite_server import NonInviteServerTransaction

_TERMINATED, _REQUEST = State.TERMINATED, Input.REQUEST
ServerKey: TypeAlias = tuple[str | int | None, ...]


def server_key(request: Request, method: str) -> ServerKey:
    """What retransmissions have in common (section 17.2.3); `method` is INVITE for ACK and CANCEL."""
    via = request.via_top
    branch = via.branch
    if branch.startswith(BRANCH_COOKIE):
        return (branch, via.host, via.port, method)
    # An RFC 2543 client: the branch is not unique.
    return ("", via.host, via.port, branch, request.call_id, request.from_tag, request.cseq.number, method)


class TransactionLayer:
    """Client and server transactions by key; `outputs` gets what is to be sent."""

    def __init__(self, timing: Timing, timers: TimerQueue, outputs: list[Output]) -> None:
        self.timing = timing
        self.timers = timers
        self.outputs = outputs
        self.clients: dict[tuple[str, str], ClientTransaction] = {}
        self.servers: dict[ServerKey, ServerTransaction] = {}
        self.merged: dict[tuple[str, str, int, str], ServerTransaction] = {}
        self.streams: dict[Flow, set[Transaction]] = {}
        self._names = 0
        self.by_name: dict[str, ServerTransaction] = {}

    def start_client(self, request: OutgoingRequest, listener: ClientListener, owner: object, now: float) -> ClientTransaction:
        """Send a request other than ACK."""
        kind = InviteClientTransaction if request.method == "INVITE" else NonInviteClientTransaction
        transaction: ClientTransaction = kind(request.flow, self.timing)
        transaction.request = request
        transaction.listener = listener
        transaction.owner = owner
        self.clients[request.branch, request.method] = transaction
        self._join(transaction)
        self.feed(transaction, _REQUEST, now, None, request.to_bytes())
        return transaction

    def receive_response(self, response: Response, now: float) -> None:
        """Give a response to its transaction; drop it when there is none."""
        found = self.clients.get((response.via_top.branch, response.cseq.method))
        if found is not None and len(response.headers.index()["via"]) == 1:
            self.feed(found, status_input(response.status), now, response)

    def start_server(self, request: Request, flow: Flow, key: ServerKey, now: float) -> ServerTransaction:
        """Remember a new request other than ACK."""
        kind = InviteServerTransaction if request.method == "INVITE" else NonInviteServerTransaction
        transaction: ServerTransaction = kind(reply_flow(request, flow), self.timing)
        transaction.key = key
        transaction.cseq = request.cseq.number
        transaction.head = ReplyHead(request, flow)
        transaction.listener = None
        transaction.name = ""
        transaction.merge_key = None
        if not request.to_tag:
            transaction.merge_key = (request.call_id, request.from_tag, transaction.cseq, request.method)
            self.merged.setdefault(transaction.merge_key, transaction)
        self.servers[key] = transaction
        self._join(transaction)
        self.feed(transaction, _REQUEST, now)
        return transaction

    def is_merged(self, request: Request) -> bool:
        """Whether the same request came before on another path (section 8.2.2.2)."""
        return bool(self.merged) and (request.call_id, request.from_tag, request.cseq.number, request.method) in self.merged

    def name(self, transaction: ServerTransaction) -> str:
        """A name by which the user answers it."""
        self._names += 1
        transaction.name = f"t{self._names}"
        self.by_name[transaction.name] = transaction
        return transaction.name

    def reply(
        self, transaction: ServerTransaction, status: int, now: float, *, reason: str | None = None, fields: str = "", body: bytes = b""
    ) -> bytes:
        """Send a response to the far end's request; returns its bytes."""
        data = transaction.head.make(status, reason, fields, body)
        if status >= 200 and transaction.name:
            self.by_name.pop(transaction.name, None)
        self.feed(transaction, user_input(status), now, None, data)
        return data

    def feed(
        self, transaction: Transaction, event: Input, now: float, message: Request | Response | None = None, data: bytes = b""
    ) -> None:
        """One input to one transaction, and all that follows from it."""
        for output in transaction.feed(event, now, message, data):
            kind = type(output)
            if kind is SetTimer:
                self.timers.set(output.at, transaction, output.timer)  # type: ignore[union-attr]
            elif kind is Send:
                self.outputs.append(output)  # type: ignore[arg-type]
            elif kind is Deliver:
                transaction.listener(transaction, output.message, now)  # type: ignore[attr-defined,union-attr]
            elif isinstance(output, Failed):
                self._failed(transaction, output.why, now)
        if transaction.state is _TERMINATED:
            self._forget(transaction)

    def _failed(self, transaction: Transaction, why: Failure, now: float) -> None:
        if isinstance(transaction, ClientTransaction):
            transaction.listener(transaction, why, now)
        if isinstance(transaction, ServerTransaction) and transaction.listener is not None:
            transaction.listener(transaction, why, now)

    def abandon(self, transaction: Transaction) -> None:
        """End a transaction at once, without a word to anybody."""
        transaction.state = State.TERMINATED
        self._forget(transaction)

    def flow_failed(self, flow: Flow, now: float) -> None:
        """Tell every transaction of the flow."""
        concerned: list[Transaction]
        if flow.reliable:
            concerned = list(self.streams.pop(flow, ()))
        else:
            concerned = [t for t in (*self.clients.values(), *self.servers.values()) if t.flow == flow]
        for transaction in concerned:
            self.feed(transaction, Input.TRANSPORT_ERROR, now)

    def _join(self, transaction: Transaction) -> None:
        if transaction.flow.transport != "udp":
            self.streams.setdefault(transaction.flow, set()).add(transaction)

    def _forget(self, transaction: Transaction) -> None:
        if isinstance(transaction, ClientTransaction):
            self.clients.pop((transaction.request.branch, transaction.request.method), None)
        elif isinstance(transaction, ServerTransaction):
            self.servers.pop(transaction.key, None)
            if transaction.name:
                self.by_name.pop(transaction.name, None)
            if transaction.merge_key is not None and self.merged.get(transaction.merge_key) is transaction:
                del self.merged[transaction.merge_key]
        if transaction.flow.transport != "udp":
            stream = self.streams.get(transaction.flow)
            if stream is not None:
                stream.discard(transaction)
                if not stream:
                    del self.streams[transaction.flow]
