"""`gridsignal audit`: proofs of what is on the log, and whether what somebody has in hand proves it."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import Any

from gridsignal.cli.arguments import Arguments, give_examples, identifier, moment, whole
from gridsignal.cli.secure import add_tls_options
from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.values import EXACT_MAX, INT32_MAX
from gridsignal_services.audit.evidence import TrustedSigner
from gridsignal_services.audit.exported import Exported
from gridsignal_services.audit.proving import KINDS, NotProven
from gridsignal_services.bus.sqlite_file import FILE as LOG_FILE
from gridsignal_services.cli.audit_files import key, prove, verify_files
from gridsignal_services.cli.audit_logs import explain, export_zone, replay, verify_export, verify_log
from gridsignal_services.cli.audit_said import NOT_PROVEN, say
from gridsignal_services.cli.failing import REPORTED, failed
from gridsignal_services.registry import Registry
from gridsignal_services.settings import ConfigError, ServerSettings

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
  gridsignal audit verify --zone DE-LU
  gridsignal audit explain OFFER_ID
  gridsignal audit explain OFFER_ID --view participant
  gridsignal audit replay --request REQUEST_ID
  gridsignal audit export --zone DE-LU --from 2030-05-01 --to 2030-06-01 --out may
  gridsignal audit verify may --key 03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8
  gridsignal audit key

`prove` and `head` read the embedded log, also while it runs, or with --api ask a dispatch door. Each writes one file.
`verify` needs the file alone, and from elsewhere the key of who signs: --key, or a registry with `signers`. Of two
files it checks, too, that the newer head extends the older one; of a log's folder every record, every head, every
automatic clearing and every settlement.
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
    proving.add_argument("id", nargs="?", metavar="ID", help="its id; of a settlement its order's, too")
    proving.add_argument("--participant", metavar="ID", help="whose it is, where several have one of that id")
    proving.add_argument(
        "--revision", type=whole(1, INT32_MAX), metavar="N", help="which revision (default: the newest that was taken)"
    )
    proving.add_argument("--partition", type=whole(0, _LAST), metavar="P", help="with --offset: the record there")
    proving.add_argument("--offset", type=whole(0, EXACT_MAX), metavar="N")
    heading = actions.add_parser("head", help="write a file with the newest signed head of a partition")
    heading.add_argument("--partition", type=whole(0, _LAST), metavar="P", help="which (default: that of --since)")
    for action in (proving, heading):
        _add_door(action)
    for action in (proving, heading):
        action.add_argument("--since", type=Path, metavar="FILE", help="also prove that its head is extended")
        action.add_argument("--out", type=Path, metavar="FILE", help="the file (default: standard output)")
    verifying = actions.add_parser("verify", help="check a file, or two, the older first; or a whole log")
    verifying.add_argument("files", type=Path, nargs="*", metavar="FILE_OR_FOLDER")
    verifying.add_argument("--zone", type=identifier, metavar="ZONE", help="of a log, what is this zone's")
    verifying.add_argument(
        "--key", action="append", type=_public_key, metavar="HEX", help="a public key that heads may be signed with"
    )
    verifying.add_argument("--registry", type=Path, metavar="FILE", help="the same, and the keys of participants")
    replaying, explaining, exporting = _of_whole_logs(actions)
    keys = actions.add_parser("key", help="the public key that this folder's owner signs with, for the registry")
    for action in (proving, heading, verifying, replaying, explaining, exporting, keys):
        action.add_argument("--directory", type=Path, metavar="DIR", help="the log's (default: gridsignal-data)")
    for action in (proving, heading, verifying, replaying, explaining, exporting, keys):
        action.add_argument("--json", action="store_true", help="one object")
    give_examples(actions, EXAMPLE)
    return arguments


def _add_door(action: Arguments) -> None:
    door = action.add_argument_group("from a dispatch door, in place of a log")
    door.add_argument("--api", metavar="URL", help="the door, such as http://127.0.0.1:8082")
    door.add_argument("--zone", type=identifier, metavar="ZONE", help="in place of --partition: on whose log")
    door.add_argument("--request", type=identifier, metavar="ID", help="of an offer on a request that is over")
    door.add_argument(
        "--token-file", type=Path, metavar="FILE", help="a file with the bearer token (default: GRIDSIGNAL_TOKEN)"
    )
    add_tls_options(door)


def _of_whole_logs(actions: Any) -> tuple[Arguments, Arguments, Arguments]:
    replaying = actions.add_parser("replay", help="print the awards of automatic clearings again, decided anew")
    replaying.add_argument("--request", type=identifier, metavar="ID", help="of this request alone")
    explaining = actions.add_parser("explain", help="why an offer won or lost, with the merit order as it stood")
    explaining.add_argument("id", metavar="OFFER")
    explaining.add_argument("--participant", metavar="ID", help="whose it is, where several have one of that id")
    explaining.add_argument(
        "--view", choices=("operator", "participant"), default="operator", help="a participant's tells no other's price"
    )
    explaining.add_argument(
        "--registry", type=Path, metavar="FILE", help="whose products say when a participant is told prices"
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
        return _ACTIONS[args.action](args)
    except BrokenPipeError:
        raise
    except NotProven as error:
        say(args, {"proven": False, "faults": [str(error)]}, [f"not proven: {error}"])
        return NOT_PROVEN
    except REPORTED as error:
        return failed(f"audit {args.action}", error)


def _public_key(text: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise argparse.ArgumentTypeError(f"expected 64 hexadecimal digits, got {text!r:.80}")
    return text.lower()


def _verify(args: argparse.Namespace) -> int:
    signers = _signers(args)
    folders = [file for file in args.files if file.is_dir()]
    if folders and len(args.files) > 1:
        raise ConfigError("expected files, or one folder, got both")
    if args.files and not folders:
        if args.zone is not None:
            raise ConfigError("expected --zone with a log, got files, which say which record they prove")
        return verify_files(args, signers)
    if folders and not (folders[0] / LOG_FILE).exists() and Exported.is_in(folders[0]):
        return verify_export(args, folders[0], signers)
    if not folders and args.zone is None:
        raise ConfigError("expected files, a folder or --zone, got none of them")
    args.directory = folders[0] if folders else args.directory
    return verify_log(args, signers)


def _signers(args: argparse.Namespace) -> list[TrustedSigner] | None:
    named = {} if args.registry is None else Registry.load(args.registry).signers
    found = [TrustedSigner(each.public_key, name, each.valid_from, each.valid_until) for name, each in named.items()]
    return [*found, *map(TrustedSigner, args.key or ())] or None


def _key(args: argparse.Namespace) -> int:
    return key(args, ServerSettings.from_environment(os.environ, directory=args.directory).directory)


_ACTIONS = {
    "verify": _verify,
    "export": export_zone,
    "key": _key,
    "prove": prove,
    "head": prove,
    "replay": replay,
    "explain": explain,
}
"""What runs, by its name."""
