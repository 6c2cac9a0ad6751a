"""What the wss baseline needs: a private authority, Ed25519 certificates of both sides, TLS 1.3 contexts from them."""

import datetime
import ipaddress
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOST = "127.0.0.1"
LIFE = datetime.timedelta(days=1)


def mutual_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's and the client's context: TLS 1.3 only, each side verifies the other against the same authority."""
    ca_key = Ed25519PrivateKey.generate()
    ca = _certificate("bench authority", ca_key, ca_key, "bench authority", is_ca=True)
    with tempfile.TemporaryDirectory() as folder:
        server = _context(ssl.PROTOCOL_TLS_SERVER, Path(folder), "server", ca, ca_key)
        client = _context(ssl.PROTOCOL_TLS_CLIENT, Path(folder), "client", ca, ca_key)
    return server, client


def _context(protocol: int, folder: Path, name: str, ca: x509.Certificate, ca_key: Ed25519PrivateKey) -> ssl.SSLContext:
    key = Ed25519PrivateKey.generate()
    chain = folder / f"{name}.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain.write_bytes(secret + _certificate(name, key, ca_key, "bench authority").public_bytes(Encoding.PEM))
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(chain)
    context.load_verify_locations(cadata=ca.public_bytes(Encoding.PEM).decode())
    return context


def _certificate(
    name: str, key: Ed25519PrivateKey, ca_key: Ed25519PrivateKey, issuer: str, *, is_ca: bool = False
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LIFE)
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if not is_ca:
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        builder = builder.add_extension(names, critical=False)
    return builder.sign(ca_key, None)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
