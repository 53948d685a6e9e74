"""Brings the registry's sites and areas onto the log: the reduce reads no file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gridsignal_schemas.messages import AreaRegistration, SiteMeter, SiteRegistration
from gridsignal_services.grid_areas import shares_of
from gridsignal_services.registry import Registry
from gridsignal_services.replica import Replica

_PRINCIPAL = "service:dispatch"


def differences(registry: Registry, known: Iterable[SiteRegistration]) -> Iterator[SiteRegistration]:
    """The sites that make the log agree with the registry; a site's next revision where one differs."""
    by_name = {site.site: site for site in known}
    for name, entry in sorted(registry.sites.items()):
        before = by_name.get(name)
        wanted = SiteRegistration(
            zone=entry.zone,
            site=name,
            participant=entry.participant,
            capacity_w=entry.capacity_w,
            minimum_load_w=entry.minimum_load_w,
            external_ids=dict(entry.external_ids),
            revision=1 if before is None else before.revision,
            meters=[
                SiteMeter(meter=meter, since=each.since, until=each.until, digits=each.digits)
                for meter, each in sorted(entry.meters.items())
            ]
            or None,
        )
        if before is None:
            yield wanted
        elif wanted != before:
            yield wanted.model_copy(update={"revision": before.revision + 1})


def differences_of_areas(registry: Registry, known: Iterable[AreaRegistration]) -> list[AreaRegistration]:
    """The same of areas, in each zone that has sites of one; one that has none any more gets an end.

    Zones whose share grows come last: the others have given it up by then.
    """
    before = {(area.zone, area.area): area for area in known}
    wanted = {(area.zone, area.area): area for name in registry.areas for area in _shares(registry, name)}
    for (zone, name), held in before.items():
        if held.sites and (zone, name) not in wanted:
            wanted[zone, name] = AreaRegistration(zone=zone, area=name, revision=1, sites=[], share_ppm=0)
    changed = []
    for key, area in sorted(wanted.items()):
        held_ppm = 0 if key not in before else before[key].share_ppm
        if key not in before:
            changed.append((area.share_ppm - held_ppm, area))
        elif area != before[key].model_copy(update={"revision": 1}):
            later = area.model_copy(update={"revision": before[key].revision + 1})
            changed.append((area.share_ppm - held_ppm, later))
    return [area for _, area in sorted(changed, key=lambda each: each[0])]


def _shares(registry: Registry, name: str) -> Iterator[AreaRegistration]:
    return shares_of(name, registry.areas, registry.sites)


async def register(replica: Replica, registry: Registry) -> None:
    """Appends what differs; two processes at once do no harm, the later revision is then not accepted."""
    books = [ledger.book for ledger in replica.ledgers.values()]
    for site in differences(registry, [site for book in books for site in book.sites.values()]):
        await replica.submit(site, _PRINCIPAL)
    for area in differences_of_areas(registry, [area for book in books for area in book.areas.values()]):
        await replica.submit(area, _PRINCIPAL)
