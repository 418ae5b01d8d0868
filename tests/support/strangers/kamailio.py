"""Kamailio as an independent SIP server: one process with a configuration, ended by its process id."""

import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from carillon_kit.embedded import free_port
from strangers.system import until

BINARY = shutil.which("kamailio") or shutil.which("kamailio", path="/usr/sbin")
PING = (
    b"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKready\r\nFrom: <sip:a@b>;tag=1\r\n"
    b"To: <sip:127.0.0.1>\r\nCall-ID: ready\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)

needs_kamailio = pytest.mark.skipif(BINARY is None, reason="kamailio is not installed: tools/setup installs it")


def answers(address: tuple[str, int]) -> bool:
    """Whether a SIP server there answers an OPTIONS at all."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.5)
        probe.sendto(PING, address)
        try:
            return probe.recv(4096).startswith(b"SIP/2.0")
        except OSError:
            return False


@contextmanager
def kamailio(
    configuration: Path, ip: str, files: dict[str, str], *defines: str, port: int | None = None, tls_port: int | None = None
) -> Iterator[tuple[str, int]]:
    """A running Kamailio's address, over UDP and TCP (and TLS at `tls_port`). `files` lie in its folder, whose path stands for `{folder}`
    in `defines`."""
    assert BINARY is not None
    folder = Path(tempfile.mkdtemp(prefix="kamailio-"))
    address = ip, port or free_port(ip)
    for name, text in files.items():
        (folder / name).write_text(text)
    command = [BINARY, "-DD", "-E", "-f", str(configuration), "-Y", str(folder), "-P", str(folder / "pid")]
    for transport in ("udp", "tcp"):
        command += ["-l", f"{transport}:{ip}:{address[1]}"]
    if tls_port:
        command += ["-l", f"tls:{ip}:{tls_port}"]
    for define in defines:
        command += ["-A", define.format(folder=folder)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        until(lambda: process.poll() is not None or answers(address), "kamailio", 30)
        assert process.poll() is None, (folder / "log").read_text(errors="replace")[-3000:]
        yield address
    except BaseException as error:
        error.add_note((folder / "log").read_text(errors="replace")[-3000:])
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
