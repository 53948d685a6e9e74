"""Brings the registry's sites onto the log: the reduce reads no file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gridsignal_schemas.messages import SiteMeter, SiteRegistration
from gridsignal_services.registry import Registry
from gridsignal_services.replica import Replica

_PRINCIPAL = "service:dispatch"


def differences(registry: Registry, known: Iterable[SiteRegistration]) -> Iterator[SiteRegistration]:
    """The registrations that make the log agree with the registry; a site's next revision where one differs."""
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


async def register_sites(replica: Replica, registry: Registry) -> None:
    """Appends what differs; two processes at once do no harm, the later revision is then not accepted."""
    known = [site for ledger in replica.ledgers.values() for site in ledger.sites.values()]
    for registration in differences(registry, known):
        await replica.submit(registration, _PRINCIPAL)
