"""`python -m carillon_rtp`: the media plane as a process. Ends in order on SIGTERM and SIGINT; exit code 1 when it cannot start."""

from __future__ import annotations

import argparse
import asyncio
import gc
import ipaddress
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

from carillon_rtp.core import Core, CoreSettings
from carillon_rtp.load import LATE, REFUSE, LoadWatch
from carillon_rtp.server import ControlServer, log, monotonic_ms
from carillon_rtp.sessions import Sessions
from carillon_rtp.turn import take_turn


def _ports(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    ports = int(low), int(high)
    if not 1024 <= ports[0] < ports[1] <= 65535:
        raise ValueError(text)
    return ports


def _ipv4(text: str) -> str:
    return str(ipaddress.IPv4Address(text))


def _ipv6(text: str) -> str:
    return str(ipaddress.IPv6Address(text))


def _interval(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 6.5:
        raise ValueError(text)
    return seconds


def parser() -> argparse.ArgumentParser:
    """The command line."""
    options = argparse.ArgumentParser(prog="python -m carillon_rtp", description="Carillon's media plane.")
    options.add_argument("--socket", type=Path, required=True, help="the Unix socket for commands")
    options.add_argument("--listen-ip", type=_ipv4, required=True, help="the IPv4 address RTP is received on")
    options.add_argument("--listen-ip6", type=_ipv6, help="the IPv6 address besides; without it no session is over IPv6")
    options.add_argument("--public-ip6", type=_ipv6, help="the IPv6 address far ends are told, where it differs")
    options.add_argument("--public-ip", type=_ipv4, help="the address far ends are told, where it differs")
    options.add_argument("--ports", type=_ports, required=True, metavar="LO-HI", help="UDP ports: even ones RTP, odd ones RTCP")
    options.add_argument("--threads", type=int, choices=range(1, 65), metavar="N", help="packet threads (one for each core it may use)")
    options.add_argument("--nice", type=int, default=-10, help="of the packet threads, where the system allows it")
    options.add_argument("--rest", type=float, default=5.0, metavar="SECONDS", help="how long a port rests after its call")
    options.add_argument("--learn", type=float, default=0.5, metavar="SECONDS", help="how long a source that was not signalled is on trial")
    options.add_argument("--report", type=_interval, default=5.0, metavar="SECONDS", help="between two RTCP reports of a session; 0: none")
    options.add_argument(
        "--loopback",
        action=argparse.BooleanOptionalAction,
        help="whether anything is sent to 127.0.0.0/8 and ::1 (only where it listens there itself)",
    )
    options.add_argument(
        "--refuse",
        action="append",
        default=[],
        metavar="NETWORK",
        help="send nothing there (repeatable); fc00::/7: nothing to unique local addresses",
    )
    options.add_argument("--state", type=Path, help="the file by which its successor goes on with every stream (SOCKET.streams)")
    options.add_argument("--most-load", type=float, default=REFUSE, metavar="SHARE", help="of a core: new sessions are refused above it")
    options.add_argument("--most-late", type=float, default=LATE, metavar="SHARE", help="of ticks: new sessions are refused above it")
    options.add_argument("--orphan", type=float, default=300.0, metavar="SECONDS", help="how long sessions outlive their client")
    options.add_argument("--standby", action="store_true", help="waits, ready to serve, while another one started so serves on the socket")
    options.add_argument("--cpus", help="cores to stay on, e.g. 2,3")
    return options


def settings_of(arguments: argparse.Namespace) -> CoreSettings:
    """The core's part of the command line."""
    low, high = arguments.ports
    return CoreSettings(
        listen_ip=arguments.listen_ip,
        listen_ip6=arguments.listen_ip6,
        port_low=low,
        port_high=high,
        threads=arguments.threads or min(len(os.sched_getaffinity(0)), 64),
        nice=arguments.nice,
        rest_seconds=arguments.rest,
        learn_seconds=arguments.learn,
        report_seconds=arguments.report,
        allow_loopback=ipaddress.ip_address(arguments.listen_ip).is_loopback if arguments.loopback is None else arguments.loopback,
        refused_networks=tuple(arguments.refuse),
        state_path=arguments.state or arguments.socket.with_suffix(".streams"),
    )


async def serve(arguments: argparse.Namespace) -> None:
    """Runs until a signal asks for the end."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    core = Core(settings_of(arguments))
    clock_ms, announced = monotonic_ms(time.monotonic), arguments.public_ip or arguments.listen_ip
    load, announced6 = LoadWatch(arguments.most_load, late=arguments.most_late), arguments.public_ip6 or arguments.listen_ip6
    sessions = Sessions(core, announced, clock_ms, log.error, int(arguments.orphan * 1000), load, announced6)
    server = ControlServer(arguments.socket, core, sessions, secrets.token_hex(8))
    try:
        await server.start()
        gc.collect()
        gc.freeze()
        log.info("media plane ready on %s, ports %d-%d", arguments.listen_ip, *arguments.ports)
        await stopping.wait()
        await server.stop()
    finally:
        core.stop()


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if arguments.cpus:
        os.sched_setaffinity(0, {int(cpu) for cpu in arguments.cpus.split(",")})
    try:
        if arguments.standby:
            take_turn(arguments.socket.with_suffix(".turn"))
        uvloop.run(serve(arguments))
    except (OSError, ValueError) as error:
        log.error("the media plane cannot start: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
