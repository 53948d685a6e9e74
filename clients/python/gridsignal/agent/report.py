"""The page of a simulation: one HTML file that needs nothing else, its charts as SVG. Values in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from gridsignal.agent.cluster import CAP_S, COOLING_LAG_S, EXPONENT, Cluster, Cut
from gridsignal.agent.curves import SLOT
from gridsignal.agent.simulation import MARGIN_PER_MWH, PAID_PER_MWH, Played
from gridsignal_schemas.values import rfc3339

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}table{border-collapse:collapse}
td,th{padding:.2em .9em .2em 0;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child{text-align:left}
svg{width:100%;height:auto}p.note{background:#fff6d8;padding:.6em 1em}"""
_WIDTH, _HEIGHT, _LEFT = 900, 180, 50
Line = tuple[str, str, Sequence[float]]
"""Name, colour, values."""


def page(
    cluster: Cluster, zone: str, played: Played, cuts: Sequence[tuple[str, Cut]], source: str, currency: str
) -> str:
    """The whole page."""
    head = f"{cluster.count} x {cluster.kind} in {zone}, {len(played.load_w) // 96} days"
    parts = [
        f"<h1>{escape(head)}</h1>",
        f'<p class="note">A simulation. Prices and carbon: {escape(source)}. All its parameters are below.</p>',
        _sums(played, currency),
        "<h2>Load and plan, MW at the connection</h2>",
        _chart(
            [
                ("at once", "#bbb", [each / 1e6 for each in played.at_once_w]),
                ("plan", "#e08a00", [each / 1e6 for each in played.planned_w]),
                ("load", "#0a62c4", [each / 1e6 for each in played.load_w]),
            ]
        ),
        f"<h2>Prices, {escape(currency)}/MWh</h2>",
        _chart([("price", "#7a3fb0", played.prices)]),
        "<h2>Carbon, g/kWh</h2>",
        _chart([("carbon", "#3a8a3a", played.carbon)]),
        "<h2>Orders</h2>",
        _orders(played, currency),
        "<h2>Cuts, and what they cost each class</h2>",
        *(_cut(name, each) for name, each in cuts),
        "<h2>Parameters</h2>",
        _parameters(cluster),
    ]
    title = escape(f"gridsignal: {head}")
    start = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return start + "".join(parts) + "</html>\n"


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *rest = ("".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row) for tag, row in _tagged(rows))
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in (head, *rest)) + "</table>"


def _tagged(rows: Sequence[Sequence[str]]) -> list[tuple[str, Sequence[str]]]:
    return [("td" if number else "th", row) for number, row in enumerate(rows)]


def _sums(played: Played, currency: str) -> str:
    ours, theirs = played.load_w, played.at_once_w
    money, theirs_money = played.money(ours), played.money(theirs)
    rows = [
        ("", "as planned", "at once"),
        (f"energy, {currency}", f"{money:,.0f}", f"{theirs_money:,.0f}"),
        (f"paid for orders, {currency}", f"{played.earned:,.0f}", "0"),
        (f"in all, {currency}", f"{money - played.earned:,.0f}", f"{theirs_money:,.0f}"),
        ("CO2, t", f"{played.carbon_kg(ours) / 1e3:,.1f}", f"{played.carbon_kg(theirs) / 1e3:,.1f}"),
        ("jobs", str(played.jobs), str(played.jobs)),
        ("jobs late", str(played.late), str(played.late_at_once)),
    ]
    return _table(rows)


def _orders(played: Played, currency: str) -> str:
    said = (
        f"Once on each weekday the simulated grid asks for two hours, and pays up to {PAID_PER_MWH:g} {currency}/MWh; "
        f"an offer asks what it costs to move the work, and {MARGIN_PER_MWH:g} {currency}/MWh more."
    )
    rows = [("starts", "ordered, kW", "delivered, kW", f"{currency}/MWh")]
    for each in played.orders:
        delivered = f"{each.delivered_w / 1e3:,.0f}"
        rows.append((rfc3339(each.starts_at), f"{each.power_w / 1e3:,.0f}", delivered, f"{each.price_per_mwh:,.2f}"))
    return f"<p>{escape(said)}</p>" + _table(rows)


def _cut(name: str, cut: Cut) -> str:
    when = "never" if cut.seconds is None else f"after {cut.seconds:.0f} s"
    said = f"{name}: {cut.asked:.0%} asked, reached {when}; {cut.after_30_s:.1%} after 30 s (IT power)."
    rows = [("class", "slow-down tolerated", "slow-down", "kept")]
    for each in cut.qualities:
        kept = "yes" if each.slowdown <= each.tolerated + 1e-9 else "no"
        rows.append((each.job_class, f"{each.tolerated:.0%}", f"{each.slowdown:.1%}", kept))
    return f"<p>{escape(said)}</p>" + _table(rows)


def _parameters(cluster: Cluster) -> str:
    gpu = cluster.gpu
    rows = [
        ("parameter", "value", "source"),
        ("power of a GPU", f"{gpu.idle_w:g} to {gpu.most_w:g} W, caps from {gpu.least_cap_w:g} W", gpu.source),
        ("its share of the server", f"{gpu.host_idle_w:g} to {gpu.host_most_w:g} W", "as above"),
        ("power over speed", f"speed to the power of {EXPONENT:g}", "assumed: dynamic power between f and f cubed"),
        ("a cap's time constant", f"{CAP_S:g} s", "assumed"),
        ("cooling's time constant", f"{COOLING_LAG_S} s", "assumed"),
        ("PUE", "1.40 at a quarter of the load, 1.22 at all of it", "assumed"),
        ("jobs", "half of the cluster's time, four kinds", "assumed"),
    ]
    return _table(rows)


def _chart(lines: Sequence[Line]) -> str:
    """Lines over the same time, with the scale's ends."""
    low = min(0.0, *(min(values) for _, _, values in lines))
    high = max(max(values) for _, _, values in lines) or 1.0
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">']
    for value in (low, high):
        y = _y(value, low, high)
        parts.append(f'<text x="0" y="{y + 4:.0f}" font-size="11">{value:.4g}</text>')
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>')
    for number, (name, colour, values) in enumerate(lines):
        wide = (_WIDTH - _LEFT) / max(1, len(values) - 1)
        points = " ".join(f"{_LEFT + at * wide:.1f},{_y(value, low, high):.1f}" for at, value in enumerate(values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1"/>')
        parts.append(f'<text x="{_LEFT + 80 * number}" y="12" font-size="12" fill="{colour}">{escape(name)}</text>')
    return "".join(parts) + "</svg>"


def _y(value: float, low: float, high: float) -> float:
    return _HEIGHT - 10 - (value - low) / (high - low) * (_HEIGHT - 35)


def days_shown(played: Played) -> str:
    """From when to when."""
    return f"{rfc3339(played.starts_at)} to {rfc3339(played.starts_at + len(played.load_w) * SLOT)}"
