"""gRPC's poller thread never waits for a loop that has much to do.

`grpc.aio` has one thread a process that takes what the core has completed, puts it into a queue and writes one byte to a socket pair; the
loop takes one byte a turn and empties the queue. Under load bytes are left over; after 278 of them the pair is full, the thread blocks in
`write`, and from then on one completion comes through for each turn of the loop, however many wait: answers that were there in 2 ms were
heard after 10 s. A write that does not block loses nothing: the bytes that are in the pair wake the loop as well.

Invariant: grpc looks at no result of that write (`_unified_socket_write`), so that a full pair is no error to it.
"""

import socket
from typing import Any

import grpc.aio


def start() -> None:
    """In a process's loop, before its first channel or server: later ones use the same thread."""
    pair = socket.socketpair

    def made(*arguments: Any, **options: Any) -> tuple[socket.socket, socket.socket]:
        read, write = pair(*arguments, **options)
        write.setblocking(False)
        return read, write

    socket.socketpair = made
    try:
        grpc.aio.init_grpc_aio()  # type: ignore[attr-defined]
    finally:
        socket.socketpair = pair
