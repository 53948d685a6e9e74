"""`gridsignal agent`: what runs beside a site's schedulers, and turns orders into watts."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import signal
import sys
from importlib import import_module
from pathlib import Path

from gridsignal.__main__ import FAILED, OK, USAGE
from gridsignal.agent.actuators import guarded
from gridsignal.agent.assembling import actuator_of, agent_of, connection_of, jobs_of, look_of, meter_of, releasing_of
from gridsignal.agent.checking import Finding, findings
from gridsignal.agent.claiming import claimed
from gridsignal.agent.config import Config, Mode, config_of
from gridsignal.agent.config_faults import place_of
from gridsignal.agent.kept import Kept
from gridsignal.cli import agent_playing
from gridsignal.cli.arguments import Arguments, give_examples, identifier
from gridsignal.cli.connection import code_of, tell, token_source
from gridsignal.cli.tables import printable, show_rows
from gridsignal.clock import wall
from gridsignal.errors import GridsignalError, UsageError
from gridsignal.failsafe import Contact
from gridsignal.tokens import TokenSource

EXAMPLE = f"""\
examples:
  gridsignal agent check --config site.toml
  gridsignal agent run --config site.toml
  gridsignal agent answer ORDER_ID accept --config site.toml
  gridsignal agent permit --config site.toml
  gridsignal agent release --config site.toml
{agent_playing.EXAMPLES}

What an agent has in hand lies on disk: it may be stopped and started again at any time.
study and simulate need neither a grid nor a site: docs/agent.md says what they play.
"""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal agent",
        description="Offer a site's flexible load, follow its orders, and prove what was done.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    run_ = actions.add_parser("run", help="offer, answer, act and report until it is stopped")
    check = actions.add_parser("check", help="try every connection, permission and meter; nothing moves")
    check.add_argument("--json", action="store_true", help="one JSON object a line")
    answer = actions.add_parser("answer", help="confirm an order or refuse it, in mode confirm; without one, list them")
    answer.add_argument("order", nargs="?", type=identifier, metavar="ORDER_ID")
    answer.add_argument("answer", nargs="?", choices=("accept", "refuse"), metavar="accept|refuse")
    permit = actions.add_parser("permit", help="let a site in failsafe return, as its operator permits")
    release = actions.add_parser("release", help="give back what is over in a scheduler or of GPUs, for a timer")
    release.add_argument("--all", action="store_true", help="what is not over, too")
    for action in (run_, check, answer, permit, release):
        action.add_argument("--config", type=Path, required=True, metavar="FILE", help="the agent's configuration")
    agent_playing.add_study(actions)
    agent_playing.add_simulation(actions)
    give_examples(actions, EXAMPLE)
    return arguments


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    if args.action in ("study", "simulate"):
        code: int = import_module(f"gridsignal.cli.agent_{args.action}").run(args)  # they alone need numpy
        return code
    text = args.config.read_bytes()
    try:
        config = config_of(text, args.config.name)
        if args.action in ("answer", "permit"):
            return _answer(args, config) if args.action == "answer" else _permit(config)
        works = {"run": _run, "check": _check, "release": _release}
        return asyncio.run(works[args.action](args, config))
    except _WrongToken as error:
        tell(f"{place_of('token_file', text.decode('utf-8', 'replace'), args.config.name)}: {error}")
        return USAGE
    except GridsignalError as error:
        tell(str(error))
        return code_of(error)


class _WrongToken(UsageError):
    """In the file that the configuration names."""


def _token(config: Config) -> TokenSource:
    if config.token_file is None:
        return token_source(None, "token_file")
    try:
        return token_source(config.token_file, "the file")
    except UsageError as wrong:
        raise _WrongToken(str(wrong)) from None


async def _run(args: argparse.Namespace, config: Config) -> int:
    """0 when it was stopped in order: what is in effect stays, and the next run goes on with it."""
    connect = connection_of(config, _token(config))
    with claimed(config.state, config.site), agent_of(config, connect, _say) as agent:
        running = asyncio.create_task(agent.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, running.cancel)
        _say(f"agent of {config.site}, {config.mode}")
        try:
            await running
        except asyncio.CancelledError:
            _say("stopped; what is in effect stays, and ends at its time")
        except BaseExceptionGroup as failed:
            raise _first(failed) from failed
    return OK


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first; the rest followed from it."""
    error: BaseException = failed
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _check(args: argparse.Namespace, config: Config) -> int:
    meter = None if config.meter is None else meter_of(config.meter)
    connect = look_of(config, _token(config))
    found = [
        each async for each in findings(config, connect, actuator_of(config, program="check"), meter, jobs_of(config))
    ]
    if args.json:
        for each in found:
            print(json.dumps(each._asdict()))
    else:
        rows = [(each.what, _word(each), each.said) for each in found]
        show_rows(config.site, ("what", "", "found"), rows)
    return OK if all(each.works for each in found) else FAILED


def _word(found: Finding) -> str:
    """What the table says of it."""
    return ("works" if found.works else "FAILS") if found.is_configured else "-"


def _answer(args: argparse.Namespace, config: Config) -> int:
    kept = Kept(config.state / "agent.db")
    try:
        if args.order is None:
            waiting = kept.questions()
            for order_id, said, respond_by in waiting:
                print(printable(f"{order_id}  {said}, until {respond_by}"))
            if not waiting:
                asks = config.mode is Mode.CONFIRM
                _say(f"no order waits for an answer{'' if asks else f': in the mode {config.mode} nobody is asked'}")
            return OK
        if args.answer is None:
            raise UsageError("expected accept or refuse after the order, got nothing")
        if kept.answer(args.order, args.answer, f"person:{getpass.getuser()}"):
            print(f"{args.order}: {args.answer}")
            return OK
        tell(f"expected an order that waits for an answer, got {args.order}")
        return USAGE
    finally:
        kept.close()


async def _release(args: argparse.Namespace, config: Config) -> int:
    actuator = releasing_of(config)
    try:
        with guarded("release"):
            for action in await actuator.release(wall(), everything=args.all):
                print(printable(f"{action.what} ({action.reason})"))
    finally:
        await actuator.aclose()
    return OK


def _permit(config: Config) -> int:
    kept = Kept(config.state / "agent.db")
    try:
        stands = kept.contact()
        if stands is None or stands.contact is not Contact.FAILSAFE:
            _say("no failsafe is active: there is nothing to let go of")
            return OK
        kept.permit(f"person:{getpass.getuser()}")
    finally:
        kept.close()
    print("the agent lets go of a failsafe at its next look")
    return OK


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)
