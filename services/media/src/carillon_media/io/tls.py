"""TLS for SIP: our certificate from files, taken up anew when they change, and what is asked of others' certificates.

Invariant: TLS 1.2 at least; a handshake always has a certificate that could be loaded: files that are broken leave the last one in use.
"""

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path

from carillon_kit.logs import get_logger

_log = get_logger(__name__)
_Signature = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: our chain and its key; `client_authority`: who must have signed the certificates of those that connect to us (None: not
    asked for); `authority`: who must have signed the servers' that we connect to (None: the system's list)."""

    certificate: Path | None = None
    key: Path | None = None
    client_authority: Path | None = None
    authority: Path | None = None
    #: Servers that we connect to must prove their name (RFC 5922).
    verify: bool = True


class Certificates:
    """Contexts for both directions. Raises OSError or ssl.SSLError when made from files that cannot be loaded; run `watch` as a task."""

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._signature = self._sign()
        self._server, self._client = self._load()

    @property
    def server(self) -> ssl.SSLContext | None:
        """For connections of others; None without a certificate."""
        return self._server

    @property
    def client(self) -> ssl.SSLContext:
        """For connections of our own."""
        return self._client

    async def watch(self, seconds: float) -> None:
        """Look at the files every so often; connections that are up keep what they have."""
        while True:
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self.refresh)

    def refresh(self) -> bool:
        """Take the files up if they have changed; whether they were."""
        signature = self._sign()
        if signature == self._signature:
            return False
        self._signature = signature
        try:
            self._server, self._client = self._load()
        except (OSError, ValueError) as error:
            _log.error("the new TLS certificate cannot be used, the old one stays", error=str(error))
            return False
        _log.info("TLS certificate taken up anew", file=str(self._files.certificate))
        return True

    def _sign(self) -> _Signature:
        """What changes when a file does; links are followed, as secrets of Kubernetes are swapped by them."""
        files = (self._files.certificate, self._files.key, self._files.client_authority, self._files.authority)
        found = []
        for path in files:
            try:
                status = path.stat() if path is not None else None
            except OSError:
                status = None
            found.append((status.st_mtime_ns, status.st_size, status.st_ino) if status is not None else (0, 0, 0))
        return tuple(found)

    def _load(self) -> tuple[ssl.SSLContext | None, ssl.SSLContext]:
        files = self._files
        client = ssl.create_default_context(cafile=files.authority)
        client.minimum_version = ssl.TLSVersion.TLSv1_2
        if not files.verify:
            client.check_hostname = False
            client.verify_mode = ssl.CERT_NONE
        if files.certificate is None:
            return None, client
        # Carriers that ask for our certificate get it; without a question it is not sent.
        client.load_cert_chain(files.certificate, files.key)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.minimum_version = ssl.TLSVersion.TLSv1_2
        server.options |= ssl.OP_NO_RENEGOTIATION
        server.load_cert_chain(files.certificate, files.key)
        if files.client_authority is not None:
            server.load_verify_locations(files.client_authority)
            server.verify_mode = ssl.CERT_REQUIRED
        return server, client
