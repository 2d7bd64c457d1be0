"""WebSocket frames: against the `websockets` library as the other side, cut anywhere; and all that must be refused."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame
from websockets.frames import Opcode as TheirOpcode
from websockets.protocol import CLIENT, SERVER, Protocol

from tidegate.wire.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    NO_CODE,
    NOT_UTF8,
    PING,
    PONG,
    PROTOCOL_ERROR,
    TEXT,
    TOO_BIG,
    Message,
    MessageReader,
    WebSocketFault,
    accept_of,
    encode_close,
    encode_frame,
    is_key,
    key_of,
    masked,
    read_close,
)

KEY = b"\x01\x82\xf3\x74"
SIZES = (0, 1, 3, 125, 126, 127, 65_535, 65_536, 100_001)


def test_the_key_of_the_rfc() -> None:
    assert accept_of(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    ("key", "good"),
    [
        (key_of(bytes(16)), True),
        (key_of(bytes(15)), False),
        (key_of(bytes(17)), False),
        (b"", False),
        (b"!" * 24, False),
        (b"dGhlIHNhbXBsZSBub25jZQ=a", False),
    ],
)
def test_what_can_be_a_key(key: bytes, good: bool) -> None:
    assert is_key(key) is good


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_a_mask_is_the_xor_of_the_rfc(payload: bytes, key: bytes) -> None:
    assert masked(payload, key) == bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("from_client", [True, False])
def test_the_library_reads_what_is_written(size: int, from_client: bool) -> None:
    theirs = Protocol(SERVER if from_client else CLIENT, max_size=None)
    theirs.receive_data(encode_frame(BINARY, b"x" * size, KEY if from_client else b""))
    (event,) = theirs.events_received()
    assert isinstance(event, Frame)
    assert (event.opcode, event.data, event.fin) == (TheirOpcode.BINARY, b"x" * size, True)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("from_client", [True, False])
def test_what_the_library_writes_is_read(size: int, from_client: bool) -> None:
    theirs = Protocol(CLIENT if from_client else SERVER)
    theirs.send_text(b"x" * size)
    theirs.send_ping(b"p")
    theirs.send_close(4001, "over")
    reader = MessageReader(from_client=from_client, max_bytes=1 << 20)
    text, ping, close = reader.feed(b"".join(theirs.data_to_send()))
    assert (text, ping) == (Message(TEXT, b"x" * size), Message(PING, b"p"))
    assert read_close(close.payload) == (4001, "over")


@given(
    st.lists(st.tuples(st.sampled_from([TEXT, BINARY, PING, PONG]), st.text(max_size=40)), max_size=6),
    st.lists(st.integers(0, 400), max_size=8),
    st.booleans(),
)
def test_messages_cut_anywhere(sent: list[tuple[int, str]], cuts: list[int], from_client: bool) -> None:
    wanted = [Message(opcode, text.encode()[:125]) for opcode, text in sent if len(text.encode()) <= 125]
    data = b"".join(encode_frame(*one, KEY if from_client else b"") for one in wanted)
    reader = MessageReader(from_client=from_client, max_bytes=1000)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    read = [message for a, b in pairwise(edges) for message in reader.feed(data[a:b])]
    assert read == wanted


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    reader = MessageReader(from_client=False, max_bytes=100)
    try:
        for message in reader.feed(data):
            assert len(message.payload) <= 125
    except WebSocketFault:
        pass


def test_fragments_are_joined_and_control_frames_come_between_them() -> None:
    reader = MessageReader(from_client=False, max_bytes=100)
    data = (
        bytes([TEXT, 3])
        + "é".encode()
        + b"a"
        + bytes([0x80 | PING, 1])
        + b"p"
        + bytes([CONTINUATION, 0])
        + bytes([0x80 | CONTINUATION, 1])
        + b"b"
        + bytes([0x80 | TEXT, 1])
        + b"c"
    )
    assert list(reader.feed(data)) == [(PING, b"p"), (TEXT, "éab".encode()), (TEXT, b"c")]


def test_a_letter_may_be_cut_by_fragments() -> None:
    reader = MessageReader(from_client=False, max_bytes=100)
    first, second = "é".encode()[:1], "é".encode()[1:]
    assert list(reader.feed(bytes([TEXT, 1]) + first + bytes([0x80, 1]) + second)) == [(TEXT, "é".encode())]


FIN = 0x80
REFUSED = {
    "reserved bit 1": (bytes([FIN | 0x40 | TEXT, 0]), PROTOCOL_ERROR),
    "reserved bit 2": (bytes([FIN | 0x20 | TEXT, 0]), PROTOCOL_ERROR),
    "reserved bit 3": (bytes([FIN | 0x10 | TEXT, 0]), PROTOCOL_ERROR),
    "unknown data opcode": (bytes([FIN | 3, 0]), PROTOCOL_ERROR),
    "unknown control opcode": (bytes([FIN | 0xB, 0]), PROTOCOL_ERROR),
    "control frame in fragments": (bytes([PING, 0]), PROTOCOL_ERROR),
    "control frame of 126 bytes": (bytes([FIN | PING, 126, 0, 126]), PROTOCOL_ERROR),
    "continuation of nothing": (bytes([FIN | CONTINUATION, 0]), PROTOCOL_ERROR),
    "message within a message": (bytes([TEXT, 0, FIN | TEXT, 0]), PROTOCOL_ERROR),
    "masked by a server": (encode_frame(TEXT, b"x", KEY), PROTOCOL_ERROR),
    "short length in 16 bits": (bytes([FIN | TEXT, 126, 0, 125]), PROTOCOL_ERROR),
    "short length in 64 bits": (bytes([FIN | TEXT, 127, *(65_535).to_bytes(8, "big")]), PROTOCOL_ERROR),
    "length of 64 bits": (bytes([FIN | TEXT, 127, *(1 << 63).to_bytes(8, "big")]), PROTOCOL_ERROR),
    "too large": (bytes([FIN | TEXT, 126, *(1001).to_bytes(2, "big")]), TOO_BIG),
    "far too large": (bytes([FIN | TEXT, 127, *((1 << 63) - 1).to_bytes(8, "big")]), TOO_BIG),
    "too large in fragments": (
        bytes([TEXT, 126, *(600).to_bytes(2, "big")]) + b"x" * 600 + bytes([0x80, 126, *(401).to_bytes(2, "big")]),
        TOO_BIG,
    ),
    "no UTF-8": (encode_frame(TEXT, b"\xff"), NOT_UTF8),
    "a surrogate": (encode_frame(TEXT, b"\xed\xa0\x80"), NOT_UTF8),
    "no UTF-8 over fragments": (bytes([TEXT, 1, 0xC3, FIN | CONTINUATION, 1, 0x28]), NOT_UTF8),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """As soon as it is known, whether the bytes come at once or one by one."""
    data, code = REFUSED[name]
    for step in (len(data), 1):
        reader = MessageReader(from_client=False, max_bytes=1000)
        with pytest.raises(WebSocketFault) as caught:
            for cut in range(0, len(data), step):
                list(reader.feed(data[cut : cut + step]))
        assert caught.value.code == code


def test_a_client_must_mask() -> None:
    with pytest.raises(WebSocketFault) as caught:
        list(MessageReader(from_client=True, max_bytes=1000).feed(encode_frame(TEXT, b"x")[:2]))
    assert caught.value.code == PROTOCOL_ERROR


def test_what_came_whole_before_a_fault_is_given() -> None:
    reader = MessageReader(from_client=False, max_bytes=1000)
    messages = reader.feed(encode_frame(TEXT, b"a") + b"\xff\xff")
    assert next(messages) == (TEXT, b"a")
    with pytest.raises(WebSocketFault):
        next(messages)


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1014, 3000, 4429, 4999])
def test_close_codes_of_the_wire(code: int) -> None:
    sent = encode_close(code, "é" * 100)
    assert len(sent) <= 127
    (message,) = MessageReader(from_client=False, max_bytes=10).feed(sent)
    assert message.opcode == CLOSE
    told, reason = read_close(message.payload)
    assert told == code
    assert set(reason) == {"é"}
    assert Close.parse(message.payload).code == code


@pytest.mark.parametrize("code", [1004, 1005, 1006, 1015])
def test_codes_that_are_never_sent(code: int) -> None:
    assert encode_close(code, "x") == b"\x88\x00"
    assert read_close(b"") == (NO_CODE, "")


@pytest.mark.parametrize(
    "payload", [b"\x03", b"\x00\x00", b"\x03\xec", b"\x03\xed", b"\x03\xf7", b"\x07\xd0", b"\x13\x88"]
)
def test_codes_that_mean_nothing(payload: bytes) -> None:
    with pytest.raises(WebSocketFault) as caught:
        read_close(payload)
    assert caught.value.code == PROTOCOL_ERROR


def test_a_close_reason_must_be_text() -> None:
    with pytest.raises(WebSocketFault) as caught:
        read_close(b"\x03\xe8\xff")
    assert caught.value.code == NOT_UTF8
