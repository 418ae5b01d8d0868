"""baresip over TLS calls phones over UDP and TLS, both ways; OpenSSL checks our certificate, which is renewed while the system runs."""

import asyncio
import contextlib
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest

from carillon_cli.phone.baresip import Account, Baresip, BaresipError
from carillon_kit.certificates import write_self_signed
from strangers.system import System, until

pytestmark = pytest.mark.feature("M-1", "M-3")

ALAIN_HZ, ELISE_HZ = 700, 1300
Transport = Literal["udp", "tcp", "tls"]


async def holds(condition: Callable[[], Any], what: str, seconds: float = 20) -> None:
    """Wait until the condition holds, letting the phones' events through."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"{what}: not within {seconds} s")


@asynccontextmanager
async def phone(system: System, extension: str, hz: int, transport: Transport, authority: Path | None = None) -> AsyncIterator[Baresip]:
    user = system.user(extension)
    folder = Path(tempfile.mkdtemp(prefix="baresip-"))
    one = await Baresip.start(folder, hz, authority=authority)
    try:
        await one.register(Account(user["sip_user"], user["sip_password"], system.tenant["realm"], system.address(transport), transport))
        yield one
    except BaresipError as error:
        log = (folder / "baresip.log").read_text(errors="replace")
        raise BaresipError(f"{error}\n{log[-3000:]}\n{system.log()[-3000:]}") from error
    finally:
        await one.stop()
        one.forget()


@pytest.mark.parametrize(("caller", "callee"), [("tls", "udp"), ("udp", "tls"), ("tls", "tls")])
async def test_both_hear_the_other(system: System, caller: Transport, callee: Transport) -> None:
    known = system.call_ids()
    trusted = Path(system.run["sip"]["tls_certificate"])
    async with phone(system, "102", ALAIN_HZ, caller, trusted) as alain, phone(system, "106", ELISE_HZ, callee, trusted) as elise:
        await alain.command("dial", f"sip:106@{system.tenant['realm']}")
        await elise.until_event("CALL_INCOMING")
        await elise.command("accept")
        await alain.until_event("CALL_ESTABLISHED")
        await holds(lambda: alain.heard().tone_seconds(ELISE_HZ) >= 2, "Alain hears Élise")
        await holds(lambda: elise.heard().tone_seconds(ALAIN_HZ) >= 2, "Élise hears Alain")
        for ear, tone in ((alain, ELISE_HZ), (elise, ALAIN_HZ)):
            heard = ear.heard()
            assert heard.tone_seconds(tone) > 0.8 * heard.total, str(heard)
        # The one that hangs up is the one that was called: its BYE reaches the caller over the caller's own connection.
        await elise.command("hangup")
        await alain.until_event("CALL_CLOSED")
    (record,) = await asyncio.to_thread(system.new_records, known, 1)
    assert (record["status"], record["answered_by"], record["ended_by"]) == ("answered", "elise", "callee")


REQUEST = (
    "OPTIONS sip:x@carillon SIP/2.0\r\nVia: SIP/2.0/TLS phone.invalid;rport;branch=z9hG4bKopenssl\r\nFrom: <sip:a@b>;tag=1\r\n"
    "To: <sip:x@carillon>\r\nCall-ID: openssl\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


def openssl(system: System, *options: str) -> str:
    """What OpenSSL's own client, which checks certificates (baresip 1.0 does not), says and gets for an OPTIONS."""
    host, port = system.address("tls")
    command = ["openssl", "s_client", "-connect", f"{host}:{port}", "-verify_return_error", "-brief", "-ign_eof", *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(REQUEST.encode())
            process.stdin.flush()
        seen = b""
        while not seen.endswith(b"\r\n\r\n") and (more := os.read(process.stdout.fileno(), 4096)):
            seen += more
        return seen.decode(errors="replace")
    finally:
        process.kill()
        process.wait()


def test_openssl_finds_our_name_and_nothing_older_than_tls_1_2(system: System) -> None:
    trusted = system.run["sip"]["tls_certificate"]
    seen = openssl(system, "-CAfile", trusted, "-verify_ip", "127.0.0.1")
    assert "SIP/2.0 200 OK" in seen, seen
    assert "TLSv1.3" in seen
    assert "TLSv1.2" in openssl(system, "-CAfile", trusted, "-verify_hostname", system.tenant["realm"], "-tls1_2")
    assert "200 OK" not in openssl(system, "-CAfile", trusted, "-verify_hostname", "other.example")
    assert "200 OK" not in openssl(system, "-CAfile", trusted, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")


def test_a_new_certificate_is_taken_up_while_the_system_runs(system: System) -> None:
    chain = Path(system.run["sip"]["tls_certificate"])
    before, key, old_key = chain.read_bytes(), chain.with_name("key.pem"), chain.with_name("key.pem").read_bytes()
    try:
        write_self_signed(chain, key, ["renewed.example"], datetime.now(UTC))
        until(lambda: "200 OK" in openssl(system, "-CAfile", str(chain), "-verify_hostname", "renewed.example"), "the new certificate", 30)
    finally:
        key.write_bytes(old_key)
        chain.write_bytes(before)
    until(lambda: "200 OK" in openssl(system, "-CAfile", str(chain), "-verify_ip", "127.0.0.1"), "the old certificate", 30)
