"""Energy certificates that a site names: where its energy came from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gridsignal_schemas.values import Energy, Identifier, Once, Shape

MOST_CERTIFICATES = 16
"""That one reading or offer names."""
CertificateId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/-]{1,128}$")]


class EnergyCertificate(Shape):
    """A certificate that a site has cancelled for its consumption, such as a granular certificate (EnergyTag)."""

    certificate_id: CertificateId
    """Its issuer's id; nobody here looks it up there."""
    energy_wh: Energy | None = None
    """Its face value in whole watt-hours; without it nothing is matched."""
    source: Identifier | None = None
    """What the energy was made of, by a short name such as WIND or SOLAR_PV."""


Certificates = Annotated[
    list[EnergyCertificate], Field(min_length=1, max_length=MOST_CERTIFICATES), Once("certificate_id")
]
"""Each once."""
