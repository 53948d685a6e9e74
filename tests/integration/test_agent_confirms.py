"""An address of the site's own answers orders: signed, once, about the question that was asked, and in time."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gridsignal.agent.actuators.webhook import SIGNATURE, signature
from gridsignal.agent.confirming import WrongReply, reply_of
from gridsignal.agent.kept import Kept
from gridsignal_schemas.values import MW
from tests.integration.agent_site import CONFIG, stood
from tests.patience import SOON_S

SECRET = b"between us"
Says = Callable[[dict[str, Any]], dict[str, Any] | None]


@contextmanager
def people(says: Says, answers_with: bytes = SECRET) -> Iterator[str]:
    """Somebody at an address, for as long as the block runs."""

    class Asked(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            at_s = int(self.headers[SIGNATURE].partition(",")[0].removeprefix("t="))
            assert self.headers[SIGNATURE] == signature(SECRET, at_s, asked)
            reply = says(json.loads(asked))
            body = b"" if reply is None else json.dumps(reply).encode()
            self.send_response(204 if reply is None else 200)
            self.send_header(SIGNATURE, signature(answers_with, at_s, body))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """It says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Asked)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/orders"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def asking(home: Path, url: str) -> str:
    (home / "secret").write_bytes(SECRET)
    told = f'[confirm]\nurl = "{url}"\nsecret_file = "{home}/secret"\nevery_s = 1\n'
    return CONFIG + told + f"timeout_s = {SOON_S}\n"  # the next try waits for the clock of the test


def eve(answer: str) -> Says:
    return lambda asked: {"nonce": asked["nonce"], "answer": answer, "who": "eve"}


@pytest.mark.parametrize(("answer", "becomes"), [("accept", "ACCEPTED"), ("refuse", "REFUSED")])
async def test_an_order_is_answered_at_the_sites_address(tmp_path: Path, answer: str, becomes: str) -> None:
    with people(eve(answer)) as url:
        async with stood(tmp_path, "confirm", asking(tmp_path, url)) as here, here.running():
            order = await here.ordered(4 * MW)
            await here.says("says person:eve")
            here.clock.move_to(here.clock.now() + timedelta(seconds=1))
            assert (await here.answers(order, becomes)).actor == "person:eve"


@pytest.mark.parametrize(
    ("says", "secret", "why"),
    [
        (lambda asked: None, SECRET, ""),
        (eve("accept"), b"not between us", "got a wrong one"),
        (lambda asked: {"nonce": "an earlier one", "answer": "accept"}, SECRET, "expected the nonce of this question"),
    ],
    ids=["nobody", "forged", "played back"],
)
async def test_what_is_no_answer_refuses_at_the_deadline(tmp_path: Path, says: Says, secret: bytes, why: str) -> None:
    with people(says, secret) as url:
        async with stood(tmp_path, "confirm", asking(tmp_path, url)) as here, here.running():
            order = await here.ordered(4 * MW)
            await here.says(why or "Answer by")
            here.clock.move_to(order.respond_by - timedelta(seconds=4))
            assert (await here.answers(order, "REFUSED")).reason_code == "NO_CONFIRMATION"


@pytest.mark.parametrize("signed", ["", "t=,v1=", "t=²,v1=00", "t=1", f"t={'9' * 400},v1=00", "v1=00"])
def test_what_is_not_signed_is_no_answer(signed: str) -> None:
    with pytest.raises(WrongReply, match="Gridsignal-Signature"):
        reply_of(b"{}", signed, SECRET, "n")


@pytest.mark.parametrize("body", [b"{}", b"[]", b"x", b'{"nonce": "n", "answer": "yes"}'])
def test_what_is_no_object_of_an_answer_is_told(body: bytes) -> None:
    with pytest.raises(WrongReply, match="expected an answer such as"):
        reply_of(body, signature(SECRET, 1, body), SECRET, "n")


def test_an_answer_to_an_earlier_revision_is_none_and_the_first_to_this_one_counts(tmp_path: Path) -> None:
    until = datetime(2026, 11, 28, tzinfo=UTC)
    with closing(Kept(tmp_path / "agent.db")) as kept:
        for revision in (1, 2):
            kept.ask("order", revision, "4 MW?", until)
        assert not kept.answer("order", "accept", "person:eve", 1)
        assert kept.answered("order", 2) is None
        assert kept.answer("order", "refuse", "person:bob", 2)
        assert not kept.answer("order", "accept", "person:eve", 2)
        assert kept.answered("order", 2) == ("refuse", "person:bob")
