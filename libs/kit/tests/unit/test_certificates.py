"""Self-signed certificates name their hosts, and OpenSSL believes them when told to."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from carillon_kit.certificates import covers, self_signed, write_self_signed

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_it_names_every_host_and_is_valid_now() -> None:
    chain, _ = self_signed(["pbx.example", "192.0.2.1", "::1", "pbx.example"], NOW)
    certificate = x509.load_pem_x509_certificate(chain)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["pbx.example"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1", "::1"]
    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc


def test_the_files_are_a_chain_and_a_key_that_only_the_owner_reads(tmp_path: Path) -> None:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    write_self_signed(chain, key, ["localhost"], NOW)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key)
    assert key.stat().st_mode & 0o077 == 0


def test_it_covers_its_hosts_as_long_as_it_is_valid() -> None:
    chain, _ = self_signed(["pbx.example", "192.0.2.1"], NOW, days=90)
    assert covers(chain, ["192.0.2.1", "pbx.example"], NOW)
    assert not covers(chain, ["192.0.2.1", "192.0.2.2"], NOW)
    assert not covers(chain, ["pbx.example"], NOW + timedelta(days=61))
    assert not covers(b"nothing", ["pbx.example"], NOW)


def test_a_certificate_for_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="host"):
        self_signed([], NOW)
