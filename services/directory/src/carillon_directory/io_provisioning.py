"""The HTTP door of provisioning: `/p/<secret>/<file>`, or `/p/<file>` with a user and a password (RFC 7617) or a client's certificate.

Always: everything that is not a file for this very device is 404 without a body, or 401 for who has proved nothing yet; a request has
no body that is read, and a path a limit.
"""

import base64
import binascii
from urllib.parse import unquote

from carillon_directory.domain.provisioning.forms import File
from carillon_directory.provisioning import Asked, Provisioning
from carillon_kit.browsers import App, Receive, Scope, Send
from carillon_kit.logs import get_logger

_LONGEST_PATH = 300
_log = get_logger("provisioning")


def app(provisioning: Provisioning, *, trust_forwarded: bool) -> App:
    """The ASGI application. `trust_forwarded`: the peer is our own ingress, which says who asks in X-Forwarded-For."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        asked = _asked(scope, trust_forwarded) if scope["method"] in ("GET", "HEAD") else None
        file: File | None = None
        challenge: list[tuple[bytes, bytes]] = []
        if asked is not None:
            try:
                file = await provisioning.file(asked)
                if file is None and not asked.secret and not await provisioning.proves(asked.certificate):
                    challenge = [(b"www-authenticate", b'Basic realm="provisioning"')]
            except Exception as error:  # noqa: BLE001  (a server's edge: a phone asks again by itself)
                _log.error("a phone's file could not be made", file=asked.file, error=f"{type(error).__name__}: {error}")
                await _answer(send, 503, [(b"retry-after", b"60")])
                return
        if file is None:
            await _answer(send, 401 if challenge else 404, challenge)
            return
        body = b"" if scope["method"] == "HEAD" else file.body
        length = str(len(file.body)).encode()
        headers = [(b"content-type", file.content_type.encode()), (b"content-length", length), (b"cache-control", b"no-store")]
        await _answer(send, 200, headers, body)

    return serve


def _asked(scope: Scope, trust_forwarded: bool) -> Asked | None:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    path = scope["path"]
    if len(path) > _LONGEST_PATH or not path.startswith("/p/"):
        return None
    source = scope["client"][0] if scope["client"] else ""
    if trust_forwarded and (forwarded := headers.get("x-forwarded-for")):
        source = forwarded.rpartition(",")[2].strip()[:64]
    secret, slash, file = unquote(path[3:]).partition("/")
    user = ""
    if not slash:
        file = secret
        user, secret = _basic(headers.get("authorization", ""))
    shown = scope.get("extensions", {}).get("tls", {}).get("client_cert_chain") or [""]
    return Asked(secret, user, file, source, headers.get("user-agent", ""), str(shown[0]))


def _basic(header: str) -> tuple[str, str]:
    kind, _, value = header.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
