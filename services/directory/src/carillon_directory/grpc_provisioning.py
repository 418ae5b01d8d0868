"""The service of provisioning.proto."""

from carillon.directory.v1 import provisioning_pb2 as pb
from carillon.directory.v1.provisioning_pb2_grpc import ProvisioningServiceServicer, add_ProvisioningServiceServicer_to_server
from carillon_directory.provisioning import Provisioning
from carillon_directory.whole_tenant import current_whole_tenant
from carillon_kit.auth import ADMIN, OPERATOR
from carillon_kit.errors import InvalidArgument
from carillon_kit.grpc_server import GrpcServer, current_principal

_SERVICE = "carillon.directory.v1.ProvisioningService"
_RIGHTS = dict.fromkeys(("PrepareDevice", "WithdrawDevice", "GetProvisioning"), frozenset({str(OPERATOR), str(ADMIN)}))


def add_services(server: GrpcServer, provisioning: Provisioning) -> None:
    """The service with its rights."""
    server.add(add_ProvisioningServiceServicer_to_server, ProvisioningApi(provisioning), _SERVICE, _RIGHTS)


class ProvisioningApi(ProvisioningServiceServicer):
    """See provisioning.proto."""

    def __init__(self, provisioning: Provisioning) -> None:
        self._provisioning = provisioning

    async def PrepareDevice(self, request: pb.PrepareDeviceRequest, context: object) -> pb.PrepareDeviceResponse:
        """See provisioning.proto."""
        url, secret = await self._provisioning.prepare(current_whole_tenant(), _device(request.device_id), current_principal().subject)
        return pb.PrepareDeviceResponse(url=url, secret=secret)

    async def WithdrawDevice(self, request: pb.WithdrawDeviceRequest, context: object) -> pb.WithdrawDeviceResponse:
        """See provisioning.proto."""
        await self._provisioning.withdraw(current_whole_tenant(), _device(request.device_id), current_principal().subject)
        return pb.WithdrawDeviceResponse()

    async def GetProvisioning(self, request: pb.GetProvisioningRequest, context: object) -> pb.GetProvisioningResponse:
        """See provisioning.proto."""
        found = await self._provisioning.stands(current_whole_tenant(), _device(request.device_id))
        if found is None:
            return pb.GetProvisioningResponse()
        answer = pb.GetProvisioningResponse(prepared=found.prepared, file=found.file, user_agent=found.user_agent, source=found.source)
        if found.fetched_at is not None:
            answer.fetched_at.FromDatetime(found.fetched_at)
        return answer


def _device(device_id: str) -> str:
    if not 1 <= len(device_id) <= 64 or not device_id.isprintable():
        raise InvalidArgument({"device_id": "must be the id of a device"})
    return device_id
