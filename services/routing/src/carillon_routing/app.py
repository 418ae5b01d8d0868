"""The composition root: what routing is made of, started in order and put down in reverse."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from carillon.cdr.v1.cdr_pb2_grpc import RecordServiceStub
from carillon.directory.v1.sip_credential_pb2_grpc import SipCredentialServiceStub
from carillon.directory.v1.user_pb2_grpc import UserServiceStub
from carillon.media.v1.call_control_pb2_grpc import CallControlServiceStub
from carillon.media.v1.media_pb2_grpc import TrunkStateServiceStub
from carillon.routing.v1.call_backs_pb2_grpc import add_CallBackServiceServicer_to_server
from carillon.routing.v1.codes_pb2_grpc import add_CodeServiceServicer_to_server
from carillon.routing.v1.explain_pb2_grpc import add_ExplainServiceServicer_to_server
from carillon.routing.v1.hunt_groups_pb2_grpc import add_HuntGroupControlServiceServicer_to_server
from carillon.routing.v1.queues_pb2_grpc import add_QueueControlServiceServicer_to_server
from carillon.routing.v1.routing_pb2_grpc import add_RoutingServiceServicer_to_server
from carillon_contracts.audit import request_refused
from carillon_contracts.streams import AUDIT, CONFIG, KEYS, LETTERS
from carillon_kit.auth import SERVICE, issue_token
from carillon_kit.bus import Bus
from carillon_kit.clock import Clock, FileClock, SystemClock
from carillon_kit.grpc_client import channel
from carillon_kit.guarded_server import guarded_server
from carillon_kit.lifecycle import Tasks
from carillon_routing.adapters.attendance import PostgresAttendance
from carillon_routing.adapters.call_backs import CallBacks
from carillon_routing.adapters.call_orders import PostgresOrders
from carillon_routing.adapters.fact_finder import RealFacts
from carillon_routing.adapters.letters import Letters
from carillon_routing.adapters.lines import TrunkLines
from carillon_routing.adapters.past_calls import PastCalls
from carillon_routing.adapters.peers import Peers, signer
from carillon_routing.adapters.postgres_facts import PostgresFacts
from carillon_routing.adapters.web import Web, networks
from carillon_routing.grpc_api import add_services
from carillon_routing.grpc_call_backs import RIGHTS as CALL_BACKS_RIGHTS
from carillon_routing.grpc_call_backs import SERVICE_NAME as CALL_BACKS_SERVICE
from carillon_routing.grpc_call_backs import CallBackControl
from carillon_routing.grpc_codes import RIGHTS as CODES_RIGHTS
from carillon_routing.grpc_codes import SERVICE_NAME as CODES_SERVICE
from carillon_routing.grpc_codes import Codes
from carillon_routing.grpc_compare import Comparisons
from carillon_routing.grpc_explain import RIGHTS as EXPLAIN_RIGHTS
from carillon_routing.grpc_explain import SERVICE_NAME as EXPLAIN_SERVICE
from carillon_routing.grpc_explain import Explanations
from carillon_routing.grpc_hunt_groups import RIGHTS as HUNTING_RIGHTS
from carillon_routing.grpc_hunt_groups import SERVICE_NAME as HUNTING_SERVICE
from carillon_routing.grpc_hunt_groups import HuntGroupControl
from carillon_routing.grpc_queues import RIGHTS, SERVICE_NAME, QueueControl
from carillon_routing.grpc_replay import Replays
from carillon_routing.grpc_routing import RIGHTS as ROUTING_RIGHTS
from carillon_routing.grpc_routing import SERVICE_NAME as ROUTING_SERVICE
from carillon_routing.grpc_routing import Routing
from carillon_routing.handlers.attendance import Attendances
from carillon_routing.handlers.call_orders import CallOrders
from carillon_routing.handlers.floors import FloorsWhenUp
from carillon_routing.handlers.queue_calls import QueueCalls
from carillon_routing.handlers.slow_answers import SlowAnswers
from carillon_routing.projections.configuration import Configuration, ConfigurationFollower
from carillon_routing.projections.past import PastConfigurations
from carillon_routing.queue_service import run_queues, wait_a_moment
from carillon_routing.settings import RoutingSettings


@asynccontextmanager
async def running(settings: RoutingSettings, bus: Bus | None = None) -> AsyncIterator[int]:
    """The service, up and caught up while the context is; yields the gRPC port. `bus`: instead of connecting to `nats_url`."""
    async with AsyncExitStack() as stack:
        if bus is None:
            bus = await stack.enter_async_context(await Bus.connect(settings.nats_url, "routing"))
        for stream in (CONFIG, LETTERS):
            await bus.ensure_stream(stream)
        configuration = Configuration(SystemClock())
        follower = ConfigurationFollower(bus, configuration)
        tasks = await stack.enter_async_context(Tasks())
        stack.push_async_callback(follower.close)
        tasks.start(follower.run(), "configuration")
        await follower.caught_up(settings.catch_up_seconds)
        facts = PostgresFacts(configuration.zone)
        attendance = PostgresAttendance()
        users, phones, records, calling, trunks = _others(settings, stack)
        sign = signer(settings.token_key.get_secret_value())
        floors = FloorsWhenUp(expected=bool(settings.postgres_dsn))
        call_back = None if calling is None else CallBacks(calling, sign)
        kept = PostgresOrders(SystemClock())
        orders = CallOrders(kept, configuration.current, SystemClock(), call_back, None if trunks is None else TrunkLines(trunks, sign))
        if settings.postgres_dsn:
            tasks.start(run_queues(settings, bus, configuration, floors, facts, attendance, kept, orders, call_back), "queues")
            await wait_a_moment(floors, settings.queues_up_seconds)
        queues = QueueCalls(floors, SystemClock())
        server = await guarded_server(settings, "routing", bus, tasks, keys=KEYS, audit=AUDIT, describe=request_refused)
        web = Web(settings.token_key.get_secret_value(), networks(settings.webhook_networks), SystemClock())
        finder = RealFacts(
            facts, Letters(bus, SystemClock()), web, Attendances(floors, attendance), Peers(users, phones, records, sign), orders
        )
        slow = SlowAnswers(finder, facts, tasks.start, SystemClock())
        add_services(server, configuration, _clock(settings), queues, finder, slow)
        control = QueueControl(floors, configuration, SystemClock())
        server.add(add_QueueControlServiceServicer_to_server, control, SERVICE_NAME, RIGHTS)
        hunting = HuntGroupControl(attendance, configuration)
        server.add(add_HuntGroupControlServiceServicer_to_server, hunting, HUNTING_SERVICE, HUNTING_RIGHTS)
        server.add(add_CodeServiceServicer_to_server, Codes(configuration, facts), CODES_SERVICE, CODES_RIGHTS)
        server.add(add_CallBackServiceServicer_to_server, CallBackControl(kept, configuration), CALL_BACKS_SERVICE, CALL_BACKS_RIGHTS)
        past = PastConfigurations(bus, configuration, SystemClock())
        calls = PastCalls(records, lambda tenant: (("carillon-tenant", tenant),))
        comparisons = Comparisons(calls, SystemClock(), settings.compare_processes)
        routing = Routing(configuration, _clock(settings), Replays(calls, past), comparisons)
        server.add(add_RoutingServiceServicer_to_server, routing, ROUTING_SERVICE, ROUTING_RIGHTS)
        server.add(
            add_ExplainServiceServicer_to_server, Explanations(configuration, calls, bus, SystemClock()), EXPLAIN_SERVICE, EXPLAIN_RIGHTS
        )
        port = await server.start()
        stack.push_async_callback(server.stop)
        yield port


def _others(settings: RoutingSettings, stack: AsyncExitStack) -> tuple[Any | None, ...]:
    """Stubs of UserService, SipCredentialService, RecordService, CallControlService and TrunkStateService; None where its service's address
    is not set."""
    token = issue_token(settings.token_key.get_secret_value(), "routing", None, [SERVICE])

    def stub(target: str, kind: Callable[[Any], Any]) -> Any | None:
        if not target:
            return None
        link = channel(target, token)
        stack.push_async_callback(link.close, None)
        return kind(link)

    users, phones = stub(settings.directory, UserServiceStub), stub(settings.directory, SipCredentialServiceStub)
    calls, trunks = stub(settings.media, CallControlServiceStub), stub(settings.media, TrunkStateServiceStub)
    return users, phones, stub(settings.cdr, RecordServiceStub), calls, trunks


def _clock(settings: RoutingSettings) -> Clock:
    return SystemClock() if settings.clock_file is None else FileClock(settings.clock_file)


@asynccontextmanager
async def app(settings: RoutingSettings) -> AsyncIterator[None]:
    """`running`, as the lifecycle wants it."""
    async with running(settings):
        yield
