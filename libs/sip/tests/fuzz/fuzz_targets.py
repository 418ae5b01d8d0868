"""Coverage-guided fuzzing with atheris: `fuzz_targets.py TARGET [libFuzzer options]`, one target a process; exit code 0: no finding.

The seeds are the torture messages, cut to what the target reads. A finding is written where -artifact_prefix says; it belongs into
tests/torture/findings as TARGET-what.dat, where every test run tries it again.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["carillon_sip"]):
    from carillon_sip.testing import SDP, invariants, request_text

TORTURE = Path(__file__).parent.parent / "torture"
TARGETS: dict[str, Callable[[bytes], None]] = {
    "message": invariants.message,
    "stream": invariants.stream,
    "sdp": invariants.sdp,
    "uri": invariants.uri,
    "digest": invariants.digest,
    "headers": invariants.headers,
    "user_agent": invariants.user_agent,
}
#: A call, and what may come within it.
DIALOG = (
    b"\xfe"
    + request_text(body=SDP.decode(), extra="Content-Type: application/sdp\r\nSupported: 100rel, timer\r\n").encode()
    + b"".join(
        b"\n--\n"
        + request_text(method, branch=f"z9hG4bK{number}", cseq=number, extra=extra)
        .replace("bob@example.com>", "bob@example.com>;tag=$TAG")
        .encode()
        for number, (method, extra) in enumerate(
            [
                ("PRACK", "RAck: 1 1 INVITE\r\n"),
                ("ACK", ""),
                ("INFO", ""),
                ("UPDATE", "Session-Expires: 90;refresher=uac\r\n"),
                ("REFER", "Refer-To: <sip:x@y?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>\r\n"),
                ("INVITE", ""),
                ("BYE", ""),
            ],
            start=2,
        )
    )
)
CREDENTIALS = (
    b'Digest username="alice", realm="realm", nonce="n", uri="sip:x", response="0", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="c"',
    b'Digest realm="realm", nonce="n", opaque="o\\"", algorithm=MD5, qop="auth,auth-int", stale=true',
)


def seeds(target: str) -> Iterator[bytes]:
    """What a target starts from."""
    if target == "digest":
        yield from CREDENTIALS
        return
    if target == "user_agent":
        yield from (bytes([kind]) + DIALOG[1:] for kind in (0x02, 0x80, 0xFE))
    for path in sorted(TORTURE.glob("*/*.dat")):
        data = path.read_bytes()
        head, _, body = data.partition(b"\r\n\r\n")
        if target in ("stream", "user_agent"):
            yield b"\x07" + data
            yield b"\xff" + data
        elif target == "sdp":
            yield body
        elif target == "headers":
            yield head.partition(b"\r\n")[2]
            yield from (line.partition(b":")[2].strip() for line in head.split(b"\r\n")[1:] if line[:1] in b"FTVfvtCc")
        elif target == "uri":
            yield from (line.partition(b":")[2].strip() for line in head.split(b"\r\n")[1:] if b"sip:" in line)
            yield b" ".join(head.partition(b"\r\n")[0].split(b" ")[1:-1])
        else:
            yield data


def main() -> None:
    """Write the seeds into a folder of their own and run until libFuzzer's limits are reached."""
    target, *options = sys.argv[1:]
    atheris.enabled_hooks.add("RegEx")
    with tempfile.TemporaryDirectory(prefix="carillon-fuzz-") as folder:
        for number, seed in enumerate(seeds(target)):
            (Path(folder) / str(number)).write_bytes(seed)
        words = f"-dict={Path(__file__).with_name('sip.dict')}"
        atheris.Setup([sys.argv[0], words, "-max_len=4096", "-timeout=10", "-rss_limit_mb=1024", *options, folder], TARGETS[target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
