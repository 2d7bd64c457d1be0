"""TLS: certificates from files, taken up when they change, kept when the new ones are wrong."""

import os
import ssl
from pathlib import Path

import pytest
import trustme
from tests.support.http_server import Exchange, RecordingApp, connected, run, serving

from tidegate.wire.tls import ReloadingTls, TlsFiles

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def write_pair(ca: trustme.CA, files: TlsFiles) -> bytes:
    """Replaces both files, as tools that renew certificates do → the certificate in PEM."""
    issued = ca.issue_cert("localhost")
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    for path, data in ((files.cert_file, chain), (files.key_file, issued.private_key_pem.bytes())):
        Path(path + ".new").write_bytes(data)
        os.replace(path + ".new", path)
    return issued.cert_chain_pems[0].bytes()


def trusting(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    return TlsFiles(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


def served_certificate(client) -> bytes:
    der = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return ssl.DER_cert_to_PEM_cert(der).encode()


def test_a_renewed_certificate_serves_the_next_handshake_and_old_connections_go_on(
    files: TlsFiles, ca: trustme.CA
) -> None:
    first = write_pair(ca, files)
    app = RecordingApp()

    async def main() -> None:
        async with serving(app, tls=files) as (server, port):
            async with connected(port, trusting(ca)) as old:
                old.send(GET)
                assert (await old.answer()).status == 200
                assert served_certificate(old).split() == first.split()
                second = write_pair(ca, files)
                assert server.refresh_tls()
                async with connected(port, trusting(ca)) as new:
                    new.send(GET)
                    assert (await new.answer()).status == 200
                    assert served_certificate(new).split() == second.split()
                old.send(GET)
                assert (await old.answer()).status == 200

    run(main())


def test_a_stream_and_a_refusal_over_tls(files: TlsFiles, ca: trustme.CA) -> None:
    write_pair(ca, files)

    def stream(exchange: Exchange) -> None:
        exchange.start(200, b"")
        exchange.write(b"x" * 300_000)
        exchange.finish()

    app = RecordingApp(stream)

    async def main() -> None:
        async with serving(app, tls=files) as (_, port), connected(port, trusting(ca)) as client:
            client.send(GET)
            assert (await client.answer()).body == b"x" * 300_000
            client.send(b"GET / HTTP/1.1\r\n\r\n")
            assert (await client.answer()).status == 400
            assert await client.rest() == b""

    run(main())


def test_a_wrong_pair_is_not_taken_up_and_the_mended_one_is(
    files: TlsFiles, ca: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    write_pair(ca, files)
    tls = ReloadingTls(files)
    assert not tls.refresh()
    good_key = Path(files.key_file).read_bytes()
    Path(files.key_file).write_bytes(ca.issue_cert("localhost").private_key_pem.bytes())
    assert not tls.refresh()
    assert "keeping the last good certificate" in caplog.text
    os.remove(files.key_file)
    assert not tls.refresh()
    caplog.clear()
    Path(files.key_file).write_bytes(good_key)
    assert tls.refresh()
    assert not tls.refresh()
    assert not caplog.records


def test_a_wrong_pair_leaves_the_old_one_serving(files: TlsFiles, ca: trustme.CA) -> None:
    first = write_pair(ca, files)
    half_written = ca.issue_cert("localhost").cert_chain_pems[0]

    async def main() -> None:
        async with serving(RecordingApp(), tls=files) as (server, port):
            half_written.write_to_path(files.cert_file)
            assert not server.refresh_tls()
            async with connected(port, trusting(ca)) as client:
                client.send(GET)
                assert (await client.answer()).status == 200
                assert served_certificate(client).split() == first.split()

    run(main())


def test_a_wrong_pair_at_the_start_is_an_error(files: TlsFiles) -> None:
    with pytest.raises(OSError):
        ReloadingTls(files)
    Path(files.cert_file).write_text("nonsense")
    Path(files.key_file).write_text("nonsense")
    with pytest.raises(ssl.SSLError):
        ReloadingTls(files)


def test_plain_http_to_a_tls_port_is_not_served(files: TlsFiles, ca: trustme.CA) -> None:
    write_pair(ca, files)
    app = RecordingApp()

    async def main() -> None:
        async with serving(app, tls=files) as (_, port), connected(port) as client:
            client.send(GET)
            assert b"200" not in await client.rest()
        assert app.seen == []

    run(main())
