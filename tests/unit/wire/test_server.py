"""The server over real sockets: framing of answers, keep-alive, order, refusals, options, drain."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from tests.support.http_server import RecordingApp, Watcher, ask, connected, parse_head, run, serving

from tidegate.wire.server import CorsSettings, Exchange, ServerSettings, parse_networks

H = b"Host: a.example\r\n"
GET = b"GET / HTTP/1.1\r\n" + H + b"\r\n"


def post(path: bytes, body: bytes, fields: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n%b\r\n%b" % (path, H, len(body), fields, body)


def streamed(exchange: Exchange) -> None:
    exchange.start(200, b"content-type: text/event-stream\r\n")
    exchange.write(b"one")
    exchange.write(b"")
    exchange.write(b"two" * 10)
    exchange.finish()


def test_many_requests_on_one_connection() -> None:
    app = RecordingApp()

    async def main() -> None:
        async with serving(app) as (server, port), connected(port) as client:
            for number in range(5):
                client.send(post(b"/%d" % number, b"x" * number))
                answer = await client.answer()
                assert answer.status == 200
                assert answer.body == b"POST /%d %b" % (number, b"x" * number)
                assert b"connection" not in answer.headers
                assert answer.headers[b"date"].endswith(b" GMT")
            assert server.connections == 1

    run(main())


def test_pipelined_requests_are_answered_in_order_whenever_the_answers_come() -> None:
    app = RecordingApp(lambda exchange: None)

    async def main() -> None:
        async with serving(app) as (_, port), connected(port) as client:
            client.send(post(b"/1", b"a") + post(b"/2", b"b") + GET)
            for count, body in ((1, b"first"), (2, b"second"), (3, b"third")):
                await app.until(lambda count=count: len(app.exchanges) == count)
                assert len(app.exchanges) == count  # the next is held back until this one is answered
                app.exchanges[-1].respond(200, b"", body)
                assert (await client.answer()).body == body
        assert [target for _, target, _ in app.seen] == [b"/1", b"/2", b"/"]

    run(main())


def test_a_deep_pipeline_is_served_whole() -> None:
    app = RecordingApp()

    async def main() -> None:
        async with serving(app) as (_, port), connected(port) as client:
            client.send(b"".join(post(b"/%d" % number, b"b") for number in range(5000)))
            for number in range(5000):
                assert (await client.answer()).body == b"POST /%d b" % number

    run(main())


def test_a_streamed_answer_is_chunked() -> None:
    app = RecordingApp(streamed)

    async def main() -> None:
        async with serving(app) as (_, port), connected(port) as client:
            client.send(GET + GET)
            for _ in range(2):
                answer = await client.answer()
                assert answer.headers[b"transfer-encoding"] == b"chunked"
                assert answer.body == b"one" + b"two" * 10

    run(main())


def test_http_1_0_answers_end_with_the_connection_unless_it_is_kept() -> None:
    app = RecordingApp(streamed)

    async def main() -> None:
        async with serving(app) as (_, port):
            received = await ask(port, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            head, _, body = received.partition(b"\r\n\r\n")
            assert b"transfer-encoding" not in head
            assert b"connection: close" in head
            assert body == b"one" + b"two" * 10
            app.handler = lambda exchange: exchange.respond(200, b"", b"body")
            async with connected(port) as client:
                client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                answer = await client.answer()
                assert answer.headers[b"connection"] == b"keep-alive"
                client.send(b"GET / HTTP/1.0\r\n\r\n")
                answer = await client.answer()
                assert answer.headers[b"connection"] == b"close"
                assert await client.rest() == b""

    run(main())


@pytest.mark.parametrize("fields", [b"Connection: close\r\n", b"Connection: x, Close\r\n", b"connection: CLOSE\r\n"])
def test_a_client_that_wants_the_connection_closed_gets_it(fields: bytes) -> None:
    app = RecordingApp()

    async def main() -> None:
        async with serving(app) as (_, port):
            received = await ask(port, b"GET /1 HTTP/1.1\r\n" + H + fields + b"\r\n" + GET)
            assert parse_head(received.partition(b"GET")[0]).headers[b"connection"] == b"close"
            assert len(app.seen) == 1

    run(main())


@pytest.mark.parametrize("handler", [lambda exchange: exchange.respond(200, b"", b"12345"), streamed])
def test_head_has_the_fields_of_get_and_no_body(handler) -> None:
    app = RecordingApp(handler)

    async def main() -> None:
        async with serving(app) as (_, port), connected(port) as client:
            client.send(b"HEAD / HTTP/1.1\r\n" + H + b"\r\n")
            answer = await client.answer(b"HEAD")
            assert answer.headers.get(b"content-length", b"5") == b"5"
            client.send(GET)
            assert (await client.answer()).body.startswith(b"1" if handler is not streamed else b"one")

    run(main())


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_say_nothing_of_its_length(status: int) -> None:
    app = RecordingApp(lambda exchange: exchange.respond(status, b"", b"ignored"))

    async def main() -> None:
        async with serving(app) as (_, port), connected(port) as client:
            client.send(GET + GET)
            for _ in range(2):
                answer = await client.answer()
                assert answer.status == status
                assert b"content-length" not in answer.headers

    run(main())


def test_expect_is_answered_before_the_body_and_only_then() -> None:
    app = RecordingApp()

    async def main() -> None:
        async with serving(app) as (_, port), connected(port) as client:
            client.send(b"POST /e HTTP/1.1\r\n" + H + b"Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n")
            assert await client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert app.seen == []
            client.send(b"hello")
            assert (await client.answer()).body == b"POST /e hello"
            client.send(b"POST /e HTTP/1.1\r\n" + H + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
            assert (await client.answer()).status == 200
            assert len(app.heads) == 1

    run(main())


@pytest.mark.parametrize("fields", [b"Expect: 100-continue\r\n", b""])
def test_a_request_may_be_refused_before_its_body_is_read(fields: bytes) -> None:
    app = RecordingApp()
    app.refusal = 401, b"x-why: key\r\n", b"no key"

    async def main() -> None:
        async with serving(app) as (_, port), connected(port) as client:
            client.send(b"POST /e HTTP/1.1\r\n" + H + fields + b"Content-Length: 500000\r\n\r\n" + b"x" * 1000)
            answer = await client.answer()
            assert (answer.status, answer.body) == (401, b"no key")
            assert answer.headers[b"connection"] == b"close"
            client.send(b"x" * 499_000)  # dropped, and the answer was not reset away
            assert await client.rest() == b""
        assert app.seen == []

    run(main())


def test_a_failing_application_answers_500_and_says_nothing_of_why(caplog: pytest.LogCaptureFixture) -> None:
    def fail(exchange: Exchange) -> None:
        if exchange.request.path == b"/started":
            exchange.start(200, b"")
            exchange.write(b"part")
        raise ValueError("secret")

    app = RecordingApp(fail)

    async def main() -> None:
        async with serving(app) as (_, port):
            async with connected(port) as client:
                client.send(GET)
                answer = await client.answer()
                assert answer.status == 500
                assert b"secret" not in answer.body
            received = await ask(port, b"GET /started HTTP/1.1\r\n" + H + b"\r\n")
            assert received.endswith(b"4\r\npart\r\n")  # cut: no last chunk

    run(main())
    assert caplog.text.count("ValueError: secret") == 2


def test_an_aborted_answer_has_no_clean_end() -> None:
    app = RecordingApp(lambda exchange: None)

    async def main() -> None:
        async with serving(app) as (_, port):
            for request in (GET, b"GET / HTTP/1.0\r\n\r\n"):
                async with connected(port) as client:
                    client.send(request)
                    await app.until(lambda: bool(app.exchanges))
                    exchange = app.exchanges.pop()
                    watcher = exchange.listener = Watcher(app)
                    exchange.start(200, b"")
                    exchange.write(b"part")
                    head = await client.until(b"part") if request is GET else b""
                    exchange.abort()
                    exchange.write(b"more")
                    exchange.finish()
                    if request is GET:
                        assert b"chunked" in head
                        assert await client.rest() == b"\r\n"
                    else:
                        with pytest.raises(ConnectionError):
                            while await client.reader.read(100):
                                pass
                    assert exchange.closed
                    assert watcher.disconnects == 0

    run(main())


def test_an_exchange_refuses_calls_out_of_order() -> None:
    app = RecordingApp(lambda exchange: None)

    async def main() -> None:
        async with serving(app) as (_, port), connected(port) as client:
            client.send(GET)
            await app.until(lambda: bool(app.exchanges))
            exchange = app.exchanges[0]
            for call in (lambda: exchange.write(b"x"), exchange.finish):
                with pytest.raises(RuntimeError):
                    call()
            exchange.start(200, b"")
            for call in (lambda: exchange.start(200, b""), lambda: exchange.respond(200, b"", b"")):
                with pytest.raises(RuntimeError):
                    call()
            exchange.finish()
            exchange.finish()
            assert (await client.answer()).body == b""

    run(main())


def test_too_many_connections_are_turned_away_and_there_is_room_again() -> None:
    app = RecordingApp()

    async def main() -> None:
        async with serving(app, ServerSettings(max_connections=1)) as (_, port):
            async with connected(port) as first:
                first.send(GET)
                await first.answer()
                assert (await ask(port, b"")).startswith(b"HTTP/1.1 503 ")
                assert app.errors == [(503, "overloaded")]
            await ask(port, b"GET / HTTP/1.0\r\n\r\n")
            async with connected(port) as second:
                second.send(GET)
                assert (await second.answer()).status == 200

    run(main())


def test_a_flood_of_connections_is_not_even_told() -> None:
    app = RecordingApp()

    async def main() -> None:
        async with serving(app, ServerSettings(max_connections=0)) as (server, port), AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connected(port)) for _ in range(80)]
            answers = [await client.until(b"\r\n\r\n") for client in clients[:64]]
            assert all(answer.startswith(b"HTTP/1.1 503 ") for answer in answers)
            assert [await client.rest() for client in clients[64:]] == [b""] * 16
            assert server.connections <= 64

    run(main())


def test_options_star_is_the_servers_and_others_are_the_applications() -> None:
    app = RecordingApp()

    async def main() -> None:
        async with serving(app) as (_, port), connected(port) as client:
            client.send(b"OPTIONS * HTTP/1.1\r\n" + H + b"\r\n")
            assert (await client.answer()).status == 204
            assert app.seen == []
            client.send(
                b"OPTIONS /x HTTP/1.1\r\nOrigin: http://o\r\nAccess-Control-Request-Method: GET\r\n" + H + b"\r\n"
            )
            assert (await client.answer()).body == b"OPTIONS /x "

    run(main())


def test_cors_on_preflights_answers_streams_and_refusals() -> None:
    app = RecordingApp()
    settings = ServerSettings(
        cors=CorsSettings(("https://o.example",), expose_headers=("x-request-id",)), max_body_bytes=9
    )
    origin = H + b"Origin: https://o.example\r\n"

    async def main() -> None:
        async with serving(app, settings) as (_, port), connected(port) as client:
            client.send(
                b"OPTIONS /v1 HTTP/1.1\r\nAccess-Control-Request-Method: POST\r\n"
                b"Access-Control-Request-Headers: authorization\r\n" + origin + b"\r\n"
            )
            answer = await client.answer()
            assert answer.status == 204
            assert answer.headers[b"access-control-allow-origin"] == b"https://o.example"
            assert answer.headers[b"access-control-allow-headers"] == b"authorization"
            assert app.seen == []
            for app.handler in (streamed, lambda exchange: exchange.respond(200, b"", b"")):
                client.send(b"GET / HTTP/1.1\r\n" + origin + b"\r\n")
                answer = await client.answer()
                assert answer.headers[b"access-control-allow-origin"] == b"https://o.example"
                assert answer.headers[b"access-control-expose-headers"] == b"x-request-id"
                assert answer.headers[b"vary"] == b"origin"
            client.send(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n" + origin + b"\r\n")
            answer = await client.answer()
            assert answer.status == 413
            assert answer.headers[b"access-control-allow-origin"] == b"https://o.example"

    run(main())


def test_the_client_behind_a_trusted_proxy_is_named() -> None:
    app = RecordingApp()
    settings = ServerSettings(trusted_proxies=parse_networks(["127.0.0.0/8", "10.0.0.1"]))
    request = b"GET / HTTP/1.1\r\n" + H + b"X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nX-Forwarded-For: 10.0.0.1:99\r\n\r\n"

    async def main() -> None:
        async with serving(app, settings) as (server, port), connected(port) as client:
            client.send(request)
            await client.answer()
            assert app.requests[-1].peer == "192.0.2.7"
            server.update(ServerSettings())
            client.send(request)
            await client.answer()
            assert app.requests[-1].peer == "127.0.0.1"

    run(main())


def test_new_settings_hold_for_the_next_request_of_an_open_connection() -> None:
    app = RecordingApp()

    async def main() -> None:
        async with serving(app) as (server, port), connected(port) as client:
            client.send(post(b"/", b"x" * 100))
            assert (await client.answer()).status == 200
            server.update(ServerSettings(max_body_bytes=99))
            client.send(post(b"/", b"x" * 100))
            assert (await client.answer()).status == 413

    run(main())


def test_drain_ends_idle_connections_and_lets_running_answers_finish() -> None:
    app = RecordingApp(lambda exchange: None)

    async def main() -> None:
        async with serving(app) as (server, port):
            async with connected(port) as idle, connected(port) as streaming, connected(port) as uploading:
                idle.send(GET)
                await app.until(lambda: len(app.exchanges) == 1)
                app.exchanges[0].respond(200, b"", b"")
                await idle.answer()
                streaming.send(GET + GET)
                await app.until(lambda: len(app.exchanges) == 2)
                app.exchanges[1].start(200, b"")
                uploading.send(b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 5\r\n\r\nhel")
                await app.until(lambda: len(app.heads) == 1)
                drained = asyncio.ensure_future(server.drain(10))
                assert await idle.rest() == b""
                with pytest.raises(OSError):
                    await asyncio.open_connection("127.0.0.1", port)
                assert not drained.done()
                app.exchanges[1].write(b"last words")
                app.exchanges[1].finish()
                assert (await streaming.answer()).body == b"last words"
                assert await streaming.rest() == b""  # the second request was not served
                uploading.send(b"lo")
                await app.until(lambda: len(app.exchanges) == 3)
                app.exchanges[2].respond(200, b"", b"done")
                answer = await uploading.answer()
                assert (answer.headers[b"connection"], answer.body) == (b"close", b"done")
                await uploading.close()
                await streaming.close()
                assert await drained

    run(main())


def test_drain_says_when_time_ran_out_and_close_ends_the_rest() -> None:
    app = RecordingApp(lambda exchange: None)

    async def main() -> None:
        async with serving(app) as (server, port), connected(port) as client:
            client.send(GET)
            await app.until(lambda: bool(app.exchanges))
            watcher = app.exchanges[0].listener = Watcher(app)
            assert not await server.drain(0.01)
            await server.close()
            assert watcher.disconnects == 1
            assert server.connections == 0
            assert await client.rest() == b""

    run(main())
