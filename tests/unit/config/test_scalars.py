"""Durations, sizes, money, numbers: from source text, exactly."""

from decimal import Decimal

import pytest

from tidegate.config import scalars


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("30s", 30.0), ("1.5s", 1.5), ("5m", 300.0), ("1h", 3600.0), ("7d", 604_800.0), ("0s", 0.0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert scalars.read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "5 s", "-5s", "1h30m", "s", "5S", "٥s", "1e3s", "9" * 50 + "s"])
def test_not_durations(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        scalars.read_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("65536", 65_536), ("64KiB", 65_536), ("32 MiB", 2**25), ("4GiB", 2**32), ("10MB", 10**7)],
)
def test_sizes(text: str, size: int) -> None:
    assert scalars.read_size(text) == size


@pytest.mark.parametrize("text", ["", "1.5MiB", "-1", "5 mb", "MiB", "5  MiB"])
def test_not_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        scalars.read_size(text)


@pytest.mark.parametrize("text", ["0.1", "2.00", "500", "0.000000001", "1e2", "12345678.123456789"])
def test_money_is_exact(text: str) -> None:
    assert scalars.read_usd(text) == Decimal(text)


@pytest.mark.parametrize("text", ["", "NaN", "inf", "1_000", "$5", "-0.01", "0.0000000001", "0x10", "1e-20"])
def test_not_money(text: str) -> None:
    with pytest.raises(ValueError, match="USD"):
        scalars.read_usd(text)


def test_whole_numbers() -> None:
    assert scalars.read_integer("5_000_000") == 5_000_000
    for text in ("1.0", "0x10", "", "ten", "1e3"):
        with pytest.raises(ValueError, match="whole number"):
            scalars.read_integer(text)


def test_numbers() -> None:
    assert scalars.read_number("0.5") == 0.5
    for text in ("nan", "inf", "", ".", "1,5"):
        with pytest.raises(ValueError, match="not a number"):
            scalars.read_number(text)


def test_time_zones() -> None:
    assert scalars.read_timezone("America/New_York") == "America/New_York"
    for text in ("Mars/Olympus", "../etc/passwd", "", "Europe/Berlin\0"):
        with pytest.raises(ValueError, match="not a time zone"):
            scalars.read_timezone(text)
