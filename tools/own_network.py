"""A network of its own for each process that runs tests: two of them side by side take no port from each other.

As a command it prints the options that pytest needs for two processes, or nothing where this user may not make a network
(Linux, root): the tests then run one after the other in one process.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1  # linux/sockios.h, linux/if.h


def enter_own_network() -> None:
    """Move this process and what it starts from here on into a new network namespace whose loopback is up.

    Raises `OSError` where that is not allowed.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "no network namespace of our own")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16xH14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))[0]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


if __name__ == "__main__":
    try:
        enter_own_network()
    except (OSError, AttributeError) as error:
        sys.stderr.write(f"the tests run one after the other: {error}\n")
    else:
        if (os.cpu_count() or 1) > 1:
            sys.stdout.write("-n 2\n")
