"""`gridsignal token`: tokens of the local issuer, for one machine."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from gridsignal.__main__ import FAILED, OK, USAGE
from gridsignal.claims import expired
from gridsignal.cli import paths
from gridsignal.cli.arguments import Arguments, give_examples, span
from gridsignal_schemas.values import Identifier, rfc3339
from gridsignal_services.access import DISPATCH_WRITE, OFFER_WRITE, OPERATIONS_READ, SIGNAL_READ, SIGNAL_WRITE
from gridsignal_services.access.example_tokens import write_tokens
from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.access.tokens import TokenRules, Unauthorized
from gridsignal_services.cli.revoking import revoke
from gridsignal_services.registry import Registry, example_registry
from gridsignal_services.settings import ConfigError

EXAMPLE = """\
examples:
  gridsignal token mint --participant acme-ai
  gridsignal token mint --operator tso-north --for 2h > operator.token
  gridsignal token mint --operator tso-north --push > push.token
  gridsignal token init --directory /var/lib/gridsignal --registry sites.toml --jwks /etc/gridsignal/jwks.json
  gridsignal token show < operator.token
  gridsignal token revoke --file revoked.toml --reason "left in a log" < operator.token
"""


_MEANS_ALL = (
    "gridsignal: this token has no jti, so every token of that sub of that org until now is meant;"
    " that it is genuine was not checked"
)


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal token",
        description="Mint a token with the local issuer's key, or check one from stdin.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    mint = actions.add_parser("mint", help="print a new token on stdout")
    who = mint.add_mutually_exclusive_group(required=True)
    who.add_argument("--participant", type=_name, metavar="NAME", help="a data center's organisation")
    who.add_argument("--operator", type=_name, metavar="NAME", help="an operator")
    mint.add_argument("--subject", default="cli", help="the person or program, for the record (default: cli)")
    mint.add_argument("--for", dest="lives", type=span, default=span("1d"), metavar="SPAN", help="lifetime (1d)")
    mint.add_argument("--push", action="store_true", help="an operator's token that also pushes signals")
    mint.add_argument(
        "--operations",
        action="store_true",
        help="an operator's token that also shows how the doors do",
    )
    mint.add_argument("--read-only", action="store_true", help="a token that writes nothing")
    mint.add_argument("--registry", type=Path, metavar="FILE", help="who there is (default: the shipped example)")
    mint.add_argument("--force", action="store_true", help="mint it for an organisation that is not in the registry")
    init = actions.add_parser("init", help="make the issuer's keys, and a token file for each organisation")
    init.add_argument("--registry", type=Path, metavar="FILE", help="who there is (default: the shipped example)")
    init.add_argument(
        "--jwks", type=Path, metavar="FILE", help="write the public keys here, too, for the doors to trust"
    )
    show = actions.add_parser("show", help="who a token on stdin is, if it is valid")
    revoked = actions.add_parser("revoke", help="put the token on stdin into the doors' file of revocations")
    known = os.environ.get("GRIDSIGNAL_REVOCATIONS")
    revoked.add_argument("--file", type=Path, required=known is None, default=known and Path(known), metavar="FILE")
    revoked.add_argument("--reason", default="", help="for whoever reads the file")
    place = Path(os.environ.get("GRIDSIGNAL_DIRECTORY", "gridsignal-data"))
    for one in (mint, init, show):
        one.add_argument(
            "--directory", type=Path, default=place, help="where the issuer keeps its keys (default: of `up`)"
        )
    give_examples(actions, EXAMPLE)
    return arguments


def _name(text: str) -> str:
    try:
        return TypeAdapter(Identifier).validate_python(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(
            f"expected an organisation's name as in the registry, got {text!r:.60}"
        ) from None


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    if args.action == "mint" and args.push and (args.participant or args.read_only):
        print("gridsignal: --push: expected with --operator and without --read-only", file=sys.stderr)
        return USAGE
    if args.action == "mint" and args.operations and args.participant:
        print("gridsignal: --operations: expected with --operator", file=sys.stderr)
        return USAGE
    if args.action == "revoke":
        return _revoke(args)
    folder = args.directory / "issuer"
    if args.action == "init":
        return _init(folder, args)
    if not folder.is_dir():
        what = "--directory names the folder of `gridsignal up`, which makes one"
        print(f"gridsignal: expected an issuer in {folder}, got none; {what}", file=sys.stderr)
        return USAGE
    try:
        issuer = LocalIssuer.create_or_open(folder)
    except OSError as error:
        return _unusable(error)
    return _mint(issuer, args) if args.action == "mint" else _show(issuer)


def _init(folder: Path, args: argparse.Namespace) -> int:
    try:
        registry = Registry.load(args.registry) if args.registry else example_registry()
        issuer = LocalIssuer.create_or_open(folder)
        files = write_tokens(issuer, registry.organisations(), args.directory / "tokens", _now())
        if args.jwks is not None:
            args.jwks.write_text(json.dumps(issuer.jwks, indent=2) + "\n", "utf-8")
    except (ConfigError, OSError) as error:
        return _unusable(error)
    for who, file in sorted(files.items()):
        print(f"{who:<26}{file}")
    return OK


def _mint(issuer: LocalIssuer, args: argparse.Namespace) -> int:
    role, name = ("operator", args.operator) if args.operator else ("participant", args.participant)
    scopes = [SIGNAL_READ]
    if not args.read_only:
        scopes.append(DISPATCH_WRITE if args.operator else OFFER_WRITE)
    scopes += [scope for wanted, scope in ((args.push, SIGNAL_WRITE), (args.operations, OPERATIONS_READ)) if wanted]
    lives_s, longest_s = int(args.lives.total_seconds()), _longest_s()
    if lives_s > longest_s:
        print(f"gridsignal: --for: expected at most {_span(longest_s)}, for no door takes more", file=sys.stderr)
        return USAGE
    if not args.force and (fault := _stranger(args.registry, role, name)):
        print(f"gridsignal: {fault}", file=sys.stderr)
        return USAGE
    print(issuer.mint("operator" if role == "operator" else "participant", name, args.subject, scopes, lives_s, _now()))
    return OK


def _longest_s() -> int:
    """The longest life that doors with this environment take."""
    given = os.environ.get("GRIDSIGNAL_MAX_TOKEN_LIFE_S", "")
    return int(given) if given.isdecimal() else TokenRules().max_life_s


def _span(seconds: int) -> str:
    """As --for takes it, in the largest unit that gives a whole number."""
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    return f"{seconds // size}{unit}"


_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def _stranger(file: Path | None, role: str, name: str) -> str:
    """Why a token for this organisation would be refused at every door; nothing where the registry has it."""
    named = file or (Path(path) if (path := os.environ.get("GRIDSIGNAL_REGISTRY")) else None)
    try:
        registry = Registry.load(named) if named else example_registry()
    except ConfigError as error:
        return str(error)
    if name in (registry.operators if role == "operator" else registry.participants):
        return ""
    where = named or "the shipped example registry"
    return (
        f"--{role}: {name!r} is no {role} of {where}, and doors that go by it would refuse the token;"
        " name your own with --registry FILE, or mint it all the same with --force"
    )


def _revoke(args: argparse.Namespace) -> int:
    try:
        named = os.environ.get("GRIDSIGNAL_ORGANISATION_CLAIM", TokenRules().organisation_claim)
        entry = revoke(args.file, sys.stdin.read().strip(), args.reason, named, _now())
    except (ConfigError, OSError) as error:
        return _unusable(error)
    print(entry, end="")
    if "issued_before" in entry:
        print(_MEANS_ALL, file=sys.stderr)
    return OK


def _unusable(error: ConfigError | OSError) -> int:
    message, code = (paths.sentence(error), paths.code(error)) if isinstance(error, OSError) else (str(error), USAGE)
    print(f"gridsignal: {message}", file=sys.stderr)
    return code


def _show(issuer: LocalIssuer) -> int:
    try:
        token = sys.stdin.read().strip()
        who = issuer.verifier().verify(token, _now())
    except Unauthorized:
        why = expired(token, _now()) or "expected a valid token of this issuer on stdin"
        print(f"gridsignal: {why}", file=sys.stderr)
        return FAILED
    shown = {
        "role": who.role,
        "organisation": who.organisation,
        "subject": who.subject,
        "scopes": sorted(who.scopes),
        "expires_at": rfc3339(who.expires_at),
    }
    print(json.dumps(shown))
    return OK


def _now() -> datetime:
    return datetime.now(UTC)
