"""Java programs from Maven's repositories, kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>gridsignal</groupId><artifactId>programs-for-tests</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
{dependencies}
  </dependencies>
</project>
"""
_DEPENDENCY = "    <dependency><groupId>{0}</groupId><artifactId>{1}</artifactId><version>{2}</version></dependency>"


def need(*programs: str) -> None:
    """Skips the test with the name of the program that is missing."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"needs an address in the environment, a Docker engine, or {program}")


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "gridsignal-tests"


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"needs a Maven repository: {(error.stdout + error.stderr)[-300:]}")


def jars(*coordinates: str) -> Path:
    """A folder with these "group:artifact:version" and all that they need."""
    dependencies = "\n".join(_DEPENDENCY.format(*coordinate.split(":")) for coordinate in coordinates)
    pom = _POM.format(dependencies=dependencies)
    folder = _cache() / f"jars-{hashlib.sha256(pom.encode()).hexdigest()[:16]}"
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        partial.mkdir(parents=True)
        (partial / "pom.xml").write_text(pom, "utf-8")
        copy = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={partial}"]
        _run(["mvn", "-q", "-B", "-f", str(partial / "pom.xml"), *copy])
        partial.rename(folder)
    return folder


def java(*coordinates: str) -> list[str]:
    """The beginning of the command that runs a short-lived class of these."""
    return ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{jars(*coordinates)}/*"]


def unpacked(coordinate: str) -> Path:
    """The folder of an archive, "group:artifact:version:tar.gz:classifier", unpacked."""
    group, artifact, version, _, classifier = coordinate.split(":")
    folder = _cache() / f"{artifact}-{version}"
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        partial.mkdir(parents=True)
        artifact_argument = f"-Dartifact={coordinate}"
        copy = ["dependency:copy", artifact_argument, f"-DoutputDirectory={partial}"]
        _run(["mvn", "-q", "-B", "dependency:get", "-Dtransitive=false", artifact_argument])
        _run(["mvn", "-q", "-B", *copy])
        with tarfile.open(partial / f"{artifact}-{version}-{classifier}.tar.gz") as archive:
            archive.extractall(partial, filter="data")
        partial.rename(folder)
    assert group
    return folder
