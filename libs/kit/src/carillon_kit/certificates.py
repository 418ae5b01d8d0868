"""Self-signed TLS certificates for machines that have none of their own: demonstrations and tests.

Invariant: a certificate names exactly the hosts it was made for, and its key is made with it and kept nowhere else.
"""

import ipaddress
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: Clocks of phones are not always right.
_BACKDATED = timedelta(days=1)
_RENEWED = timedelta(days=30)


def self_signed(hosts: Sequence[str], now: datetime, days: int = 3650) -> tuple[bytes, bytes]:
    """A certificate for names and IP addresses, the first being its subject, and its P-256 key, both PEM; raises ValueError without hosts.

    It is its own authority, so whoever is given it can check it.
    """
    if not hosts:
        raise ValueError("a certificate needs a host")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in dict.fromkeys(hosts)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    certificate = builder.sign(key, hashes.SHA256())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(serialization.Encoding.PEM), pem


def write_self_signed(certificate: Path, key: Path, hosts: Sequence[str], now: datetime) -> None:
    """`self_signed` as files, the key for its owner's eyes only; raises OSError."""
    chain, secret = self_signed(hosts, now)
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(secret)
    certificate.write_bytes(chain)


def covers(chain: bytes, hosts: Sequence[str], now: datetime) -> bool:
    """Whether a PEM certificate names all these hosts and is valid for another month; False for what is no certificate."""
    try:
        certificate = x509.load_pem_x509_certificate(chain)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    valid = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - _RENEWED
    return valid and all(_general_name(host) in names for host in hosts)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
