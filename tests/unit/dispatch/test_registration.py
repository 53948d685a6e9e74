"""The registry's sites come onto the log: what is missing, and what has changed."""

from __future__ import annotations

from gridsignal_schemas.messages import SiteRegistration
from gridsignal_services.dispatch.registration import differences
from gridsignal_services.registry import Registry, example_registry, example_registry_text

REGISTRY = example_registry()


def on_the_log(registry: Registry = REGISTRY) -> list[SiteRegistration]:
    return list(differences(registry, []))


def test_an_empty_log_gets_every_site_once() -> None:
    assert {(site.site, site.revision) for site in on_the_log()} == {(name, 1) for name in REGISTRY.sites}


def test_a_log_that_agrees_gets_nothing() -> None:
    assert list(differences(REGISTRY, on_the_log())) == []


def test_a_changed_site_gets_its_next_revision_and_the_others_nothing() -> None:
    less = Registry.parse(example_registry_text().replace("minimum_load_w = 12_000_000", "minimum_load_w = 11_000_000"))
    (changed,) = differences(less, on_the_log())
    assert (changed.site, changed.revision, changed.minimum_load_w) == ("fra-1", 2, 11_000_000)
    known = [site for site in on_the_log() if site.site != "fra-1"]
    assert list(differences(less, [*known, changed])) == []


def test_a_site_that_left_the_registry_stays_on_the_log() -> None:
    fewer = REGISTRY.model_copy(update={"sites": {}})
    assert list(differences(fewer, on_the_log())) == []
