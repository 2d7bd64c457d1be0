import pytest

from tidegate.wire.peer import client_address, is_trusted, parse_address, parse_networks

TRUSTED = parse_networks(["10.0.0.0/8", "2001:db8:1::/48"])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:8080", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        *((text, None) for text in ("", "unknown", "192.0.2", "192.0.2.1:", "192.0.2.1:x", "[::1", "[::1]x", "[::1]:")),
        *((text, None) for text in ("192.0.2.1:123456", "0300.0.2.1", "_hidden", "192.0.2.1:٣", "::1:::")),
    ],
)
def test_addresses(text: str, address: str | None) -> None:
    parsed = parse_address(text)
    assert (None if parsed is None else str(parsed)) == address


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ([], "10.0.0.1"),
        ([b"192.0.2.1"], "192.0.2.1"),
        ([b"6.6.6.6, 192.0.2.1"], "192.0.2.1"),
        ([b"6.6.6.6, 192.0.2.1, 10.2.3.4"], "192.0.2.1"),
        ([b"6.6.6.6", b"192.0.2.1", b"10.2.3.4 , 10.0.0.9:80"], "192.0.2.1"),
        ([b"192.0.2.1, [2001:db8:1::5]:80"], "192.0.2.1"),
        ([b"2001:db8:2::1, 2001:db8:1::5"], "2001:db8:2::1"),
        ([b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ([b"192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2"),
        ([b"192.0.2.1,,10.0.0.2"], "10.0.0.2"),
        ([b"192.0.2.1, \xff\xfe"], "10.0.0.1"),
        ([b""], "10.0.0.1"),
        ([b"::ffff:10.0.0.2"], "10.0.0.2"),
    ],
)
def test_the_walk_from_the_right(forwarded: list[bytes], client: str) -> None:
    assert client_address("10.0.0.1", forwarded, TRUSTED) == client


def test_trust() -> None:
    assert is_trusted("10.9.9.9", TRUSTED)
    assert is_trusted("::ffff:10.9.9.9", TRUSTED)
    assert is_trusted("2001:db8:1::9", TRUSTED)
    assert not is_trusted("11.0.0.1", TRUSTED)
    assert not is_trusted("unix", TRUSTED)
    assert not is_trusted("10.0.0.1", ())


def test_networks_are_checked() -> None:
    assert [str(network) for network in parse_networks(["10.1.2.3/8", "::1"])] == ["10.0.0.0/8", "::1/128"]
    with pytest.raises(ValueError, match="nonsense"):
        parse_networks(["nonsense"])
