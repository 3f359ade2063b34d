"""The progress bar: drawn on standard error while a statement works for more than a second, where that is a terminal or a notebook.

``frazil.progress.enabled = False`` turns it off; so does the environment's ``FRAZIL_PROGRESS=0``.
"""

from __future__ import annotations

import os
import sys

#: Whether bars are drawn; None: where standard error is a terminal, and in notebooks.
enabled: bool | None = False if os.environ.get("FRAZIL_PROGRESS") == "0" else None

_drawn = 0


def _wanted() -> bool:
    if enabled is not None:
        return enabled
    if "ipykernel" in sys.modules:
        return True
    err = sys.stderr
    return err is not None and hasattr(err, "isatty") and err.isatty() and os.environ.get("TERM") != "dumb"


def _count(n: float, units: tuple[str, ...], step: float) -> str:
    i = 0
    while n >= step and i < len(units) - 1:
        n /= step
        i += 1
    return f"{n:.0f}{units[i]}" if i == 0 else f"{n:.1f}{units[i]}"


def line(done: int, total: int, rows: int) -> str:
    """The bar's text.

    >>> line(512, 1024, 3_000_000)
    '##########----------  50 %  512 B of 1.0 KiB  3.0M rows'
    >>> line(0, 0, 42)
    '42 rows'
    """
    units = (" B", " KiB", " MiB", " GiB", " TiB")
    parts = []
    if total > 0:
        share = min(done / total, 1.0)
        parts += ["#" * int(share * 20) + "-" * (20 - int(share * 20)), f"{share * 100:3.0f} %"]
        parts.append(f"{_count(done, units, 1024)} of {_count(total, units, 1024)}")
    parts.append(f"{_count(rows, ('', 'k', 'M', 'G'), 1000)} rows")
    return "  ".join(parts) if total > 0 else parts[0]


def draw(done: int | None, total: int = 0, rows: int = 0) -> None:
    """Called by the extension module; None: the statement is over."""
    global _drawn
    err = sys.stderr
    if err is None or (not _drawn and (done is None or not _wanted())):
        return
    text = "" if done is None else line(done, total, rows)
    err.write("\r" + text + " " * (_drawn - len(text)) + ("\r" if done is None else ""))
    err.flush()
    _drawn = len(text)
