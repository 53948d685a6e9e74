"""The local stack, brought up and driven with docker compose as a person does it, on ports of its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import Any

import httpx2

from gridsignal_services.access import Role
from tests.load import Place
from tests.patience import LONG_S, SOON_S
from tests.services.process import free_ports

ROOT = Path(__file__).parents[2]
UP_TIMEOUT_S = 480
DOORS = {"gateway": "GATEWAY_PORT", "dispatch": "DISPATCH_PORT", "ingest": "INGEST_PORT"}
OPS = {"gateway": "GATEWAY_OPS_PORT", "dispatch": "DISPATCH_OPS_PORT", "ingest": "INGEST_OPS_PORT"}
PORTS = [*DOORS.values(), *OPS.values(), "PROMETHEUS_PORT", "GRAFANA_PORT"]
PORTS += ["KAFKA_PORT", "KAFKA_2_PORT", "KAFKA_3_PORT"]


class Compose(Place):
    """One project: its containers, volumes and ports."""

    gateways = ("gateway",)
    prefix = ""

    def __init__(self, name: str, directory: Path, *, env_file: str | None = None, **env: str) -> None:
        self.directory, self.project = directory, name
        self._ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        no_feeds = directory / "no-feeds.toml"
        no_feeds.write_text("[zones]\n", "utf-8")  # tests ask nobody outside of this machine
        self._env = {**os.environ, **self._ports, "FEEDS_FILE": str(no_feeds.resolve()), **env}
        self._words = ["docker", "compose", "--ansi", "never", "--project-name", name]
        self._words += ["--env-file", env_file] if env_file else []
        self.began_s = self.healthy_s = 0.0

    def run(self, *words: str, check: bool = True) -> str:
        """What a compose command prints; AssertionError with its errors where it fails."""
        done = subprocess.run(
            [*self._words, *words], cwd=ROOT, env=self._env, capture_output=True, text=True, timeout=UP_TIMEOUT_S
        )
        assert done.returncode == 0 or not check, f"{' '.join(words)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done.stdout

    def up(self, *words: str) -> None:
        """Builds what is not built and waits until all is healthy."""
        began_s = time.monotonic()
        self.run("up", "--wait", "--wait-timeout", str(UP_TIMEOUT_S - 20), *words)
        self.healthy_s = time.monotonic() - began_s

    def use(self, **env: str) -> None:
        """Other settings from now on."""
        self._env |= env

    async def roll(self, service: str) -> None:
        """Replaces one service's container by one of the image and settings that are in force now."""
        wait = [] if service in ("topics", "rights", "schemas") else ["--wait"]
        words = ["up", "--no-build", "--no-deps", "--detach", *wait, "--force-recreate", service]
        await asyncio.to_thread(self.run, *words)

    def down(self, *words: str) -> None:
        self.run("--profile", "*", "down", "--timeout", "5", *words)

    def container(self, service: str) -> str:
        return self.run("ps", "--all", "--quiet", service).strip()

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's container."""
        (found,) = json.loads(docker("inspect", self.container(service)))
        return dict(found)

    def kill_nine(self, service: str) -> None:
        """kill -9 of the process itself: `docker kill` counts as a wish, and no restart policy would bring it back."""
        os.kill(self.inspect(service)["State"]["Pid"], 9)

    # --- as those outside reach it ---------------------------------------------------------------------------------

    @property
    def servers(self) -> str:
        return f"127.0.0.1:{self._ports['KAFKA_PORT']}"

    def port(self, door: str) -> int:
        return int(self._ports[DOORS[door.partition("-")[0]]])

    @property
    def prometheus(self) -> str:
        return f"http://127.0.0.1:{self._ports['PROMETHEUS_PORT']}"

    @property
    def grafana(self) -> str:
        return f"http://127.0.0.1:{self._ports['GRAFANA_PORT']}"

    def image_of(self, service: str) -> str:
        """What its container would be made of."""
        services = json.loads(self.run("--profile", "*", "config", "--format", "json"))["services"]
        return str(services[service]["image"])

    @cache  # noqa: B019 - one project lives as long as the tests
    def token(self, role: Role, organisation: str) -> str:
        """As the README says it: a one-shot service prints it."""
        return self.run("run", "--rm", "--no-TTY", "token", "mint", f"--{role}", organisation).strip()

    @cache  # noqa: B019 - as above
    def broker_login(self) -> dict[str, str]:
        """As the README says it: of whoever looks at the log and writes nothing."""
        word = self.run("exec", "--no-TTY", "kafka", "cat", "/secrets/reader-password").strip()
        return {"KAFKA_USERNAME": "reader", "KAFKA_PASSWORD": word}

    def kafka(self, command: str, *words: str) -> str:
        """What one of Kafka's own commands says to whoever set the stack up."""
        reached = ["--bootstrap-server", "kafka:9092", "--command-config", "/secrets/tools.properties"]
        return self.run("exec", "--no-TTY", "kafka", f"/opt/kafka/bin/kafka-{command}.sh", *reached, *words)

    async def reachable(self, gateway: str) -> None:
        await self.ready(gateway)

    async def ready(self, door: str) -> None:
        """Returns once the door says so, over however many attempts to connect."""
        url = f"http://127.0.0.1:{self.port(door)}/readyz"
        async with asyncio.timeout(LONG_S):
            while True:
                try:
                    async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(retries=8), timeout=5) as asking:
                        if (await asking.get(url)).status_code == 200:
                            return
                except httpx2.HTTPError:
                    continue  # the port is open, and who was behind it has just been killed

    async def metrics(self, door: str) -> str:
        async with httpx2.AsyncClient(timeout=SOON_S) as asking:
            answer = await asking.get(f"http://127.0.0.1:{self._ports[OPS[door]]}/metrics")
        assert answer.status_code == 200
        return answer.text


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True, timeout=LONG_S).stdout
