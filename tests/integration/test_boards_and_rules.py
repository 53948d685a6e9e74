"""Every query of a board or a rule is about what the doors really export; every alert has its runbook."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from docs import boards
from gridsignal_services.embedded import Stack
from tests.patience import SOON_S

ROOT = Path(__file__).parents[2]
RULES = (ROOT / "deploy" / "prometheus" / "rules.yml").read_text("utf-8")
NAME = re.compile(r"\b(?:gridsignal|process)_[a-z_]+")
FUNCTIONS = {"sum", "min", "max", "rate", "increase", "histogram_quantile", "time", "abs", "by", "or"}
OF_PROMETHEUS = {"instance", "job"}


def queries() -> Iterator[str]:
    for board in boards.tables().values():
        for panel in board["panels"]:
            yield from (query["expr"] for query in panel["ask"])
    yield from re.findall(r"^\s+expr: (.+)$", RULES, re.MULTILINE)


def labels_of(registries: list[CollectorRegistry]) -> dict[str, set[str]]:
    """The labels of each family, also of those that count nothing yet."""
    found: dict[str, set[str]] = {}
    for registry in registries:
        for collector in registry._collector_to_names:
            for family in collector.collect():
                names = getattr(collector, "_labelnames", None) or getattr(family, "_labelnames", ())
                found[family.name] = set(names)
    return found


async def test_every_query_names_metrics_and_labels_that_the_doors_export(stack: Stack) -> None:
    async with httpx2.AsyncClient(timeout=SOON_S) as asking:
        page = (await asking.get(f"{stack.ops.url}/metrics")).text
    families = {family.name: family.type for family in text_string_to_metric_families(page)}
    labels = labels_of(stack.ops._counted)
    for query in queries():
        known = OF_PROMETHEUS | {"le"}
        for name in NAME.findall(query):
            family = re.sub(r"_(total|bucket|count|sum)$", "", name)
            family = name if name in families else family
            assert family in families, (name, query)
            suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
            assert name == family or name.endswith(suffixes[families[family]]), (name, query)
            assert (families[family] == "counter") == name.endswith("_total"), (name, query)
            known |= labels[family]
        said = re.sub(r'"[^"]*"', "", query)
        used = re.findall(r"([a-z]+)\s*(?:=~|!=|=(?!=))", said) + re.findall(
            r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", said))
        )
        assert set(used) <= known, (query, set(used) - known)
        rest = re.sub(r"\{[^}]*\}|by \([^)]*\)|\[[^\]]*\]", " ", said)
        assert set(re.findall(r"\b[a-z][a-z_]+\b", rest)) - FUNCTIONS - set(NAME.findall(query)) <= {"up"}, query


def test_a_legend_names_labels_that_its_query_keeps() -> None:
    for board in boards.tables().values():
        for panel in board["panels"]:
            for query in panel["ask"]:
                kept = re.findall(r"by \(([^)]*)\)", query["expr"])
                named = set(re.findall(r"\{\{(\w+)\}\}", query["legend"]))
                is_summed = re.match(r"(sum|min|max|histogram_quantile)\b", query["expr"])
                assert not is_summed or named <= {label.strip() for each in kept for label in each.split(",")}, query


def test_every_alert_links_to_its_runbook_and_every_runbook_is_of_an_alert() -> None:
    alerts = re.findall(r"- alert: (\w+)", RULES)
    links = re.findall(r'runbook_url: "docs/runbooks\.md#(\w+)"', RULES)
    page = (ROOT / "docs" / "runbooks.md").read_text("utf-8")
    headings = re.findall(r"^## (\w+)$", page, re.MULTILINE)
    assert links == [name.lower() for name in alerts] == [name.lower() for name in headings]
    linked = set(re.findall(r"\(#(\w+)\)", page))
    assert linked <= {name.lower() for name in headings}
