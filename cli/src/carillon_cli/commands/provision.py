"""`carillon provision`: an address for a device to fetch its settings from, and what became of it."""

import argparse
import asyncio

from carillon.directory.v1 import provisioning_pb2 as pb
from carillon.directory.v1.provisioning_pb2_grpc import ProvisioningServiceStub
from carillon_cli.system import RPC_SECONDS, System, ask, load, system_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon provision`."""
    parser.add_argument("device", metavar="DEVICE", help="id of a device")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--prepare", action="store_true", help="make an address and show it once; a former one is void")
    what.add_argument("--withdraw", action="store_true", help="the device fetches nothing any more")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Prepare, withdraw, or show how it stands."""
    system = load(options.data)
    print("\n".join(asyncio.run(done(system, system.tenant(options.tenant), options))))
    return 0


async def done(system: System, tenant: str, options: argparse.Namespace) -> list[str]:
    """What to print."""
    device = options.device
    async with system.channel("directory", tenant) as directory:
        service = ProvisioningServiceStub(directory)
        if options.prepare:
            made = await ask(service.PrepareDevice(pb.PrepareDeviceRequest(device_id=device), timeout=RPC_SECONDS), "directory")
            return [f"address   {made.url}   (shown only now)", f"password  {made.secret}   (for phones that ask with MAC and password)"]
        if options.withdraw:
            await ask(service.WithdrawDevice(pb.WithdrawDeviceRequest(device_id=device), timeout=RPC_SECONDS), "directory")
            return [f"{device} fetches nothing any more"]
        return told(await ask(service.GetProvisioning(pb.GetProvisioningRequest(device_id=device), timeout=RPC_SECONDS), "directory"))


def told(stands: pb.GetProvisioningResponse) -> list[str]:
    """How it stands, in words."""
    if not stands.prepared:
        return ["has no address to fetch from; make one with --prepare"]
    if not stands.HasField("fetched_at"):
        return ["has an address, and has fetched nothing yet"]
    return [f"fetched {stands.file} at {stands.fetched_at.ToJsonString()} from {stands.source} ({stands.user_agent or 'no user agent'})"]
