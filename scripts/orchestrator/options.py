"""What options of several commands have in common."""

from __future__ import annotations

import math
from typing import Any

import click


class _Dollars(click.FloatRange):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Money that can be counted: `nan` and `inf` are no bound at all."""
        amount = super().convert(value, param, ctx)
        if not math.isfinite(amount):
            self.fail(f"{value!r} is not an amount of money.", param, ctx)
        return amount


DOLLARS = _Dollars(0, min_open=True)
