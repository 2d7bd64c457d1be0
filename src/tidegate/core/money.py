"""Money is an integer count of nano-USD (10⁻⁹ USD); decimals exist only where people read or write it."""

from decimal import Decimal, InvalidOperation

NANO_PER_USD = 1_000_000_000


def nano_from_usd(usd: Decimal | str) -> int:
    """`"12.50"` → 12_500_000_000. Raises ValueError when `usd` is no number or is finer than a nano-USD."""
    try:
        scaled = Decimal(usd) * NANO_PER_USD
        whole = int(scaled)
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise ValueError(f"{usd!r} is not an amount of USD") from error
    if whole != scaled:
        raise ValueError(f"{usd} USD is finer than a nano-USD (nine decimals)")
    return whole


def usd_from_nano(nano: int) -> str:
    """12_500_000_000 → `"12.5"`: exact, no exponent, no trailing zeros."""
    if nano < 0:
        return "-" + usd_from_nano(-nano)
    digits = f"{nano:010d}"
    fraction = digits[-9:].rstrip("0")
    return f"{digits[:-9]}.{fraction}" if fraction else digits[:-9]
