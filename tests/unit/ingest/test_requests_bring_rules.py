"""A request that a feed makes is settled like an operator's: by the rules of its product, as they were when it came."""

from __future__ import annotations

from gridsignal_schemas.messages import DispatchRequest, PinnedRule
from gridsignal_services.ingest.intake import Intake
from gridsignal_services.ingest.revisions import News, RevisionVerdict
from gridsignal_services.registry import Registry, example_registry_text
from gridsignal_services.settlement.pinned import DECLARED, STANDARD_RULE
from tests.builders import a_dispatch_request, utc

NOW = utc("12:00")
FIRM = '[products.evening-peak]\nsettlement = "firm 1"\nbaseline = "uk-bl01 1"\n'


def registry(products: str) -> Registry:
    return Registry.parse(example_registry_text() + products)


def published(intake: Intake, request: DispatchRequest) -> DispatchRequest:
    verdict = intake.judge(request, request.zone, NOW)
    assert isinstance(verdict, RevisionVerdict)
    assert isinstance(verdict.publish, DispatchRequest)
    return verdict.publish


def a_request(**changes: object) -> DispatchRequest:
    return a_dispatch_request(request_id="openadr3-1", settlement=None, baseline_method=None, **changes)


def test_the_rules_are_those_of_its_product_and_of_one_without_a_row_those_that_ship() -> None:
    with_row = published(Intake(rules_of=registry(FIRM).rules_of), a_request())
    without = published(Intake(rules_of=registry("").rules_of), a_request())
    assert with_row.settlement is not None
    assert with_row.baseline_method is not None
    assert (with_row.settlement.name, with_row.baseline_method.name) == ("firm", "uk-bl01")
    assert (without.settlement, without.baseline_method) == (STANDARD_RULE, DECLARED)


def test_a_later_revision_keeps_the_rules_of_the_first_whatever_the_registry_says_by_then() -> None:
    rows = [registry("")]

    def rules_of(product: str) -> tuple[PinnedRule, PinnedRule]:
        return rows[-1].rules_of(product)

    intake = Intake(rules_of=rules_of)
    first = published(intake, a_request())
    intake.learn(first)
    rows.append(registry(FIRM))

    same = intake.judge(a_request(), "DE-LU", NOW)
    second = published(intake, a_request(text="More of it."))

    assert isinstance(same, RevisionVerdict)
    assert same.news is News.KNOWN
    assert (second.revision, second.settlement, second.baseline_method) == (2, STANDARD_RULE, DECLARED)


def test_one_that_was_logged_without_a_rule_gets_none_later() -> None:
    intake = Intake(rules_of=registry("").rules_of)
    intake.learn(a_request())
    assert published(intake, a_request(text="More of it.")).settlement is None
