"""`gridsignal audit prove`, `head` and `key`, and files of theirs that are checked with nothing else at hand."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gridsignal.__main__ import OK
from gridsignal_schemas.evidence import Evidence, Heads, Proof
from gridsignal_schemas.messages import Record, TreeHead
from gridsignal_schemas.rules.shapes import shape_fault
from gridsignal_schemas.signatures import BadSignature
from gridsignal_schemas.values import rfc3339
from gridsignal_services.access.signer import FILE as KEY_FILE
from gridsignal_services.access.signer import Signer
from gridsignal_services.audit.evidence import TrustedSigner, faults_between, faults_of
from gridsignal_services.audit.proving import Found, NotProven, find, judged, prover_of, record_at
from gridsignal_services.audit.signed import SigningOf, in_words, looked_at
from gridsignal_services.audit.whole import WholeLog
from gridsignal_services.bus import LogConfigurationError
from gridsignal_services.bus.codec import Codec, Poison, schema_id_of
from gridsignal_services.cli.api import answer, door, exit_code
from gridsignal_services.cli.audit_said import NOT_PROVEN, UNKNOWN_KEY, say
from gridsignal_services.cli.whole_log import signing_of, whole_log
from gridsignal_services.settings import ConfigError


def prove(args: argparse.Namespace) -> int:
    """Writes a file that proves a record, or one with the newest head alone."""
    older = None if args.since is None else _read(args.since).head
    if args.api is not None:
        return exit_code(lambda asked: _write(asked, *_of_door(asked, older)), args)
    if args.zone is not None or args.request is not None:
        raise ConfigError("expected --zone and --request with --api, got them without")
    with whole_log(args) as whole, prover_of(whole.log, whole.codec, whole.directory) as prover:
        found = None if args.action == "head" else _found(args, whole)
        if found is None and args.partition is None and older is None:
            raise ConfigError("expected --partition or --since, got neither")
        partition = args.partition if found is None else found.logged.partition
        if partition is None and older is not None:
            partition = older.partition
        evidence = prover.evidence(partition, None if found is None else found.logged, older)
    if found is not None and found.note:
        print(f"gridsignal audit prove: {found.note}", file=sys.stderr)
    return _write(args, evidence, None if found is None else found.record)


def _of_door(args: argparse.Namespace, older: TreeHead | None) -> tuple[Evidence, Record | None]:
    """The same from a door. Raises Failed."""
    if getattr(args, "revision", None) is not None:
        raise ConfigError("expected --revision with a log, got it with --api, which proves what holds now")
    if args.partition is not None or args.directory is not None:
        raise ConfigError("expected a log's --partition and --directory, or --api with --zone, got both")
    named = {"zone": args.zone, "since": None if older is None else older.size}
    with door(args) as http:
        if args.action == "head":
            if args.zone is None:
                raise ConfigError("expected --zone with --api, got none")
            shown = answer(http.get("/v1/heads", params=_given(named | {"limit": 1})))
            for evidence in Heads.model_validate_json(json.dumps(shown)).heads:
                return evidence, None
            raise NotProven(f"the door shows no head of zone {args.zone} yet")
        named |= {"kind": args.kind, "id": args.id, "offset": args.offset, "request_id": args.request}
        named |= {"participant": args.participant}
        proof = Proof.model_validate_json(json.dumps(answer(http.get("/v1/proofs", params=_given(named)))))
    return proof.evidence, _record_of(proof.evidence)


def _given(named: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in named.items() if value is not None}


def _write(args: argparse.Namespace, evidence: Evidence, record: Record | None) -> int:
    text = evidence.model_dump_json(indent=2, exclude_none=True) + "\n"
    if args.out is None:
        print(text, end="")
        return OK
    args.out.write_text(text, "utf-8")
    plain = {"file": str(args.out), **_plain(evidence, record)}
    say(args, plain, [f"{args.out}: {line}" for line in _lines(evidence, record)])
    return OK


def _found(args: argparse.Namespace, whole: WholeLog) -> Found:
    by_place = args.partition is not None and args.offset is not None
    if by_place == (args.id is not None):
        raise ConfigError("expected a kind and an id, or --partition and --offset")
    if not by_place:
        return find(whole.log, whole.codec, args.kind, args.id, args.participant, args.revision)
    logged = record_at(whole.log, args.partition, args.offset)
    try:
        return judged(whole.log, whole.codec, Found(logged, whole.codec.decode(logged.value)))
    except Poison as poison:
        raise NotProven(f"the record at offset {args.offset} can't be read: {poison}") from None


def key(args: argparse.Namespace, directory: Path) -> int:
    """Shows the public key that heads are signed with."""
    signer = Signer.open(directory / KEY_FILE)
    lines = [signer.public_key, "", "in the registry:", "[signers.NAME]", f'public_key = "{signer.public_key}"']
    say(args, {"public_key": signer.public_key, "file": str(directory / KEY_FILE)}, lines)
    return OK


def verify_files(args: argparse.Namespace, signers: list[TrustedSigner] | None) -> int:
    """Checks files, the older first."""
    evidence = [_read(file) for file in args.files]
    faults = [
        f"{file}: {fault}"
        for file, each in zip(args.files, evidence, strict=True)
        for fault in faults_of(each, signers)
    ]
    for older, newer, file in zip(evidence, evidence[1:], args.files[1:], strict=False):
        faults += [f"{file}: {fault}" for fault in faults_between(older.head, newer)]
    records, signing = [_record_of(each) for each in evidence], signing_of(args.registry)
    for file, each, record in zip(args.files, evidence, records, strict=True):
        faults += [f"{file}: {fault}" for fault in _faults_of_signature(each, record, signing)]
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
            lines.append(UNKNOWN_KEY.format(keys))
    say(args, result, lines)
    return NOT_PROVEN if faults else OK


def _faults_of_signature(evidence: Evidence, record: Record | None, signing: SigningOf | None) -> Iterator[str]:
    """What an operator asks for on its requests alone is not known from a file."""
    if record is None or evidence.record is None or signing is None:
        return
    holds = signing(str(getattr(record, "participant", "")), None)
    try:
        looked_at(record, evidence.record.signature, evidence.record.appended_us, holds)
    except BadSignature as bad:
        yield in_words(bad)


_MOST_SAID = 3
"""Of what is wrong with a file."""


def _read(file: Path) -> Evidence:
    try:
        return Evidence.model_validate_json(file.read_bytes())
    except ValidationError as error:
        faults = map(shape_fault, error.errors(include_url=False)[:_MOST_SAID])
        said = "; ".join(f"at {fault.pointer or '/'} {fault.message}" for fault in faults)
        raise NotProven(f"{file}: expected a file of `audit prove` or `audit head`, but {said}") from None


def _record_of(evidence: Evidence) -> Record | None:
    if evidence.record is None:
        return None
    try:
        value, avro = evidence.record.bytes(), evidence.record.avro
        codec = Codec.from_lock() if avro is None else Codec.of_schemas({schema_id_of(value): avro})
        return codec.decode(value)
    except (Poison, ValueError, LogConfigurationError):
        return None


def _plain(evidence: Evidence, record: Record | None) -> dict[str, Any]:
    plain: dict[str, Any] = {"partition": evidence.head.partition, "size": evidence.head.size, "log": evidence.head.log}
    if evidence.record is not None:
        plain["offset"] = evidence.record.offset
    if record is not None:
        plain["record"] = record.record_name
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
