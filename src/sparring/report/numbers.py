"""Numbers as people read them."""

from __future__ import annotations

import math
import sys

__all__ = ["compact", "duration", "finite", "percent", "short", "whole"]


def short(x: float, digits: int = 3) -> str:
    """About so many significant digits, with a real minus sign; of large numbers all before the point.

    >>> [short(x) for x in (0.61234, -1.5, 999.7, 12345.6, 0.0000123, 0.0)]
    ['0.612', '−1.5', '1,000', '12,346', '1.23e−5', '0']
    >>> short(312.25, digits=5), short(1234.5, digits=5)
    ('312.25', '1,234.5')
    """
    if not math.isfinite(x):
        return {math.inf: "∞", -math.inf: "−∞"}.get(x, "not a number")
    if x == 0:
        return "0"
    rounded = float(f"{x:.{digits}g}")
    places = max(digits - 1 - math.floor(math.log10(abs(x))), 0)
    text = f"{x:,.{places}f}" if abs(rounded) >= 1000 and abs(x) < 1e9 else f"{x:.{digits}g}"
    mantissa, e, exponent = text.partition("e")
    return (mantissa + (f"e{int(exponent)}" if e else "")).replace("-", "−")


def whole(n: float) -> str:
    """A count with separators.

    >>> whole(1234567)
    '1,234,567'
    """
    return f"{n:,.0f}"


def compact(n: float) -> str:
    """A count in few letters.

    >>> [compact(n) for n in (0, 950, 40_032, 999_950, 2_500_000)]
    ['0', '950', '40k', '1M', '2.5M']
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(n) >= 0.9995 * size:
            return f"{n / size:.3g}{letter}"
    return f"{n:.3g}"


def percent(share: float) -> str:
    """A share of one in per cent, with a digit more where none and all are near.

    >>> [percent(share) for share in (0.714, 0.0042, 0.9971, 1.0)]
    ['71 %', '0.4 %', '99.7 %', '100 %']
    """
    close = 0 < abs(share) < 0.0095 or 0.9905 < abs(share) < 0.9995
    return f"{100 * share:.{int(close)}f} %"


def duration(seconds: float) -> str:
    """A time in its two largest units.

    >>> [duration(s) for s in (7.2, 192, 7500, 200_000)]
    ['7 s', '3 min 12 s', '2 h 5 min', '2 d 7 h']
    """
    left = round(seconds)
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count or parts or unit == "s":
            parts.append(f"{count} {unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0 ") or len(parts) == 1)


def finite(thing: object) -> float | None:
    """A finite number as a float, None for everything else a damaged or foreign log may hold.

    >>> finite(3), finite(math.nan), finite("3"), finite(True), finite(10**400)
    (3.0, None, None, None, None)
    """
    if isinstance(thing, bool) or not isinstance(thing, int | float) or not abs(thing) <= sys.float_info.max:
        return None
    return float(thing)
