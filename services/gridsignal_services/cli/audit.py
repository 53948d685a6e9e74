"""`gridsignal audit`: proofs of what is on the log, and whether what somebody has in hand proves it."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gridsignal.__main__ import OK
from gridsignal.cli.arguments import Arguments, give_examples, identifier, moment, whole
from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.messages import FlexOffer, Record
from gridsignal_schemas.rules.shapes import findings
from gridsignal_schemas.values import EXACT_MAX, INT32_MAX, rfc3339, text_of_decimal
from gridsignal_services.access.signer import FILE as KEY_FILE
from gridsignal_services.access.signer import Signer
from gridsignal_services.audit.checking import Checked, check
from gridsignal_services.audit.deciding_again import Again
from gridsignal_services.audit.evidence import Evidence, TrustedSigner, faults_between, faults_of
from gridsignal_services.audit.explaining import OfferStory
from gridsignal_services.audit.exporting import MANIFEST, Exported, Wanted, export
from gridsignal_services.audit.proving import KINDS, Found, NotProven, find, prover_of, record_at
from gridsignal_services.audit.subtrees import FOLDER, Subtrees
from gridsignal_services.bus import LogConfigurationError, LogRecord
from gridsignal_services.bus.codec import Codec, Poison
from gridsignal_services.bus.sqlite_reading import LogReading, log_in
from gridsignal_services.cli.failing import REPORTED, failed
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.registry import Registry
from gridsignal_services.settings import ConfigError, ServerSettings

NOT_PROVEN = 1
_UNKNOWN_KEY = "signed with {}: that it is the operator's you have to know from elsewhere (--key)"
_LAST = TOPICS["dispatch"].partitions - 1
EXAMPLE = """\
examples:
  gridsignal audit prove offer OFFER_ID --out offer.json
  gridsignal audit prove --partition 2 --offset 4 --out record.json
  gridsignal audit head --partition 2 --out head.json
  gridsignal audit head --since head.json --out newer.json
  gridsignal audit verify offer.json --key 03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8
  gridsignal audit verify head.json newer.json --registry sites.toml
  gridsignal audit verify gridsignal-data --key 03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8
  gridsignal audit explain OFFER_ID
  gridsignal audit explain OFFER_ID --view participant
  gridsignal audit replay --request REQUEST_ID
  gridsignal audit export --zone DE-LU --from 2030-05-01 --to 2030-06-01 --out may
  gridsignal audit verify may --key 03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8
  gridsignal audit key

`prove` and `head` read the embedded log, also while it runs; each writes one file. `verify` needs the file alone, and
from elsewhere the key of who signs: --key, or a registry with `signers`. Of two files it checks, too, that the newer
head extends the older one; of a log's folder every record, every head and every automatic clearing.
`export` writes a folder with the records and readings of a zone, which `verify` checks where there is no log.
`replay` and `explain` decide automatic clearings again, from the log in a folder.
What is checked and how stands in docs/settlement.md, "Proof".
Exit codes: 0 proven, 1 not proven, 2 it can't be done so, 3 a file can't be read now: try again.
"""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal audit", description="Prove what is on the log, and check proofs.", epilog=EXAMPLE
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    proving = actions.add_parser("prove", help="write a file that proves a record, by its id or its place")
    proving.add_argument("kind", nargs="?", choices=sorted(KINDS), metavar="KIND", help=", ".join(sorted(KINDS)))
    proving.add_argument("id", nargs="?", metavar="ID")
    proving.add_argument("--participant", metavar="ID", help="whose it is, where several have one of that id")
    proving.add_argument(
        "--revision", type=whole(1, INT32_MAX), metavar="N", help="which revision (default: the newest)"
    )
    proving.add_argument("--partition", type=whole(0, _LAST), metavar="P", help="with --offset: the record there")
    proving.add_argument("--offset", type=whole(0, EXACT_MAX), metavar="N")
    heading = actions.add_parser("head", help="write a file with the newest signed head of a partition")
    heading.add_argument("--partition", type=whole(0, _LAST), metavar="P", help="which (default: that of --since)")
    for action in (proving, heading):
        action.add_argument("--since", type=Path, metavar="FILE", help="also prove that its head is extended")
        action.add_argument("--out", type=Path, metavar="FILE", help="the file (default: standard output)")
    verifying = actions.add_parser("verify", help="check a file, or two, the older first; or a whole log")
    verifying.add_argument("files", type=Path, nargs="+", metavar="FILE_OR_FOLDER")
    verifying.add_argument(
        "--key", action="append", type=_public_key, metavar="HEX", help="a public key that heads may be signed with"
    )
    verifying.add_argument("--registry", type=Path, metavar="FILE", help="the same, from a registry's `signers`")
    replaying, explaining, exporting = _of_whole_logs(actions)
    keys = actions.add_parser("key", help="the public key that this folder's owner signs with, for the registry")
    for action in (proving, heading, replaying, explaining, exporting, keys):
        action.add_argument("--directory", type=Path, metavar="DIR", help="the log's (default: gridsignal-data)")
    for action in (proving, heading, verifying, replaying, explaining, exporting, keys):
        action.add_argument("--json", action="store_true", help="one object")
    give_examples(actions, EXAMPLE)
    return arguments


def _of_whole_logs(actions: Any) -> tuple[Arguments, Arguments, Arguments]:
    replaying = actions.add_parser("replay", help="print the awards of automatic clearings again, decided anew")
    replaying.add_argument("--request", type=identifier, metavar="ID", help="of this request alone")
    explaining = actions.add_parser("explain", help="why an offer won or lost, with the merit order as it stood")
    explaining.add_argument("id", metavar="OFFER")
    explaining.add_argument("--participant", metavar="ID", help="whose it is, where several have one of that id")
    explaining.add_argument(
        "--view", choices=("operator", "participant"), default="operator", help="a participant's tells no other's price"
    )
    exporting = actions.add_parser("export", help="write a folder for a third party, which `verify` checks by itself")
    exporting.add_argument("--zone", required=True, type=identifier, metavar="ZONE")
    exporting.add_argument(
        "--from", dest="since", required=True, type=moment, metavar="TIME", help="readings from then on"
    )
    exporting.add_argument("--to", dest="until", required=True, type=moment, metavar="TIME", help="and before then")
    exporting.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="must not be there yet")
    return replaying, explaining, exporting


def run(args: argparse.Namespace) -> int:
    """0 proven or done, 1 not proven, 2 where it can't be done like this, 3 where something can't be read now."""
    try:
        if args.action == "verify":
            return _verify(args)
        directory = ServerSettings.from_environment(os.environ, directory=args.directory).directory
        return _ACTIONS[args.action](args, directory)
    except BrokenPipeError:
        raise
    except NotProven as error:
        _say(args, {"proven": False, "faults": [str(error)]}, [f"not proven: {error}"])
        return NOT_PROVEN
    except REPORTED as error:
        return failed(f"audit {args.action}", error)


# --- evidence out of a log ---------------------------------------------------------------------------------------


def _public_key(text: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise argparse.ArgumentTypeError(f"expected 64 hexadecimal digits, got {text!r:.80}")
    return text.lower()


def _prove(args: argparse.Namespace, directory: Path) -> int:
    older = None if args.since is None else _read(args.since).head
    codec = Codec.from_lock()
    with log_in(directory) as log, prover_of(log, codec, directory) as prover:
        found = None if args.action == "head" else _found(args, log, codec)
        if found is None and args.partition is None and older is None:
            raise ConfigError("expected --partition or --since, got neither")
        partition = args.partition if found is None else found.logged.partition
        if partition is None and older is not None:
            partition = older.partition
        evidence = prover.evidence(partition, None if found is None else found.logged, older)
    text = evidence.model_dump_json(indent=2, exclude_none=True) + "\n"
    if args.out is None:
        print(text, end="")
        return OK
    args.out.write_text(text, "utf-8")
    plain = {"file": str(args.out), **_plain(evidence, found)}
    _say(args, plain, [f"{args.out}: {line}" for line in _lines(evidence, None if found is None else found.record)])
    return OK


def _found(args: argparse.Namespace, log: LogReading, codec: Codec) -> Found:
    by_place = args.partition is not None and args.offset is not None
    if by_place == (args.id is not None):
        raise ConfigError("expected a kind and an id, or --partition and --offset")
    if not by_place:
        return find(log, codec, args.kind, args.id, args.participant, args.revision)
    logged = record_at(log, args.partition, args.offset)
    try:
        return Found(logged, codec.decode(logged.value))
    except Poison as poison:
        raise NotProven(f"the record at offset {args.offset} can't be read: {poison}") from None


def _export(args: argparse.Namespace, directory: Path) -> int:
    if args.since >= args.until:
        raise ConfigError(f"expected --from before --to, got {rfc3339(args.since)} and {rfc3339(args.until)}")
    with log_in(directory) as log:
        manifest = export(log, Codec.from_lock(), Wanted(args.zone, args.since, args.until), args.out)
    counts = f"{manifest['records']} records, {manifest['readings']} readings"
    line = f"{args.out}: partition {manifest['partition']}, {counts}"
    _say(args, {"folder": str(args.out), **manifest}, [line])
    return OK


def _key(args: argparse.Namespace, directory: Path) -> int:
    signer = Signer.open(directory / KEY_FILE)
    lines = [signer.public_key, "", "in the registry:", "[signers.NAME]", f'public_key = "{signer.public_key}"']
    _say(args, {"public_key": signer.public_key, "file": str(directory / KEY_FILE)}, lines)
    return OK


# --- a log decided again ----------------------------------------------------------------------------------------


def _replay(args: argparse.Namespace, directory: Path) -> int:
    codec, rows = Codec.from_lock(), list[dict[str, Any]]()

    def hear(_: Ledger, logged: LogRecord, __: Record, ___: Outcome, again: Again | None) -> None:
        if again is None or again.again is None or args.request not in (None, again.clearing.request_id):
            return
        same = codec.encode(again.again) == logged.value
        place = {"partition": logged.partition, "offset": logged.offset, "same_bytes": same}
        rows.append(place | {"clearing": again.again.model_dump(mode="json")})

    with log_in(directory) as log:
        found = [check(each, codec, partial(log.records, "dispatch", each), heard=hear) for each in _begun(log)]
    faults = [f"partition {each.partition}: {fault}" for each in found for fault in each.faults]
    _say(args, {"proven": not faults, "faults": faults, "clearings": rows}, [*map(_replayed, rows), *faults])
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


def _explain(args: argparse.Namespace, directory: Path) -> int:
    codec = Codec.from_lock()
    with log_in(directory) as log:
        found = find(log, codec, "offer", args.id, args.participant, None)
        assert isinstance(found.record, FlexOffer), "what is found as an offer is one"
        key, partition = (found.record.participant, args.id), found.logged.partition
        story = OfferStory(key, for_operator=args.view == "operator")
        checked = check(partition, codec, partial(log.records, "dispatch", partition), heard=story.hear)
    if checked.faults:
        raise NotProven(checked.faults[0])
    _say(args, _told(story), list(story.lines()))
    return OK


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
        "words": list(story.lines()),
    }


def _begun(log: LogReading) -> list[int]:
    """The partitions on which something lies."""
    return [each for each in range(TOPICS["dispatch"].partitions) if log.bounds("dispatch", each)[1]]


# --- what somebody has in hand -----------------------------------------------------------------------------------


def _verify(args: argparse.Namespace) -> int:
    signers = _signers(args)
    if any(file.is_dir() for file in args.files):
        if len(args.files) > 1:
            raise ConfigError("expected files, or one folder, got both")
        return _verify_log(args, args.files[0], signers)
    evidence = [_read(file) for file in args.files]
    faults = [
        f"{file}: {fault}"
        for file, each in zip(args.files, evidence, strict=True)
        for fault in faults_of(each, signers)
    ]
    for older, newer, file in zip(evidence, evidence[1:], args.files[1:], strict=False):
        faults += [f"{file}: {fault}" for fault in faults_between(older.head, newer)]
    records = [_record_of(each) for each in evidence]
    result = {
        "proven": not faults,
        "faults": faults,
        "key_is_known": signers is not None and not faults,
        "files": [
            {"file": str(file), **_plain(each, None), "record": None if record is None else _json_of(record)}
            for file, each, record in zip(args.files, evidence, records, strict=True)
        ],
    }
    lines = [f"not proven: {fault}" for fault in faults]
    if not faults:
        for file, each, record in zip(args.files, evidence, records, strict=True):
            lines += [f"{file}: {line}" for line in _lines(each, record)]
            lines += [] if record is None else [json.dumps(_json_of(record))]
        if signers is None:
            keys = ", ".join(dict.fromkeys(each.head.signed_by for each in evidence))
            lines.append(_UNKNOWN_KEY.format(keys))
    _say(args, result, lines)
    return NOT_PROVEN if faults else OK


def _verify_log(args: argparse.Namespace, directory: Path, signers: list[TrustedSigner] | None) -> int:
    codec, faults = Codec.from_lock(), list[str]()
    if (directory / MANIFEST).exists():
        try:
            exported = Exported(directory)
        except LogConfigurationError as broken:
            raise NotProven(str(broken)) from None
        found = [check(exported.partition, codec, exported.records, leaves=exported.leaves(), signers=signers)]
        faults += exported.faults()
    else:
        with log_in(directory) as log:
            found = [
                check(
                    partition,
                    codec,
                    partial(log.records, "dispatch", partition),
                    leaves=Subtrees(directory / FOLDER / log.epoch, partition).leaves(),
                    readings=partial(log.records, "readings", partition),
                    signers=signers,
                )
                for partition in _begun(log)
            ]
    faults = [f"partition {each.partition}: {fault}" for each in found for fault in each.faults] + faults
    lines = [f"not proven: {fault}" for fault in faults] or [line for each in found for line in _lines_of(each)]
    if not faults and signers is None:
        keys = dict.fromkeys(key for each in found for key in each.signers)
        lines += [_UNKNOWN_KEY.format(", ".join(keys))] if keys else []
    _say(args, {"proven": not faults, "faults": faults, "partitions": [asdict(each) for each in found]}, lines)
    return NOT_PROVEN if faults else OK


def _lines_of(checked: Checked) -> list[str]:
    line = (
        f"partition {checked.partition}: {checked.records} records, {checked.heads} heads fit,"
        f" {checked.clearings} clearings decided again and {checked.settlements} settlements computed again"
        " with the same result"
    )
    if checked.baselines:
        line += f"; {checked.baselines} baselines fixed again from history, too"
    after = checked.records - checked.covered
    return [line, *([f"  after the last head: {after} records that nothing covers yet"] if after > 1 else [])]


def _signers(args: argparse.Namespace) -> list[TrustedSigner] | None:
    if args.key is None and args.registry is None:
        return None
    named = {} if args.registry is None else Registry.load(args.registry).signers
    found = [TrustedSigner(each.public_key, name, each.valid_from, each.valid_until) for name, each in named.items()]
    return found + [TrustedSigner(key) for key in args.key or ()]


def _read(file: Path) -> Evidence:
    try:
        return Evidence.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise NotProven(
            f"{file}: expected a file of `audit prove` or `audit head`, got {findings(error).lstrip(': ')}"
        ) from None


def _record_of(evidence: Evidence) -> Record | None:
    if evidence.record is None:
        return None
    try:
        return Codec.from_lock().decode(evidence.record.bytes())
    except (Poison, ValueError):
        return None


def _plain(evidence: Evidence, found: Found | None) -> dict[str, Any]:
    plain: dict[str, Any] = {"partition": evidence.head.partition, "size": evidence.head.size, "log": evidence.head.log}
    if evidence.record is not None:
        plain["offset"] = evidence.record.offset
    if found is not None:
        plain["record"] = found.record.record_name
    return plain | {"signed_by": evidence.head.signed_by, "signed_at": rfc3339(evidence.head.signed_at)}


def _lines(evidence: Evidence, record: Record | None) -> list[str]:
    head = evidence.head
    lines = [f"head of partition {head.partition}, size {head.size}, signed {rfc3339(head.signed_at)}"]
    if evidence.record is not None:
        name = "a record" if record is None else f"a {record.record_name}"
        lines.insert(0, f"{name} at offset {evidence.record.offset}, by {evidence.record.principal or 'nobody named'}")
    if evidence.extends is not None:
        lines.append(f"which extends the head of size {evidence.extends.size}")
    return lines


def _json_of(record: Record) -> dict[str, Any]:
    return {record.record_name: record.model_dump(mode="json")}


def _say(args: argparse.Namespace, result: dict[str, Any], lines: Sequence[str]) -> None:
    print(json.dumps(result, default=_plainly) if args.json else "\n".join(lines))


def _plainly(value: object) -> str:
    assert isinstance(value, Decimal), "all else is JSON's own"
    return text_of_decimal(value)


_ACTIONS = {"export": _export, "key": _key, "prove": _prove, "head": _prove, "replay": _replay, "explain": _explain}
"""What reads a folder, by its name."""
