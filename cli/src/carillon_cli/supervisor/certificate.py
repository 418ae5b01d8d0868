"""The certificate of SIP over TLS: the operator's own, or a self-signed one that is made once and kept.

Always: a certificate of the operator's is never written to; our own is made anew only when it does not name this machine or runs out.
"""

from collections.abc import Sequence
from datetime import datetime

from carillon_cli.errors import CliError
from carillon_cli.supervisor.layout import Folders, TlsFiles
from carillon_kit.certificates import covers, write_self_signed


def kept_certificate(folders: Folders, hosts: Sequence[str], now: datetime) -> TlsFiles:
    """The self-signed certificate of this data folder; phones are given it as their authority. Raises `CliError`."""
    files = TlsFiles(folders.tls / "certificate.pem", folders.tls / "key.pem")
    try:
        folders.tls.mkdir(parents=True, exist_ok=True)
        known = files.certificate.exists() and files.key.exists() and covers(files.certificate.read_bytes(), hosts, now)
        if not known:
            write_self_signed(files.certificate, files.key, hosts, now)
    except OSError as error:
        raise CliError(f"no certificate can be made in {folders.tls}: {error.strerror}") from error
    return files
