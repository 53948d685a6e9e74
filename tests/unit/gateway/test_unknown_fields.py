"""A write of thousands of unknown fields is told what one of a few is told, and costs no more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gridsignal_schemas.frames import Offer
from gridsignal_schemas.messages import FlexOffer
from gridsignal_schemas.rules.writes import MAX_DETAILS, Speaker, WriteRefused, details_of, record_of
from tests.builders import a_flex_offer

SPEAKER = Speaker("acme-ai", "fra-1", "DE-LU")
OFFER: dict[str, Any] = a_flex_offer().model_dump(mode="json")
KNOWN = {"offer_id": "o", "zone": SPEAKER.zone, "participant": SPEAKER.participant, "site": SPEAKER.site}


@given(st.sets(st.sampled_from(sorted(OFFER))), st.integers(0, 4000))
def test_the_same_is_told_of_a_few_unknown_fields_and_of_thousands(missing: set[str], unknown: int) -> None:
    known = {name: value for name, value in OFFER.items() if name not in missing | KNOWN.keys()}
    body = known | {f"field{number}": number for number in range(unknown)}
    try:
        FlexOffer.model_validate(body | KNOWN)
    except ValidationError as invalid:
        expected = details_of(invalid)
    else:
        expected = []
    if not expected:
        record_of(Offer(id=1, offer_id="o", body=body), SPEAKER)
        return
    with pytest.raises(WriteRefused) as refused:
        record_of(Offer(id=1, offer_id="o", body=body), SPEAKER)
    assert refused.value.details == expected
    found = refused.value.__context__
    assert isinstance(found, ValidationError)
    assert found.error_count() <= len(OFFER) + MAX_DETAILS
