"""TLS to providers: certificates are verified, always."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from joytoken.providers.transport import Deadlines, Origin, Pool, UpstreamError, build_head, render
from tests.providers.fault_server import FaultServer, answers, chunked, eventually, hangs, ok, on_each_loop, says


def certificate(name, issuer, key, issuer_key, *, days=1, authority=False, hosts=()):
    today = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=2))
        .not_valid_after(today + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=authority,
                crl_sign=authority,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


class Authority:
    """A certificate authority of the test's own; `ca_file` is its PEM file."""

    def __init__(self, folder):
        self.folder = folder
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test authority")])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.ca_file = str(folder / "ca.pem")
        own = certificate(self.name, self.name, self.key, self.key, authority=True)
        (folder / "ca.pem").write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def server(self, *, days=1):
        """Return a server's context with a certificate for 127.0.0.1 that is valid for `days` from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "provider")])
        hosts = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        leaf = certificate(name, self.name, key, self.key, days=days, hosts=hosts)
        file = self.folder / f"server{days}.pem"
        file.write_bytes(
            leaf.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@contextlib.asynccontextmanager
async def pool_and(script, tls):
    pool = Pool()
    async with FaultServer(script, tls=tls) as server:
        try:
            yield pool, server
        finally:
            await pool.aclose()


def request(body=b"{}"):
    return render(build_head("POST", Origin("https", "127.0.0.1", 443), "/", []), body)


@on_each_loop
async def test_a_provider_with_a_known_authority_is_reached(authority):
    async with pool_and(answers(ok(b"hello"), chunked(b"hel", b"lo")), authority.server()) as (pool, server):
        origin = Origin("https", "127.0.0.1", server.port, authority.ca_file)
        for _ in range(2):
            assert (await pool.send(origin, request(), whole=True)).body == b"hello"
        assert len(server.peers) == 1


@pytest.mark.parametrize("trouble", ["unknown authority", "another host", "expired", "no TLS"])
@on_each_loop
async def test_a_provider_that_does_not_prove_itself_gets_nothing(authority, trouble):
    tls = None if trouble == "no TLS" else authority.server(days=-1 if trouble == "expired" else 1)
    script = says(ok()) if tls else lambda peer: peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
    async with pool_and(script, tls) as (pool, server):
        host = "localhost" if trouble == "another host" else "127.0.0.1"
        ca_file = None if trouble == "unknown authority" else authority.ca_file
        with pytest.raises(UpstreamError) as caught:
            await pool.send(Origin("https", host, server.port, ca_file), request(), whole=True)
        assert (caught.value.kind, caught.value.sent, caught.value.retryable) == ("tls_failed", False, False)
        assert server.requests == []


@on_each_loop
async def test_an_authority_file_that_is_none_is_said(tmp_path):
    (tmp_path / "empty.pem").write_text("nothing")
    async with pool_and(hangs, None) as (pool, server):
        for name in ("missing.pem", "empty.pem"):
            with pytest.raises(UpstreamError, match="authorities cannot be read") as caught:
                await pool.send(Origin("https", "127.0.0.1", server.port, str(tmp_path / name)), request(), whole=True)
            assert caught.value.kind == "tls_failed"


@on_each_loop
async def test_a_large_body_passes_a_slow_reader(authority):
    size = 8 * 1024 * 1024
    async with pool_and(answers(ok(b"x" * size)), authority.server()) as (pool, server):
        origin = Origin("https", "127.0.0.1", server.port, authority.ca_file)
        response = await pool.send(origin, request(b"y" * size), whole=False)
        await asyncio.sleep(0.3)
        got = 0
        while piece := await response.read():
            assert len(piece) < 3 * 1024 * 1024
            got += len(piece)
        assert got == size
        assert next(iter(pool.stats().values()))["idle"] == 1


@on_each_loop
async def test_a_cancelled_request_closes_the_connection(authority):
    async with pool_and(hangs, authority.server()) as (pool, server):
        origin = Origin("https", "127.0.0.1", server.port, authority.ca_file)
        with pytest.raises(UpstreamError) as caught:
            await pool.send(origin, request(), whole=True, deadlines=Deadlines(first_byte_ms=200))
        assert caught.value.kind == "first_byte_timeout"
        task = asyncio.create_task(pool.send(origin, request(), whole=True))
        await eventually(lambda: len(server.peers) == 2)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: server.ended == 2)


@on_each_loop
async def test_a_body_that_breaks_off_is_cut(authority):
    async with pool_and(says(ok(b"hello")[:-1], then="close"), authority.server()) as (pool, server):
        origin = Origin("https", "127.0.0.1", server.port, authority.ca_file)
        with pytest.raises(UpstreamError) as caught:
            await pool.send(origin, request(), whole=True)
        assert caught.value.kind == "cut"
