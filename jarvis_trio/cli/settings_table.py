"""The settings as a table, for `settings` and `doctor`."""

from __future__ import annotations

from jarvis_trio.cli.output import Cell, Column, Fit, print_table
from jarvis_trio.settings import Settings


def print_settings(in_force: Settings) -> None:
    """Each setting, its value, and where that comes from."""
    rows = [[Cell(name), Cell(it["value"] or "-"), Cell(it["source"], "dim")] for name, it in in_force.shown().items()]
    print_table((Column("SETTING"), Column("VALUE", Fit.FOLD), Column("FROM")), rows)
