"""Any node is asked about any call: what is about a call of another node is asked there, with the asker's own token.

Invariant: a request goes on once; the node that has the call decides whether it is allowed, and its answer, or refusal, is the answer.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from ipaddress import ip_address
from typing import Any, Protocol, TypeVar

import grpc
import grpc.aio

from carillon.media.v1 import call_control_pb2 as control
from carillon.media.v1 import media_pb2 as pb
from carillon.media.v1.call_control_pb2_grpc import CallControlServiceStub
from carillon.media.v1.media_pb2_grpc import (
    LiveCallServiceServicer,
    LiveCallServiceStub,
    RegistrationServiceServicer,
    RegistrationServiceStub,
)
from carillon_kit import pages
from carillon_kit.errors import FailedPrecondition
from carillon_kit.grpc_client import Channel, channel
from carillon_kit.grpc_server import TENANT_KEY, current_tenant
from carillon_media.grpc_api import LiveCallApi, RegistrationApi
from carillon_media.grpc_control import CALL_CONTROL_RIGHTS, CallControlApi
from carillon_media.handlers.feature_control import AtNode
from carillon_sip.flow import Address, host_port

#: Says that a node asks for somebody else: no other node is asked then.
FORWARDED_KEY = "carillon-forwarded"
#: Seconds for another node to answer where the asker sets no deadline, and to list its calls.
ANSWER_SECONDS, LIST_SECONDS = 10.0, 2.0
Context = grpc.aio.ServicerContext[Any, Any]
T = TypeVar("T")


class Nodes(Protocol):
    """`Elsewhere`, as far as it is asked here."""

    def node_of(self, tenant: str, call_id: str) -> str | None: ...
    @property
    def alive(self) -> Collection[str]: ...
    @property
    def apis(self) -> Mapping[str, str]: ...


class OtherNodes:
    """Channels to the nodes' APIs."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._channels: dict[str, Channel] = {}

    def node_of(self, call_id: str, context: Context) -> str | None:
        """The other node that has the call; None: it is to be looked for here, whether it is there or not."""
        return None if _forwarded(context) else self._nodes.node_of(current_tenant(), call_id)

    def all(self, context: Context) -> list[str]:
        """Nodes that are asked besides this one: all that are alive, whether or not they have said where."""
        return [] if _forwarded(context) else sorted(self._nodes.alive)

    def channel(self, node: str) -> Channel:
        """To a node's API. Raises FailedPrecondition when it has not said where that is."""
        address = self._nodes.apis.get(node)
        if address is None:
            raise FailedPrecondition([("STATE", f"nodes/{node}", f"the call is at node {node}, which cannot be asked now")])
        if address not in self._channels:
            self._channels[address] = channel(address, "")
        return self._channels[address]

    async def ask_all(self, context: Context, ask: Callable[[Channel], Awaitable[T]]) -> tuple[list[T], list[str]]:
        """What the other nodes answer, and who does not."""

        async def of(node: str) -> T | None:
            try:
                return await ask(self.channel(node))
            except (grpc.aio.AioRpcError, FailedPrecondition):
                return None

        nodes = self.all(context)
        found = await asyncio.gather(*(of(node) for node in nodes))
        silent = [node for node, each in zip(nodes, found, strict=True) if each is None]
        return [each for each in found if each is not None], silent

    async def close(self) -> None:
        """The service ends."""
        for each in self._channels.values():
            await each.close()


class CallControlAnywhere:
    """`CallControlService` of all nodes: as `CallControlApi`, each rpc by its name."""

    def __init__(self, here: CallControlApi, nodes: OtherNodes) -> None:
        self._here = here
        self._nodes = nodes
        for rpc in CALL_CONTROL_RIGHTS.keys() - {"WatchCallEvents", "OriginateCall"}:
            setattr(self, rpc, self._anywhere(rpc, self._allowed(rpc)))
        self.OriginateCall = self._allowed("OriginateCall")

    def _allowed(self, rpc: str) -> Callable[[Any, Context], Awaitable[Any]]:
        local = getattr(self._here, rpc)

        async def asked(request: Any, context: Context) -> Any:
            self._here.access.check(rpc, request)
            return await local(request, context)

        return asked

    def _anywhere(self, rpc: str, local: Callable[[Any, Context], Awaitable[Any]]) -> Callable[[Any, Context], Awaitable[Any]]:
        async def asked(request: Any, context: Context) -> Any:
            call_id = getattr(request, "call_id", "")
            node = self._nodes.node_of(call_id, context) if call_id else None
            if node is None:
                try:
                    return await local(request, context)
                except AtNode as error:
                    if _forwarded(context):
                        raise FailedPrecondition([("STATE", f"nodes/{error.node}", f"the call is at node {error.node}")]) from error
                    node = error.node
            there = getattr(CallControlServiceStub(self._nodes.channel(node)), rpc)
            try:
                return await there(request, metadata=_metadata(context), timeout=context.time_remaining() or ANSWER_SECONDS)
            except grpc.aio.AioRpcError as error:
                await _answer(context, error)

        return asked

    async def WatchCallEvents(
        self, request: control.WatchCallEventsRequest, context: Context
    ) -> AsyncIterator[control.WatchCallEventsResponse]:
        """Of a call, wherever it is; without one, of the calls of the node that is asked."""
        node = self._nodes.node_of(request.call_id, context) if request.call_id else None
        if node is None:
            async for response in self._here.WatchCallEvents(request, context):
                yield response
            return
        stub = CallControlServiceStub(self._nodes.channel(node))
        try:
            async for response in stub.WatchCallEvents(request, metadata=_metadata(context), timeout=context.time_remaining()):
                yield response
        except grpc.aio.AioRpcError as error:
            await _answer(context, error)


class LiveCallsAnywhere(LiveCallServiceServicer):
    """`LiveCallService` of all nodes."""

    def __init__(self, here: LiveCallApi, nodes: OtherNodes) -> None:
        self._here = here
        self._nodes = nodes

    async def ListLiveCalls(self, request: pb.ListLiveCallsRequest, context: Context) -> pb.ListLiveCallsResponse:
        """Oldest first; nodes that do not answer are named."""

        def ask(there: Channel) -> Awaitable[pb.ListLiveCallsResponse]:
            return LiveCallServiceStub(there).ListLiveCalls(pb.ListLiveCallsRequest(), metadata=_metadata(context), timeout=LIST_SECONDS)

        others, silent = await self._nodes.ask_all(context, ask)
        calls = [call for each in (await self._here.ListLiveCalls(request, context), *others) for call in each.calls]
        page, token = pages.cut(calls, _by_age, request.page_size, request.page_token)
        return pb.ListLiveCallsResponse(calls=page, silent_nodes=silent, next_page_token=token)


class RegistrationsAnywhere(RegistrationServiceServicer):
    """`RegistrationService` of all nodes: each knows every registration, but only who watches there and what it has sent."""

    def __init__(self, here: RegistrationApi, nodes: OtherNodes) -> None:
        self._here = here
        self._nodes = nodes

    async def ListRegistrations(self, request: pb.ListRegistrationsRequest, context: Context) -> pb.ListRegistrationsResponse:
        """As the node that is asked knows them, then who has left; nodes that do not answer are named."""
        all_of = pb.ListRegistrationsRequest(user_id=request.user_id)

        def ask(there: Channel) -> Awaitable[pb.ListRegistrationsResponse]:
            return RegistrationServiceStub(there).ListRegistrations(all_of, metadata=_metadata(context), timeout=LIST_SECONDS)

        others, silent = await self._nodes.ask_all(context, ask)
        answer = paged(merged(await self._here.ListRegistrations(all_of, context), others), request)
        answer.silent_nodes.extend(silent)
        return answer


def paged(answer: pb.ListRegistrationsResponse, request: pb.ListRegistrationsRequest) -> pb.ListRegistrationsResponse:
    """The page that is asked for: of the registrations, and after them of those who left."""
    found = [("0", each) for each in answer.registrations] + [("1", each) for each in answer.departed]
    page, token = pages.cut(found, _by_contact, request.page_size, request.page_token)
    here, left = ([each for which, each in page if which == part] for part in ("0", "1"))
    return pb.ListRegistrationsResponse(registrations=here, departed=left, next_page_token=token)


def _by_age(call: pb.LiveCall) -> str:
    return f"{call.started_at.seconds:012}{call.started_at.nanos:09}{call.call_id}"


def _by_contact(of: tuple[str, pb.Registration]) -> str:
    return "\0".join((of[0], of[1].user_id, of[1].sip_user, of[1].contact))


def merged(own: pb.ListRegistrationsResponse, others: Sequence[pb.ListRegistrationsResponse]) -> pb.ListRegistrationsResponse:
    """The own registrations, with those who watch at any node, each once, and the notices of all."""
    answer = pb.ListRegistrationsResponse()
    answer.CopyFrom(own)
    elsewhere: dict[tuple[str, str], list[pb.Registration]] = {}
    for other in others:
        for each in (*other.registrations, *other.departed):
            elsewhere.setdefault((each.sip_user, each.contact), []).append(each)
    for one in (*answer.registrations, *answer.departed):
        same = elsewhere.get((one.sip_user, one.contact), ())
        watchers = sorted({*one.watched_by, *(name for each in same for name in each.watched_by)})
        del one.watched_by[:]
        one.watched_by.extend(watchers)
        one.message_notices += sum(each.message_notices for each in same)
    return answer


def reached_at(listen: str, port: int, sip: Address | None) -> str:
    """Where other nodes reach this one's gRPC: the address it listens on, or the one that they reach its phones at (`sip`). Empty: nowhere,
    such as when it listens for this machine only and the nodes are on others."""
    host = listen.rpartition(":")[0].strip("[]")
    if host in ("", "::", "0.0.0.0"):
        return host_port((sip[0], port)) if sip is not None else ""
    if _is_loopback(host) and sip is not None and not _is_loopback(sip[0]):
        return ""
    return host_port((host, port))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _forwarded(context: Context) -> bool:
    return any(key == FORWARDED_KEY for key, _ in context.invocation_metadata() or ())


def _metadata(context: Context) -> tuple[tuple[str, str], ...]:
    """The asker's own token and tenant."""
    kept = [(key, str(value)) for key, value in context.invocation_metadata() or () if key in ("authorization", TENANT_KEY)]
    return (*kept, (FORWARDED_KEY, "1"))


async def _answer(context: Context, error: grpc.aio.AioRpcError) -> None:
    """As the other node has answered, with its details; always raises."""
    told: Any = error.trailing_metadata() or ()
    details = tuple((key, value) for key, value in told if key == "grpc-status-details-bin")
    await context.abort(error.code(), error.details() or "", details)
