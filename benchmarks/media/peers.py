"""Our relay beside others in one run: a bare epoll relay without any logic (the floor) and rtpengine, each alone on the same core in turn.

    python benchmarks/media/peers.py --calls 500 --rounds 3
    python benchmarks/media/peers.py --calls 500 --rtpengine /usr/bin/rtpengine      # Debian's package rtpengine-daemon, in user space
    python benchmarks/media/peers.py --prompts 1000         # prompts beside a bare sender of the same packets

One line of JSON a step: CPU of the whole process for one packet received and sent on, loss, added delay. Then the medians and what they
are to ours: figures of one run can be compared with one another, whoever else uses the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

from relay import PORTS, build, first, marks, sessions, write

from carillon_rtp.client import PlaneClient, Remote
from carillon_rtp.testing import plane_process, sine, write_wav

DEADLINE = 60.0  # seconds for the set-up of a step
LOW, HIGH = PORTS

#: The ports of the legs, side A and side B in turn, and the process whose CPU counts.
Relay = tuple[list[int], int]
Start = Callable[[Sequence[int], int], AbstractAsyncContextManager[Relay]]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def end(process: Process) -> None:
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.wait(), DEADLINE)


def ours(folder: Path, cpu: int, music: Path | None = None) -> Start:
    """The media plane, as a relay or, of this file, as a player."""

    @asynccontextmanager
    async def start(ports: Sequence[int], calls: int) -> AsyncIterator[Relay]:
        async with plane_process(folder, "--cpus", str(cpu), ports=PORTS) as plane:
            client = await PlaneClient.connect(plane.socket, deadline=20, within=20)
            addresses = await sessions(client, 2 * calls, [Remote("127.0.0.1", port, "PCMA") for port in ports])
            if music:
                await asyncio.gather(*(client.play(f"leg-{n}", "music", [music], loop=True) for n in range(2 * calls)))
            else:
                await asyncio.gather(*(client.bridge(f"leg-{n}", f"leg-{n + 1}") for n in range(0, 2 * calls, 2)))
            yield [address.port for address in addresses], plane.pid
            await client.disconnect()

    return start


def floor(program: Path, cpu: int, *mode: str) -> Start:
    """The bare relay, or with `plays` the bare sender."""

    @asynccontextmanager
    async def start(ports: Sequence[int], calls: int) -> AsyncIterator[Relay]:
        process = await asyncio.create_subprocess_exec("taskset", "-c", str(cpu), str(program), *mode, stdin=PIPE, stdout=PIPE)
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"A {ports[0]} B {ports[1]} {calls}\n".encode())
        lines = [await process.stdout.readline() for _ in range(2 * calls + 1)]
        assert lines.pop() == b"ready\n"
        yield [int(line) for line in lines], process.pid
        await end(process)

    return start


def bencode(value: object) -> bytes:
    """What rtpengine's control protocol ("ng") is written in."""
    match value:
        case int():
            return b"i%de" % value
        case str():
            return b"%d:%s" % (len(value.encode()), value.encode())
        case list():
            return b"l" + b"".join(bencode(part) for part in value) + b"e"
        case dict():
            return b"d" + b"".join(bencode(key) + bencode(part) for key, part in value.items()) + b"e"
        case _:
            raise TypeError(value)


class Ng:
    """One request after another to rtpengine's control port."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(1.0)
        self._socket.connect(("127.0.0.1", port))
        self._number = 0

    def ask(self, **request: object) -> bytes:
        """The bencoded answer. Raises OSError where nobody answers."""
        self._number += 1
        cookie = f"{self._number} ".encode()
        self._socket.send(cookie + bencode(request))
        while not (answer := self._socket.recv(65536)).startswith(cookie):
            pass
        return answer

    def media(self, verb: str, call: int, port: int) -> int:
        """Offers or answers; the port that the other side is to send to."""
        sdp = (
            f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
        )
        tags = {"from-tag": "a", "to-tag": "b"} if verb == "answer" else {"from-tag": "a"}
        rest: dict[str, object] = {
            "call-id": f"call-{call}",
            "sdp": sdp,
            "ICE": "remove",
            "replace": ["origin", "session-connection"],
            **tags,
        }
        answer = self.ask(command=verb, **rest)
        return int(answer.split(b"m=audio ")[1].split()[0])


def rtpengine(program: str, cpu: int) -> Start:
    """rtpengine in user space with one thread, without its kernel module."""

    @asynccontextmanager
    async def start(ports: Sequence[int], calls: int) -> AsyncIterator[Relay]:
        control = 2223
        options = ["--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{control}", "--foreground", "--table=-1", "--num-threads=1"]
        options += [f"--port-min={LOW}", f"--port-max={HIGH}", "--log-level=1", "--log-stderr"]
        command = ["taskset", "-c", str(cpu), program, *options]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            ng = Ng(control)
            async with asyncio.timeout(DEADLINE):
                while True:
                    try:
                        await asyncio.to_thread(ng.ask, command="ping")
                        break
                    except OSError:
                        await asyncio.sleep(0.1)
            legs = []
            for call in range(calls):
                for_b = await asyncio.to_thread(ng.media, "offer", call, ports[0])
                for_a = await asyncio.to_thread(ng.media, "answer", call, ports[1])
                legs += [for_a, for_b]
            yield legs, process.pid
        finally:
            await end(process)

    return start


async def step(program: Path, options: argparse.Namespace, start: Start) -> dict[str, Any]:
    """One load through one relay."""
    command = ["taskset", "-c", str(options.load_cpu), str(program), str(options.warm), str(options.measure)]
    load = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    assert load.stdin
    assert load.stdout
    ports = [int(port) for port in (await load.stdout.readline()).split()[1:]]
    async with start(ports, options.calls) as (legs, pid):
        if not options.prompts:
            load.stdin.writelines(f"{'AB'[n % 2]} {port}\n".encode() for n, port in enumerate(legs))
        if options.first:
            first(load.pid, 2)
            first(pid, 1)
        before, after = [cpu_seconds(pid) async for _ in marks(load)]
        if options.first:
            first(load.pid, 0)
            first(pid, 0)
        result = json.loads(await load.stdout.readline())
    await load.wait()
    if options.prompts:
        figures = {"us_per_packet": round(1e6 * (after - before) / max(result["foreign"], 1), 2), "spacing_us": result["spacing_us"]}
        return figures | {"packets_heard": result["foreign"], "load_late_ticks": result["late_ticks"]}
    return {
        "us_per_packet": round(1e6 * (after - before) / max(result["got"], 1), 2),
        "loss_percent": round(100 * (1 - result["got"] / result["sent"]), 4),
        "delay_us": result["delay_us"],
        "load_late_ticks": result["late_ticks"],
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--prompts", type=int, default=0, help="so many prompts at once instead of calls")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm", type=float, default=2.0)
    parser.add_argument("--measure", type=float, default=8.0)
    parser.add_argument("--relay-cpu", type=int, default=0)
    parser.add_argument("--load-cpu", type=int, default=min(1, (os.cpu_count() or 1) - 1))
    parser.add_argument("--first", action="store_true", help="real-time priority for load and relays, where others use the machine too")
    parser.add_argument("--rtpengine", default=shutil.which("rtpengine") or "", help="where it is; without it the others run alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program, bare = build(folder), build(folder, "floor")
        cpu = options.relay_cpu
        options.calls = options.prompts // 2 or options.calls
        music = write_wav(folder / "music.wav", sine(440, 5000)) if options.prompts else None
        plays = ("plays",) if options.prompts else ()
        relays = {
            "ours": ours(folder, cpu, music),
            "floor": floor(bare, cpu, *plays),
            "floor, connected": floor(bare, cpu, *plays, "connected"),
        }
        if options.rtpengine and not options.prompts:
            relays["rtpengine"] = rtpengine(options.rtpengine, cpu)
        costs: dict[str, list[float]] = {relay: [] for relay in relays}
        for _ in range(options.rounds):
            for relay, start in relays.items():
                figures = await step(program, options, start)
                costs[relay].append(figures["us_per_packet"])
                write({"relay": relay, "prompts" if options.prompts else "calls": options.prompts or options.calls, **figures})
    medians = {relay: median(found) for relay, found in costs.items()}
    write({relay: {"us_per_packet": cost, "times_ours": round(cost / medians["ours"], 2)} for relay, cost in medians.items()})


if __name__ == "__main__":
    asyncio.run(main())
