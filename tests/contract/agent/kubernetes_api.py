"""The least of a Kubernetes API with Kueue: objects with versions, merge patches, rights, and who deletes pods."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.certificates import Authority
from tests.patience import SOON_S

TOKEN = "of a test"
JOBS, PODS, LEASES = "/apis/batch/v1/jobs", "/api/v1/pods", "/apis/coordination.k8s.io/v1/leases"
SECRETS = "/api/v1/secrets"
WORKLOADS, QUEUES = (f"/apis/kueue.x-k8s.io/v1beta2/{kind}" for kind in ("workloads", "clusterqueues"))
Row = dict[str, Any]


class Cluster:
    """What it has, by the path of its list and its name; a test changes it as others would."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Row]] = {path: {} for path in (JOBS, PODS, LEASES, SECRETS, WORKLOADS, QUEUES)}
        self.now = 1_700_000_000.0
        self.forbidden = set[str]()
        """Names of objects that may not be changed."""
        self.lasts = set[str]()
        """Jobs whose pods take their time to end."""
        self.tells_time = True
        self.meanwhile = list[str]()
        """Names of objects that somebody else changes just before the next change of ours."""
        self.changes = list[tuple[str, str]]()
        """Methods and names, in order."""

    def put(self, path: str, row: Row) -> None:
        """A new object, or a change by somebody else."""
        metadata = row["metadata"]
        metadata["resourceVersion"] = str(int(metadata.get("resourceVersion", 0)) + 1)
        self.rows[path][metadata["name"]] = row

    def quota(self) -> str:
        (group,) = self.rows[QUEUES]["site"]["spec"]["resourceGroups"]
        return str(group["flavors"][0]["resources"][0]["nominalQuota"])

    def pods(self, uid: str) -> int:
        return sum(row["metadata"]["ownerReferences"][0]["uid"] == uid for row in self.rows[PODS].values())

    def settle(self) -> None:
        """What controllers do: who is off has no pods and no quota, who is on has both."""
        made = {row["metadata"]["ownerReferences"][0]["uid"]: row for row in self.rows[WORKLOADS].values()}
        for name, job in self.rows[JOBS].items():
            workload = made.get(name)
            runs = not job["spec"]["suspend"] if workload is None else workload["spec"].get("active", True)
            if workload is not None:
                workload["status"] = {"admission": workload["spec"]["asks"]} if runs else {}
            for at in range(job["spec"]["parallelism"]):
                pod = f"{name}-{at}"
                if runs:
                    owner = [{"kind": "Job", "uid": name}]
                    of_pod = {"namespace": job["metadata"]["namespace"], "ownerReferences": owner}
                    self.rows[PODS][pod] = {"metadata": of_pod, "spec": {"nodeName": "n"}}
                elif name not in self.lasts:
                    self.rows[PODS].pop(pod, None)

    # --- as it is asked ----------------------------------------------------------------------------------------------

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        parts = urlsplit(target)
        words = parts.path.split("/")
        if "namespaces" in words:
            at = words.index("namespaces")
            words[at : at + 2] = []
        path, name = "/".join(words), ""
        if path not in self.rows:
            path, _, name = path.rpartition("/")
        if parts.path == "/apis/kueue.x-k8s.io":
            return 200, {"preferredVersion": {"version": "v1beta2"}}
        if parts.path.endswith("selfsubjectaccessreviews"):
            return 201, {"status": {"allowed": body["spec"]["resourceAttributes"]["resource"] not in self.forbidden}}
        if method == "GET":
            return self._read(path, name, parse_qs(parts.query).get("labelSelector", [""])[0])
        return self._change(method, path, name or body["metadata"]["name"], body)

    def _read(self, path: str, name: str, selector: str) -> tuple[int, Any]:
        if name:
            found = self.rows[path].get(name)
            return (404, {"message": "not found"}) if found is None else (200, found)
        if path in self.forbidden:
            return 403, {"message": f"{path} is forbidden"}
        key, _, value = selector.partition("=")
        rows = list(self.rows[path].values())
        if value:
            rows = [row for row in rows if row["metadata"].get("labels", {}).get(key) == value]
        elif selector:  # the pods of Jobs
            uids = selector.partition("(")[2].rstrip(")").split(",")
            rows = [row for row in rows if row["metadata"]["ownerReferences"][0]["uid"] in uids]
        return 200, {"items": rows, "metadata": {}}

    def _change(self, method: str, path: str, name: str, body: Any) -> tuple[int, Any]:
        self.changes.append((method, name))
        if name in self.forbidden:
            return 403, {"message": f"{name} is forbidden"}
        if name in self.meanwhile:
            self.meanwhile.remove(name)
            self.put(path, self.rows[path][name])
        if method == "POST" and name in self.rows[path]:
            return 409, {"message": "already exists"}
        if (
            method != "POST"
            and body["metadata"]["resourceVersion"] != self.rows[path][name]["metadata"]["resourceVersion"]
        ):
            return 409, {"message": "the object has been modified"}
        self.put(path, _merged(self.rows[path][name], body) if method == "PATCH" else body)
        self.settle()
        return 200, self.rows[path][name]


def _merged(old: Any, change: Any) -> Any:
    """RFC 7396."""
    if not isinstance(change, dict):
        return change
    found = dict(old) if isinstance(old, dict) else {}
    for name, value in change.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = _merged(found.get(name), value)
    return found


class Page(BaseHTTPRequestHandler):
    """Who has the token is answered."""

    protocol_version = "HTTP/1.1"
    timeout = SOON_S
    disable_nagle_algorithm = True  # or each answer waits for the client's delayed acknowledgement
    cluster: Cluster
    lock: threading.Lock

    def _answer(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        status, said = 401, {"message": "Unauthorized"}
        if self.headers["Authorization"] == f"Bearer {TOKEN}":
            with self.lock:
                status, said = self.cluster.answer(self.command, self.path, body)
        text = json.dumps(said).encode()
        self.send_response_only(status)
        if self.cluster.tells_time:
            self.send_header("Date", formatdate(self.cluster.now, usegmt=True))
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        """It says nothing."""


class _Server(ThreadingHTTPServer):
    """Who shakes no hands, or hangs up, keeps a thread of its own, and nobody else."""

    def handle_error(self, *asked: Any) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(*asked)


@contextmanager
def served(cluster: Cluster, folder: Path) -> Iterator[Path]:
    """A kubeconfig of it, for as long as the block runs."""
    authority = Authority(folder)
    page = type("Page", (Page,), {"cluster": cluster, "lock": threading.Lock()})
    server, secured = _Server(("127.0.0.1", 0), page), authority.server(authority.certificate())
    server.socket = secured.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    there = {"server": f"https://127.0.0.1:{server.server_port}", "certificate-authority": str(authority.file)}
    told = {
        "clusters": [{"name": "c", "cluster": there}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "grid"}}],
        "current-context": "c",
    }
    (folder / "kubeconfig").write_text(json.dumps(told), "utf-8")
    try:
        yield folder / "kubeconfig"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
