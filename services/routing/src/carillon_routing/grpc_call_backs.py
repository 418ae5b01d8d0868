"""`CallBackService`: call-backs that users of the caller's tenant asked for."""

from carillon.routing.v1 import call_backs_pb2 as pb
from carillon.routing.v1.call_backs_pb2_grpc import CallBackServiceServicer
from carillon_kit import pages
from carillon_kit.auth import ADMIN, OPERATOR
from carillon_kit.errors import InvalidArgument, NotFound, Unavailable
from carillon_kit.grpc_server import current_tenant
from carillon_routing.domain.call_orders import Order, Over
from carillon_routing.ports import Orders, OrdersAway
from carillon_routing.projections.configuration import Configuration

SERVICE_NAME = "carillon.routing.v1.CallBackService"
RIGHTS = dict.fromkeys(("ListCallBacks", "CancelCallBack"), frozenset({str(OPERATOR), str(ADMIN)}))
#: People can wait longer than calls.
SECONDS = 3.0


class CallBackControl(CallBackServiceServicer):
    """Without a database everything is UNAVAILABLE."""

    def __init__(self, orders: Orders, configuration: Configuration) -> None:
        self._orders = orders
        self._configuration = configuration

    async def ListCallBacks(self, request: pb.ListCallBacksRequest, context: object) -> pb.ListCallBacksResponse:
        """See call_backs.proto."""
        config = self._configuration.current(current_tenant())
        if request.user_id and (config is None or request.user_id not in config.users):
            raise NotFound(f"users/{request.user_id}")
        found = [order for order in await self._open() if request.user_id in ("", order.who)]
        page, token = pages.cut(found, lambda order: order.order_id, request.page_size, request.page_token)
        return pb.ListCallBacksResponse(call_backs=map(_message, page), next_page_token=token)

    async def CancelCallBack(self, request: pb.CancelCallBackRequest, context: object) -> pb.CancelCallBackResponse:
        """See call_backs.proto."""
        if not request.id:
            raise InvalidArgument({"id": "needed"})
        order = next((order for order in await self._open() if order.order_id == request.id), None)
        if order is None:
            raise NotFound(f"call_backs/{request.id}")
        try:
            done = await self._orders.settle(Over(order, "cancelled"), SECONDS)
        except OrdersAway as away:
            raise Unavailable(str(away)) from away
        if not done:
            raise NotFound(f"call_backs/{request.id}")
        return pb.CancelCallBackResponse()

    async def _open(self) -> list[Order]:
        try:
            orders = await self._orders.open(current_tenant(), SECONDS)
        except OrdersAway as away:
            raise Unavailable(str(away)) from away
        return [order for order in orders if order.kind == "call_back"]


def _message(order: Order) -> pb.CallBack:
    shown = pb.CallBack(
        id=order.order_id, user_id=order.who, number=order.number, blocked=order.blocked, tries=order.tries, via_call_id=order.via
    )
    shown.requested_at.FromDatetime(order.asked_at)
    shown.expires_at.FromDatetime(order.expires_at)
    return shown
