"""An address of a site that checks who calls it, and fails the first call of all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gridsignal.agent.actuators.webhook import SIGNATURE, signature

CAN_W = 10_000_000


@contextmanager
def receiver(secret: bytes) -> Iterator[str]:
    """Its address, for as long as the block runs."""
    state: dict[str, Any] = {"shed_w": 0, "until": "", "calls": 0}

    class Receiving(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            at_s = int(self.headers[SIGNATURE].partition(",")[0].removeprefix("t="))
            state["calls"] += 1
            if self.headers[SIGNATURE] != signature(secret, at_s, body):
                self._say(403, {})
            elif state["calls"] == 1:
                self._say(503, {})
            else:
                self._say(200, self._answer(json.loads(body)))

        def _answer(self, told: dict[str, Any]) -> dict[str, Any]:
            if told["asks"] == "apply":
                state.update(shed_w=min(told["shed_w"], CAN_W), until=told["until"])
                assert not told["shed_w"] or told["schedule"]
            shed_w = state["shed_w"] if told["now"] < state["until"] else 0
            return {"shed_w": shed_w, "until": state["until"] if shed_w else None, "room_w": CAN_W - shed_w}

        def _say(self, status: int, answer: dict[str, Any]) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: Any) -> None:
            """It says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiving)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/grid"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
