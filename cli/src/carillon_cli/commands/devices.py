"""`carillon devices`: phones from stock to a site and back, and whose they are."""

import argparse
import asyncio

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.device_pb2_grpc import DeviceServiceStub
from carillon_cli.errors import CliError
from carillon_cli.system import RPC_SECONDS, System, ask, load, system_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon devices`."""
    parser.add_argument(
        "verb", choices=("move", "assign", "free"), help="move DEVICE [SITE]: without one into stock; assign DEVICE USER; free DEVICE"
    )
    parser.add_argument("device", metavar="DEVICE")
    parser.add_argument("to", nargs="?", default="", metavar="SITE|USER")
    parser.add_argument("--port", type=int, default=0, help="assign: default 1; free: default all")
    parser.add_argument("--credential", default="", metavar="SIP_USER", help="assign: a line that several share, in place of a user")
    parser.add_argument("--label", default="", help="assign: on the phone's display")
    parser.add_argument("--reason", default="", help="why, kept in the history")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Do it and say how the device stands."""
    if options.verb == "assign" and bool(options.to) == bool(options.credential):
        raise CliError("assign to whom?", "For example: carillon devices assign reception-phone dumas")
    system = load(options.data)
    print(told(asyncio.run(_run(system, system.tenant(options.tenant), options))))
    return 0


async def _run(system: System, tenant: str, options: argparse.Namespace) -> pb.Device:
    async with system.channel("directory", tenant) as directory:
        devices, asked = DeviceServiceStub(directory), {"id": options.device, "reason": options.reason}
        if options.verb == "move":
            moving = pb.MoveDeviceRequest(**asked, site_id=options.to)
            return (await ask(devices.MoveDevice(moving, timeout=RPC_SECONDS), "directory")).device
        if options.verb == "free":
            freeing = pb.FreeDeviceRequest(**asked, port=options.port)
            return (await ask(devices.FreeDevice(freeing, timeout=RPC_SECONDS), "directory")).device
        line = {"user_id": options.to} if options.to else {"sip_credential_id": options.credential}
        assigning = pb.AssignDeviceRequest(**asked, port=options.port, label=options.label, **line)
        return (await ask(devices.AssignDevice(assigning, timeout=RPC_SECONDS), "directory")).device


def told(device: pb.Device) -> str:
    """Where it is and whose its ports are."""
    where = f"at {device.site_id}" if device.site_id else "in stock" if not device.lines else "at no site"
    lines = ", ".join(f"port {line.port}: {line.sip_credential_id}" for line in device.lines)
    return f"{device.id} is {where}, " + (lines or "nobody's")
