"""Certificates that phones show."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from carillon_directory.adapters.device_certificates import DeviceCertificates, Shown

NOW = datetime(2026, 1, 5, tzinfo=UTC)
#: The curve P-256 (RFC 5480, 2.1.1.1) in DER, and one that is not supported.
KNOWN, UNKNOWN = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d030105")


def certificate(name: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, "Maker CA"))
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    return builder.serial_number(7).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1)).sign(by, hashes.SHA256())


@pytest.mark.feature("D-10")
def test_an_authority_whose_key_cannot_be_used_proves_nothing(tmp_path: Path) -> None:
    authority, phone = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    good = certificate("Maker CA", authority, authority)
    strange = x509.load_der_x509_certificate(good.public_bytes(serialization.Encoding.DER).replace(KNOWN, UNKNOWN))
    for name, each in (("good", good), ("strange", strange)):
        (tmp_path / f"{name}.pem").write_bytes(each.public_bytes(serialization.Encoding.PEM))
    shown = certificate("001565aabbcc", phone, authority).public_bytes(serialization.Encoding.PEM).decode()
    both = DeviceCertificates([("snom", tmp_path / "strange.pem"), ("yealink", tmp_path / "good.pem")])
    assert both.shown(shown) == Shown("001565aabbcc", frozenset({"yealink"}))
    assert DeviceCertificates([("snom", tmp_path / "strange.pem")]).shown(shown) is None
