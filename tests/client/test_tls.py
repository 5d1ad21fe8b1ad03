"""TLS, tokens, metadata and tenants: a real server behind a proxy that ends TLS, as one stands in production."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest
from forked_server import ForkedServer
from real_server import fakes

from tamis.client import AsyncClient, CallError, Client, Document, NotFound, RetryPolicy, Tls, Unauthenticated

TENANCY = '[tenancy]\nheader = "x-tamis-tenant"\n'
ONCE = RetryPolicy(most_attempts=1)


class Certificates:
    """An authority, and what it has signed: `server` for the name `search.test`, `client`; made by openssl."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._run("req", "-x509", *self._new("authority"), "-subj", "/CN=authority", "-days", "2")
        for name, usage in (("server", "subjectAltName=DNS:search.test"), ("client", "extendedKeyUsage=clientAuth")):
            (folder / f"{name}.ext").write_text(usage)
            self._run("req", *self._new(name), "-subj", f"/CN={name}", request=name)
            authority = ["-CA", self.path("authority"), "-CAkey", self.key("authority"), "-CAcreateserial"]
            extensions = ["-extfile", folder / f"{name}.ext", "-days", "2"]
            self._run("x509", "-req", "-in", folder / f"{name}.csr", *authority, *extensions, "-out", self.path(name))

    def path(self, name: str) -> Path:
        return self._folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self._folder / f"{name}.key"

    def _new(self, name: str) -> list[str | Path]:
        elliptic = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        return [*elliptic, "-keyout", self.key(name), "-out", self.path(name)]

    def _run(self, *arguments: str | Path, request: str = "") -> None:
        words = [self._folder / f"{request}.csr" if each == self.path(request) else each for each in arguments]
        subprocess.run(["openssl", *words], check=True, capture_output=True)


@contextmanager
def ending_tls(backend: str, certificates: Certificates, *, asks_for_a_certificate: bool = False) -> Iterator[str]:
    """The address of a proxy that takes HTTP/2 over TLS and hands it on as it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.path("server"), certificates.key("server"))
    context.set_alpn_protocols(["h2"])
    if asks_for_a_certificate:
        context.load_verify_locations(certificates.path("authority"))
        context.verify_mode = ssl.CERT_REQUIRED
    host, port = backend.split(":")

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(1 << 16):
                writer.write(piece)
                await writer.drain()
        except OSError:
            return
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection(host, int(port))
        await asyncio.gather(copy(reader, behind[1]), copy(behind[0], writer))

    async def open_and_close(address: Future[str], done: threading.Event) -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as listener:
            address.set_result(f"127.0.0.1:{listener.sockets[0].getsockname()[1]}")
            await asyncio.to_thread(done.wait)

    found, done = Future[str](), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(open_and_close(found, done)))
    thread.start()
    try:
        yield found.result(30)
    finally:
        done.set()
        thread.join()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificates, is not installed")
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkedServer]:
    with ForkedServer(tmp_path_factory.mktemp("server"), f"{fakes('words')}{TENANCY}").running() as found:
        yield found


def _name(client: Client) -> str:
    return ",".join(each.id for each in client.collections())


def test_a_tenant_sees_its_own_and_a_call_without_one_is_refused(server: ForkedServer) -> None:
    with Client(server.address, tenant="acme") as ours, Client(server.address, tenant="other") as theirs:
        ours.create_collection("docs")
        ours.write("docs", [Document("a", "smooth sauce")])
        assert _name(ours) == "docs"
        assert _name(theirs) == ""
        with pytest.raises(NotFound):
            list(theirs.stream_search("docs", "sauce"))
    with Client(server.address, metadata={"X-Tamis-Tenant": "acme"}) as proxied:
        assert proxied.document("docs", "a").text == "smooth sauce"
    with Client(server.address) as nobody, pytest.raises(Unauthenticated):
        nobody.collection("docs")


async def test_a_connection_is_made_over_tls_to_the_name_in_the_certificate_only(
    server: ForkedServer, certificates: Certificates
) -> None:
    roots = certificates.path("authority")
    with ending_tls(server.address, certificates) as address:
        tls = Tls(roots, server_name="search.test")
        async with AsyncClient(address, tls=tls, tenant="secured", token="secret") as client:
            await client.create_collection("docs")
            assert (await client.write("docs", [Document("a", "smooth")])).written_count == 1
        with Client(address, tls=tls, tenant="secured") as client:
            assert client.document("docs", "a").text == "smooth"
        wrong = [Tls(roots, server_name="other.test"), Tls(roots), Tls(server_name="search.test"), False]
        for each in wrong:
            with Client(address, tls=each, tenant="secured", retries=ONCE) as client, pytest.raises(CallError):
                client.collection("docs")


def test_the_other_side_may_ask_who_the_client_is(server: ForkedServer, certificates: Certificates) -> None:
    roots, chain, key = (
        certificates.path("authority").read_bytes(),
        certificates.path("client"),
        str(certificates.key("client")),
    )
    with ending_tls(server.address, certificates, asks_for_a_certificate=True) as address:
        with Client(address, tls=Tls(roots, chain, key, "search.test"), tenant="mutual") as client:
            assert _name(client) == ""
        with (
            Client(address, tls=Tls(roots, server_name="search.test"), tenant="mutual", retries=ONCE) as client,
            pytest.raises(CallError),
        ):
            _name(client)


@pytest.mark.parametrize(
    "address",
    [
        "search.example.com:443",
        "10.0.0.1:7601",
        "dns:///search.example.com:443",
        "dns://search.example.com/localhost:1",
        "search.example.com:443/localhost:1",
    ],
)
def test_a_token_never_travels_in_the_clear(address: str) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match="a token needs TLS"):
            kind(address, token="secret")


@pytest.mark.parametrize("address", ["localhost:1", "127.0.0.1:1", "[::1]:1", "dns:///localhost:1", "unix:/run/tamis"])
def test_on_the_machine_itself_a_token_needs_no_tls(address: str) -> None:
    Client(address, token="secret").close()


def test_secrets_are_not_shown() -> None:
    with Client("localhost:1", token="secret", metadata={"x-api-key": "secret"}) as client:
        assert "secret" not in repr(client)
        assert "secret" not in repr(client._connection)
    assert "secret" not in repr(Tls(b"roots", b"chain", b"secret"))
    with pytest.raises(ValueError, match="go together"):
        Tls(private_key=b"key")
