"""`gridsignal key`: keys that a participant signs with."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from gridsignal.__main__ import OK, USAGE
from gridsignal.cli.arguments import Arguments, give_examples, identifier
from gridsignal.cli.tables import printable
from gridsignal.errors import UsageError
from gridsignal.signing import make_key, public_key, signing_key
from gridsignal_schemas.signatures import SigningKey

_NAME = 128
EXAMPLE = """\
examples:
  gridsignal key new --for tso-north.example --out acme.key.json
  gridsignal key show acme.key.json

The file is for its owner alone. What is printed goes to whoever keeps the registry; `signed_for` there is the name of
the deployment. Programs take the file as `signing_key=`, commands as --signing-key or GRIDSIGNAL_SIGNING_KEY.
"""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal key", description="Make a key to sign with, or show its public half.", epilog=EXAMPLE
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    new = actions.add_parser("new", help="make a key, and say what the registry has to know of it")
    new.add_argument(
        "--for", dest="audience", required=True, type=_name, metavar="NAME", help="the deployment it signs for"
    )
    new.add_argument("--out", dest="file", required=True, type=Path, metavar="FILE", help="must not be there yet")
    new.add_argument("--kid", type=identifier, metavar="ID", help="its name in the registry (default: today)")
    show = actions.add_parser("show", help="say what the registry has to know of a key")
    show.add_argument("file", type=Path, metavar="FILE")
    for action in (new, show):
        action.add_argument("--json", action="store_true", help="one object")
    give_examples(actions, EXAMPLE)
    return arguments


def run(args: argparse.Namespace) -> int:
    """0 done, 2 where the file is none, or is there already."""
    try:
        if args.action == "show":
            key = signing_key(args.file)
        else:
            key_id = args.kid or datetime.now(UTC).date().isoformat()
            key = make_key(args.file, key_id=key_id, audience=args.audience)
    except FileExistsError:
        return _wrong(f"expected a file that is not there yet, got {args.file}")
    except UsageError as wrong:
        return _wrong(str(wrong))
    _show(args, key)
    return OK


def _show(args: argparse.Namespace, key: SigningKey) -> None:
    public = public_key(key)
    if args.json:
        print(json.dumps({"file": os.fspath(args.file), "kid": key.key_id, "aud": key.audience, "public_key": public}))
        return
    print(f"{printable(os.fspath(args.file))}: signs for {printable(key.audience)}")
    print(f'\nin the registry:\n[participants.NAME.keys.{printable(key.key_id)}]\npublic_key = "{public}"')


def _name(text: str) -> str:
    if not 0 < len(text) <= _NAME or not text.isprintable():
        raise argparse.ArgumentTypeError(f"expected a name of 1 to {_NAME} characters, got {text!r:.80}")
    return text


def _wrong(message: str) -> int:
    print(f"gridsignal: {printable(message)}", file=sys.stderr)
    return USAGE
