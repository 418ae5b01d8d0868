"""Certificates that phones show: whose they are, and by which authority.

Always: the TLS layer has checked that the client has the key and that some authority of ours signed; which one it was, and so for which
makers' phones it counts, is found here. An authority in a file signs directly: intermediate ones stand in the file themselves.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

_MAC = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}[:-]?){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f])")
#: Where makers write a device's MAC; the first that holds one counts.
_NAMES = (NameOID.COMMON_NAME, NameOID.SERIAL_NUMBER)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a certificate proves: the MAC (twelve digits, lower case), and the makers (`*`: any) whose authority says so."""

    mac: str
    makers: frozenset[str]


class DeviceCertificates:
    """The authorities by maker. Raises `OSError` and `ValueError` for a file that cannot be read."""

    def __init__(self, files: Iterable[tuple[str, Path]]) -> None:
        found: dict[str, list[x509.Certificate]] = defaultdict(list)
        for maker, path in files:
            found[maker] += x509.load_pem_x509_certificates(path.read_bytes())
        self._authorities: Mapping[str, Sequence[x509.Certificate]] = dict(found)

    def shown(self, pem: str) -> Shown | None:
        """None: it proves nothing here."""
        try:
            certificate = x509.load_pem_x509_certificate(pem.encode())
            mac = _mac(certificate)
        except ValueError:
            return None
        makers = frozenset(maker for maker, known in self._authorities.items() if any(_signed(certificate, each) for each in known))
        return Shown(mac, makers) if mac and makers else None


def _mac(certificate: x509.Certificate) -> str:
    """Of the subject; empty: it holds none, or several."""
    for name in _NAMES:
        texts = [str(each.value) for each in certificate.subject.get_attributes_for_oid(name)]
        found = {re.sub("[:-]", "", mac).lower() for text in texts for mac in _MAC.findall(text)}
        if found:
            return found.pop() if len(found) == 1 else ""
    return ""


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
