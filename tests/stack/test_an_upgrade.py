"""From the image of the commit before this one, service by service, while offers flow."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.load import Load, counts, must_be_whole
from tests.stack.compose import ROOT, Compose

BEFORE = "before"
RIGHTS = "services: {{rights: {{image: {image}}}}}\n"
"""Rights are given by the new version before its doors come, whether or not the older one gave any."""


def git(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True)


@pytest.fixture(scope="module")
def older(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """The stack of the previous commit's image, but for the rights; the tree's own compose file."""
    if git("cat-file", "-e", "HEAD^:deploy/Dockerfile").returncode:
        pytest.skip("needs an older version that could be deployed")
    tree = tmp_path_factory.mktemp("before")
    archive = git("archive", "HEAD^")
    subprocess.run(["tar", "-x"], cwd=tree, input=archive.stdout, check=True)
    build = ["docker", "build", "--quiet", "--file", "deploy/Dockerfile", "--tag", f"gridsignal:{BEFORE}", "."]
    subprocess.run(build, cwd=tree, check=True, capture_output=True, timeout=600)
    outboxes: Path = tmp_path_factory.mktemp("outboxes")
    rights = outboxes / "rights.yml"
    rights.write_text(RIGHTS.format(image=image), "utf-8")
    files = os.pathsep.join(map(str, (ROOT / "docker-compose.yml", rights)))
    compose = Compose("gridsignal-upgrade-test", outboxes, GRIDSIGNAL_VERSION=BEFORE, COMPOSE_FILE=files)
    compose.down("--volumes")
    try:
        compose.up("--no-build")
        yield compose
    finally:
        compose.down("--volumes")


async def test_rolled_service_by_service_nothing_is_lost_and_nothing_repeated(older: Compose, image: str) -> None:
    _, _, version = image.partition(":")
    async with Load.on(older, "dispatch") as load:
        await load.offering.reach(30)
        older.use(GRIDSIGNAL_VERSION=version)
        for service in ("topics", "rights", "schemas", "ingest", "dispatch", "gateway"):
            await older.roll(service)
            await load.offering.reach(len(load.offering.receipts) + 10)
    found = await older.checked()
    print("\nupgrade:", counts(load, found))
    must_be_whole(load, found)
    assert {older.inspect(door)["Config"]["Image"] for door in ("ingest", "dispatch", "gateway")} == {image}
