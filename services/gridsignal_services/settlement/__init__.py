"""From meter to money: baselines and what is paid, as pure functions of readings, calendar and rules.

Exact: watts, watt-hours and money are integers, `Decimal` or `Fraction`, and every rounding is named where it is done.
"""
