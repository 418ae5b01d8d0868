"""How much one core relays (or plays): starts a plane on one core and paced load on another, and prints what a packet costs.

    python benchmarks/media/relay.py --calls 500 1000 2000            # relay of G.711 calls, two legs each, 50 packets/s a leg
    python benchmarks/media/relay.py --calls 1000 --convert           # with A-law to mu-law
    python benchmarks/media/relay.py --prompts 2000                   # prompts at once
    python benchmarks/media/relay.py --calls 400 --srtp AEAD_AES_128_GCM   # SRTP on both legs against the plain relay
    python benchmarks/media/relay.py --calls 50 --codec opus          # what a call between G.711 and this codec costs
    python benchmarks/media/relay.py --calls 500 --room 10            # 1,000 parties in rooms of ten (all of them speak)
    python benchmarks/media/relay.py --calls 500 --room 10 --one      # one of each room speaks: loss and delay for all who hear it
    python benchmarks/media/relay.py --calls 500 --record             # every call recorded, both sides

One line of JSON a step. `us_per_packet` is the packet thread's CPU time for one packet received and sent on. For SRTP each call goes
through the plane twice, plain to the load and (first plain, then SRTP) between its two inner sessions: the difference is one protection
and one unprotection, which is what SRTP on both legs adds to a relayed packet. Where one of a room speaks, the others hear its very
samples: loss and delay are those of all of them, the delay with the jitter buffer's. For a codec the inner sessions speak it: both ways are
encoded and decoded, twice what one transcoded call does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from carillon_rtp.client import AudioCodec, MediaAddress, PlaneClient, PlaneStatistics, Remote
from carillon_rtp.srtp import SUITES
from carillon_rtp.testing import plane_process, sine, srtp_keys, write_wav

HERE = Path(__file__).parent
PORTS = 8192, 32767  # the plane leaves out those that others use
CODECS = {"G722": AudioCodec("G722", 9), "opus": AudioCodec("opus", 111, 48000)}
LIMIT = 120.0  # seconds a step may take


def build(folder: Path, name: str = "load") -> Path:
    """Compiles the load generator, or another program that is here."""
    program = folder / name
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-o", program, HERE / f"{name}.c"], check=True)
    return program


def first(pid: int, level: int) -> None:
    """All threads of a process go before everybody else's, above them those of a higher level; 0: like everybody else's again, as they
    must be when they end (the kernel spins until whoever reads their entries in /proc is through, who never is while they go first)."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setscheduler(int(thread), os.SCHED_FIFO if level else os.SCHED_OTHER, os.sched_param(level))


async def sessions(client: PlaneClient, count: int, remotes: Sequence[Remote]) -> list[MediaAddress]:
    """`count` sessions with these remotes in turn."""
    names = [f"leg-{number}" for number in range(count)]
    addresses = await asyncio.gather(*(client.open(name) for name in names))
    await asyncio.gather(*(client.set_remote(name, remotes[n % len(remotes)]) for n, name in enumerate(names)))
    return list(addresses)


async def marks(load: Process) -> AsyncIterator[None]:
    """Let the load begin, and go on twice: when what is measured begins, and when it ends. Raises RuntimeError where the load dies."""
    assert load.stdin
    assert load.stdout
    load.stdin.write(b"go\n")
    await load.stdin.drain()
    for mark in (b"measure", b"end"):
        while (line := await load.stdout.readline()).strip() != mark:
            if not line:
                raise RuntimeError(f"the load ended with {await load.wait()}")
        yield


async def chain(client: PlaneClient, legs: int, suite: str, codec: AudioCodec) -> None:
    """Between the two outer sessions of each call two inner ones that send to each other."""
    inner = await asyncio.gather(*(client.open(f"inner-{number}") for number in range(legs)))
    for number in range(0, legs, 2):
        keys = None if suite == "none" else srtp_keys(suite)  # type: ignore[arg-type]
        other = None if keys is None else replace(keys, local_key=keys.remote_key, remote_key=keys.local_key)
        await client.set_remote(f"inner-{number}", Remote("127.0.0.1", inner[number + 1].port, codec, crypto=keys))
        await client.set_remote(f"inner-{number + 1}", Remote("127.0.0.1", inner[number].port, codec, crypto=other))
    await asyncio.gather(*(client.bridge(f"leg-{n}", f"inner-{n}") for n in range(legs)))


async def rooms(client: PlaneClient, legs: int, size: int) -> None:
    """Every session into a room of so many."""
    await asyncio.gather(*(client.open_room(f"room-{first}", tell_talkers=False) for first in range(0, legs, size)))
    await asyncio.gather(*(client.join(f"leg-{n}", f"room-{n // size * size}") for n in range(legs)))


async def compare(program: Path, folder: Path, options: argparse.Namespace, calls: int, suite: str) -> None:
    """The chain plain, then with the suite."""
    cost = {}
    for options.chain in ("none", suite):
        figures = await step(program, folder, options, calls, 0)
        cost[options.chain] = figures["us_per_packet"]
        write({"chain": options.chain, **figures})
    both = 2 * cost[suite] - cost["none"]
    write({"suite": suite, "plain_us": cost["none"], "srtp_both_legs_us": round(both, 2), "ratio": round(both / cost["none"], 2)})


async def transcode(program: Path, folder: Path, options: argparse.Namespace, calls: int, codec: str) -> None:
    """Milliseconds of CPU for a second of one call between G.711 and the codec, both ways."""
    options.chain, options.inner = "none", CODECS[codec]
    figures = await step(program, folder, options, calls, 0)
    per_call = 1000 * figures["core_share"] / calls / 2
    write(
        {"codec": codec, "calls_in_chains": calls, "core_share": figures["core_share"], "late_ticks": figures["late_ticks"]}
        | {"cpu_ms_per_second_of_call": round(per_call, 2), "calls_per_core": round(1000 / per_call)}
    )


async def step(program: Path, folder: Path, options: argparse.Namespace, calls: int, prompts: int) -> dict[str, Any]:
    """One load on a fresh plane."""
    legs = calls * 2 or prompts
    async with asyncio.timeout(LIMIT), plane_process(folder, "--cpus", str(options.plane_cpu), ports=PORTS) as plane:
        client = await PlaneClient.connect(plane.socket, deadline=20)
        seconds = str(options.warm), str(options.measure)
        command = ["nice", "-n", str(options.load_nice), "taskset", "-c", str(options.load_cpu), str(program), *seconds]
        load = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        assert load.stdin
        assert load.stdout
        ports = [int(port) for port in (await load.stdout.readline()).split()[1:]]
        codecs = ("PCMA", "PCMU") if options.convert else ("PCMA", "PCMA")
        remotes = [Remote("127.0.0.1", port, codec) for port, codec in zip(ports, codecs, strict=True)]  # type: ignore[arg-type]
        addresses = await sessions(client, legs, remotes)
        if options.chain:
            await chain(client, legs, options.chain, options.inner)
        if prompts:
            music = write_wav(folder / "music.wav", sine(440, 5000))
            await asyncio.gather(*(client.play(f"leg-{n}", "music", [music], loop=True) for n in range(legs)))
        else:
            if options.room:
                await rooms(client, legs, options.room)
            elif not options.chain:
                await asyncio.gather(*(client.bridge(f"leg-{n}", f"leg-{n + 1}") for n in range(0, legs, 2)))
            if options.record:
                await asyncio.gather(*(client.record(f"leg-{n}", "r", folder / f"{n}.wav", sides="stereo") for n in range(0, legs, 2)))
            speakers = range(0, legs, options.room) if options.one else range(legs)
            load.stdin.writelines(f"{'AB'[n % 2]} {addresses[n].port}\n".encode() for n in speakers)
        if options.first:
            first(load.pid, 2)
            first(plane.pid, 1)
        measured = [await client.statistics() async for _ in marks(load)]
        if options.first:
            first(load.pid, 0)
            first(plane.pid, 0)
        result = json.loads(await load.stdout.readline())
        if options.one:
            result["sent"] *= options.room - 1  # so many hear each
        elif options.room:
            result["got"] = 0  # what is mixed carries nobody's stamps
        await load.wait()
        await client.disconnect()
    return ({"room_of": options.room} if options.room else {}) | report(measured, result, calls, prompts)


def report(measured: Sequence[PlaneStatistics], result: dict[str, Any], calls: int, prompts: int) -> dict[str, Any]:
    before, after = measured
    packets, cpu_ms = after.packets_out - before.packets_out, after.cpu_ms - before.cpu_ms
    wall_ms = after.uptime_ms - before.uptime_ms
    microseconds = 1000 * cpu_ms / max(packets, 1)
    figures = {
        "calls" if calls else "prompts": calls or prompts,
        "packets_per_second": round(1000 * packets / wall_ms),
        "us_per_packet": round(microseconds, 2),
        "core_share": round(cpu_ms / wall_ms, 3),
        "per_core_at_this_cost": round(1e6 / microseconds / (100 if calls else 50)),
        "late_ticks": after.late_ticks - before.late_ticks,
        "load_late_ticks": result["late_ticks"],
    }
    if result["got"]:
        figures |= {"loss_percent": round(100 * (1 - result["got"] / result["sent"]), 4), "delay_us": result["delay_us"]}
    else:
        figures |= {"packets_heard": result["foreign"], "spacing_us": result["spacing_us"]}
    return figures


def write(figures: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


async def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--calls", type=int, nargs="*", default=[500, 1000, 2000])
    options.add_argument("--prompts", type=int, nargs="*", default=[])
    options.add_argument("--convert", action="store_true", help="A-law on one side, mu-law on the other")
    options.add_argument("--warm", type=float, default=2.0)
    options.add_argument("--measure", type=float, default=8.0)
    options.add_argument("--plane-cpu", type=int, default=0)
    options.add_argument("--load-cpu", type=int, default=min(1, (os.cpu_count() or 1) - 1))
    options.add_argument("--load-nice", type=int, default=0, help="where others share the machine, a negative one keeps the load on time")
    options.add_argument("--first", action="store_true", help="real-time priority for load and plane, where others use the machine too")
    options.add_argument("--room", type=int, default=0, metavar="SIZE", help="the sessions of the calls are in rooms of so many instead")
    options.add_argument("--one", action="store_true", help="one of each room speaks, the others hear it")
    options.add_argument("--record", action="store_true", help="every call, both sides")
    options.add_argument("--srtp", nargs="*", default=[], choices=list(SUITES), metavar="SUITE")
    options.add_argument("--codec", nargs="*", default=[], choices=list(CODECS))
    arguments = options.parse_args()
    arguments.chain, arguments.inner = "", AudioCodec.of("PCMA")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = build(folder)
        for suite in arguments.srtp:
            await compare(program, folder, arguments, arguments.calls[0], suite)
        for codec in arguments.codec:
            await transcode(program, folder, arguments, arguments.calls[0], codec)
        for calls in [] if arguments.prompts or arguments.srtp or arguments.codec else arguments.calls:
            write(await step(program, folder, arguments, calls, 0))
        for prompts in arguments.prompts:
            write(await step(program, folder, arguments, 0, prompts))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
