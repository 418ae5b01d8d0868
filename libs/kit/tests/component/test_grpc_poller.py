"""gRPC's answers come through however much a loop has to do. Each process has one poller, hence this file is a program too."""

import asyncio
import subprocess
import sys
import time
from typing import IO

import grpc.aio
import pytest

from carillon_kit import grpc_poller

CALLS = 1000


def say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def serve() -> None:
    """Says its port, and when it has answered all."""
    answered = 0

    async def echo(request: bytes, context: object) -> bytes:
        nonlocal answered
        answered += 1
        if answered == CALLS:
            say("all")
        return request

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.T", {"Echo": grpc.unary_unary_rpc_method_handler(echo)}),))
    say(server.add_insecure_port("127.0.0.1:0"))
    await server.start()
    await server.wait_for_termination()


async def turns(told: IO[bytes]) -> int:
    """Turns of a busy loop in which it hears all answers, which came while it was busy with something else."""
    grpc_poller.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{int(told.readline())}") as channel:
        await channel.channel_ready()
        echo = channel.unary_unary("/t.T/Echo", request_serializer=None, response_deserializer=None)
        heard = asyncio.gather(*[echo(b"") for _ in range(CALLS)])
        await asyncio.sleep(0)
        told.readline()
        count = 0
        while not heard.done():
            count += 1
            be_busy()
            await asyncio.sleep(0)
    return count


def be_busy() -> None:
    time.sleep(0.01)


@pytest.mark.feature("P-10")
def test_answers_that_are_there_are_heard_together_and_not_one_in_each_turn_of_the_loop() -> None:
    ran = subprocess.run([sys.executable, __file__, "turns"], capture_output=True, text=True, timeout=55, check=True)
    assert int(ran.stdout) < CALLS // 2


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve())
    else:
        with subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            say(asyncio.run(turns(server.stdout)))
            server.kill()
