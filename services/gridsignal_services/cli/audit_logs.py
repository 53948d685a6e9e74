"""`gridsignal audit verify`, `replay`, `explain` and `export` of a whole log, and `verify` of what was exported."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gridsignal.__main__ import OK
from gridsignal_schemas.messages import FlexOffer, OfferDecision, Record
from gridsignal_schemas.values import rfc3339
from gridsignal_services.audit.checking import Checked, check
from gridsignal_services.audit.deciding_again import Again
from gridsignal_services.audit.evidence import TrustedSigner
from gridsignal_services.audit.explaining import OfferStory
from gridsignal_services.audit.exported import Exported, faults_of_files
from gridsignal_services.audit.exporting import Wish, export
from gridsignal_services.audit.proving import Found, NotProven, NotThere, find
from gridsignal_services.audit.whole import WholeLog
from gridsignal_services.bus import LogConfigurationError, LogRecord
from gridsignal_services.cli.audit_said import NOT_PROVEN, UNKNOWN_KEY, say, say_checked
from gridsignal_services.cli.whole_log import signing_of, whole_log
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.registry import Registry, example_registry
from gridsignal_services.settings import ConfigError, ServerSettings


def verify_log(args: argparse.Namespace, signers: list[TrustedSigner] | None) -> int:
    """Checks a whole log, or of a zone what is its own."""
    with whole_log(args) as whole:
        found = whole.checked(zone=args.zone, signers=signers, signing_of=signing_of(args.registry))
    return say_checked(args, found, [], _keys(found, signers))


def verify_export(args: argparse.Namespace, folder: Path, signers: list[TrustedSigner] | None) -> int:
    """Checks a folder that was exported, where there is nothing else."""
    faults, found = list(faults_of_files(folder)), list[Checked]()
    try:
        exported = Exported(folder)
        codec, readings = exported.codec(), exported.readings()
        found.append(
            check(
                exported.partition,
                codec,
                exported.records,
                leaves=exported.leaves(),
                readings=readings,
                signers=signers,
                signing_of=signing_of(args.registry),
            )
        )
        faults += exported.faults()
    except LogConfigurationError as broken:
        faults.append(str(broken))
    return say_checked(args, found, list(dict.fromkeys(faults)), _keys(found, signers))


def _keys(found: Sequence[Checked], signers: list[TrustedSigner] | None) -> list[str]:
    keys = dict.fromkeys(key for each in found for key in each.signers)
    return [UNKNOWN_KEY.format(", ".join(keys))] if keys and signers is None else []


def export_zone(args: argparse.Namespace) -> int:
    """Writes a folder for a third party."""
    if args.since >= args.until:
        raise ConfigError(f"expected --from before --to, got {rfc3339(args.since)} and {rfc3339(args.until)}")
    with whole_log(args) as whole:
        whole.partitions(args.zone)  # there is something of it
        manifest = export(whole.log, whole.codec, Wish(args.zone, args.since, args.until), args.out)
    counts = f"{manifest['records']} records, {manifest['readings']} readings"
    line = f"{args.out}: partition {manifest['partition']}, {counts}"
    say(args, {"folder": str(args.out), **manifest}, [line])
    return OK


def replay(args: argparse.Namespace) -> int:
    """Prints the awards of automatic clearings as the rules make them."""
    rows = list[dict[str, Any]]()

    def hear(_: Ledger, logged: LogRecord, __: Record, ___: Outcome, again: Again | None) -> None:
        if again is None or again.again is None or args.request not in (None, again.clearing.request_id):
            return
        same = whole.codec.encode(again.again) == logged.value
        place = {"partition": logged.partition, "offset": logged.offset, "same_bytes": same}
        rows.append(place | {"clearing": again.again.model_dump(mode="json")})

    with whole_log(args) as whole:
        found = [whole.heard(each, hear) for each in whole.partitions()]
    faults = [f"partition {each.partition}: {fault}" for each in found for fault in each.faults]
    say(args, {"proven": not faults, "faults": faults, "clearings": rows}, [*map(_replayed, rows), *faults])
    return NOT_PROVEN if faults else OK


def _replayed(row: dict[str, Any]) -> str:
    clearing = row["clearing"]
    awards = [
        f"{each['participant']}/{each['offer_id']} {each['power_w']} W at {each['price_per_mwh']}"
        for each in clearing["awards"]
    ]
    same = "same bytes" if row["same_bytes"] else "other bytes than on the log"
    place = f"partition {row['partition']}, offset {row['offset']}, {same}"
    return f"{place}: request {clearing['request_id']}: {', '.join(awards) or 'no awards'}"


def _registry_of(path: Path | None) -> Registry:
    """The one that is named, or that of the settings, or the shipped example: no product of it publishes anything."""
    path = path or ServerSettings.from_environment(os.environ).registry
    return example_registry() if path is None else Registry.load(path)


def explain(args: argparse.Namespace) -> int:
    """Tells why an offer won or lost."""
    with whole_log(args) as whole:
        found = _offered(whole, args)
        assert isinstance(found.record, (FlexOffer, OfferDecision)), "what is found as an offer is one, or its decision"
        key, partition = (found.record.participant, args.id), found.logged.partition
        story = OfferStory(key, args.view == "operator", _registry_of(args.registry).publishes_at)
        checked = whole.heard(partition, story.hear)
    if checked.faults:
        raise NotProven(checked.faults[0])
    say(args, _told(story), list(story.lines()))
    return OK


def _offered(whole: WholeLog, args: argparse.Namespace) -> Found:
    """The offer; or the decision on it, where a request made it of one that stood, and nobody sent it."""
    try:
        return find(whole.log, whole.codec, "offer", args.id, args.participant, None)
    except NotThere as error:
        try:
            return find(whole.log, whole.codec, "decision", args.id, args.participant, None)
        except NotThere:
            raise error from None


def _told(story: OfferStory) -> dict[str, Any]:
    return {
        "participant": story.key[0],
        "offer_id": story.key[1],
        "offer": None if story.offer is None else story.offer.model_dump(mode="json"),
        "state": None if story.standing is None else story.standing.state,
        "codes": story.codes,
        "clearings": [
            {name: value for name, value in asdict(each).items() if value is not None} for each in story.clearings
        ],
        "by_hand": [asdict(each) for each in story.by_hand],
        "words": list(story.lines()),
    }
