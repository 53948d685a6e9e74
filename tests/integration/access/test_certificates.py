"""A renewed certificate is shown to who comes from then on; a broken one is named and the old one stays."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gridsignal_services.reloading import read_files
from gridsignal_services.rest.asgi import HttpServer, application
from gridsignal_services.settings import ConfigError, ServerSettings
from tests.integration.gateway_stand import Stand


def issue(directory: Path) -> bytes:
    """A new key and certificate in the directory's files; the certificate's DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    signed = made.sign(key, SHA256())
    (directory / "c.pem").write_bytes(signed.public_bytes(Encoding.PEM))
    (directory / "k.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return signed.public_bytes(Encoding.DER)


async def shown(address: tuple[str, int]) -> bytes:
    """The certificate that somebody who connects is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(*address, ssl=context)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return bytes(found)


def settings(directory: Path) -> ServerSettings:
    return ServerSettings(directory=directory, tls_certificate=directory / "c.pem", tls_key=directory / "k.pem")


async def test_a_rest_door_shows_the_renewed_certificate(tmp_path: Path) -> None:
    first = issue(tmp_path)
    server = HttpServer(application(title="t", version="1"), settings(tmp_path), 0)
    server.listen()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve())
        assert await shown(server.address) == first
        second = issue(tmp_path)
        server.renew_certificate()
        assert await shown(server.address) == second
        server.stop()


async def test_the_gateway_shows_the_renewed_certificate(tmp_path: Path) -> None:
    first = issue(tmp_path)
    files = {"tls_certificate": tmp_path / "c.pem", "tls_key": tmp_path / "k.pem"}
    async with Stand.open(tmp_path, **files) as stand:
        assert await shown(stand.gateway.address) == first
        second = issue(tmp_path)
        stand.gateway.renew_certificate()
        assert await shown(stand.gateway.address) == second


def broken(directory: Path, how: str) -> None:
    issue(directory)
    if how == "c.pem is gone" or how == "k.pem is gone":
        (directory / how.split()[0]).unlink()
    elif how == "no PEM":
        (directory / "c.pem").write_text("certificate")
    else:
        old = (directory / "k.pem").read_bytes()
        issue(directory)
        (directory / "k.pem").write_bytes(old)


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ("c.pem is gone", "tls_certificate: expected a readable PEM file at"),
        ("k.pem is gone", "tls_key: expected a readable PEM file at"),
        ("no PEM", "tls_certificate: expected a certificate in"),
        ("another key", "tls_certificate: expected a certificate in"),
    ],
)
def test_a_certificate_that_can_not_be_used_is_named(tmp_path: Path, how: str, named: str) -> None:
    broken(tmp_path, how)
    with pytest.raises(ConfigError) as refused:
        read_files(settings(tmp_path))
    (line,) = refused.value.faults
    assert line.startswith(named)
    assert str(tmp_path) in line
