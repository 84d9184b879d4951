"""A host with the sample models, for the vendors' own clients: see Tests/README.md."""

import json
import os
import random
import re
import subprocess
import time
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build" / "debug"
ADMIN_KEY = "clients-admin-key-0123456789"

# Before modelbit is imported: it then believes to run inside a deployment and tells nobody of errors.
os.environ.update(WORKSPACE_ID="x", MB_TXT_MODE="1", MB_JUPYTER_CLUSTER="localhost")

SPLIT = """schemaVersion: 1
service: pricing
backends:
  control: {deployment: {name: pricing_model_v1, version: latest}, weight: 1}
  experiment: {deployment: {name: pricing_model_v2, version: latest}, weight: 3}
experimentConfig: {experimentId: foo, subjectKey: user_id}
"""
FALLS = """schemaVersion: 1
backends:
  broken: {deployment: {name: fails, version: latest}, weight: 1}
  flat: {value: {score: 42}, weight: 0}
fallback: flat
"""
CRASHES = """schemaVersion: 1
backends: {only: {deployment: {name: faulty, version: latest}}}
"""
FORMS = """schemaVersion: 1
backends:
  json: {deployment: {name: batch, version: latest}, weight: 1}
  tensors: {deployment: {name: matrix_vector, version: latest}, weight: 0}
"""


class Host:
    """The program, in a folder of its own."""

    def __init__(self, folder, with_fixtures):
        self.folder = folder
        self.with_fixtures = with_fixtures
        (folder / "endpoints").mkdir()
        for source in (ROOT / "endpoints").glob("*.yaml"):
            (folder / "endpoints" / source.name).write_text(source.read_text())
        texts = {"split": SPLIT, "falls": FALLS, "forms": FORMS, "crashes": CRASHES}
        for name, text in texts.items() if with_fixtures else []:
            (folder / "endpoints" / f"{name}.yaml").write_text(text)
        (folder / "keys").touch(0o600)
        (folder / "keys").write_text(ADMIN_KEY + "\n")
        self.deploy()
        # Modelbit's client reaches plain HTTP at port 5000 alone: an address of our own has it free.
        digits = [random.randint(1, 254) for _ in range(3)]
        self.loopback = "127." + ".".join(map(str, digits))
        self.start()

    def run(self, *words):
        """Runs a command of the program to its end; its output."""
        done = subprocess.run(
            [BUILD / "switchyard", *words],
            cwd=self.folder, capture_output=True, text=True, timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def deploy(self):
        plugins = [
            "echo", "pricing_model_v1", "pricing_model_v2", "matrix_vector",
            "tumor_classifier_v1", "tumor_classifier_v2", "fraud_detection_v1",
            "fraud_detection_v2",
        ]
        for plugin in plugins:
            words = ["deploy", re.sub("(tumor_classifier|fraud_detection)_v.", r"\1", plugin)]
            words.append(str(BUILD / f"lib{plugin}.so"))
            if plugin == "tumor_classifier_v2":
                words += ["--resources", str(ROOT / "Plugins/tumor_classifier/resources")]
            self.run(*words)
        fixtures = {"fails": "misfit_results", "faulty": "faulty_model", "batch": "batch_model"}
        for name, plugin in fixtures.items() if self.with_fixtures else []:
            self.run("deploy", name, str(BUILD / f"lib{plugin}.so"))
        self.run("alias", "set", "fraud_detection", "v1", "1")
        self.run("alias", "set", "fraud_detection", "auto_deploy_api", "2")

    def start(self):
        self.log = open(self.folder / "host.log", "wb")
        self.process = subprocess.Popen(
            [
                BUILD / "switchyard", "serve", "--listen", "127.0.0.1:0",
                "--listen", f"{self.loopback}:5000", "--admin-listen", "127.0.0.1:0",
                "--admin-key-file", "keys",
            ],
            cwd=self.folder, stdout=self.log, stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + 60
        while True:
            text = (self.folder / "host.log").read_text()
            clients = re.search(r"^listening on 127\.0\.0\.1:(\d+)$", text, re.M)
            admins = re.search(r"^admin listening on 127\.0\.0\.1:(\d+)$", text, re.M)
            if clients and admins and f"{self.loopback}:5000" in text:
                break
            assert self.process.poll() is None and time.monotonic() < deadline, text
            time.sleep(0.05)
        self.address = f"127.0.0.1:{clients[1]}"
        self.url = f"http://{self.address}"
        self.admin_address = f"127.0.0.1:{admins[1]}"
        self.admin_url = f"http://{self.admin_address}"

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == 0, (self.folder / "host.log").read_text()
        self.log.close()

    def records(self, count=None, **members):
        """The records of the request log that have these members, once there are so many."""
        deadline = time.monotonic() + 10
        while True:
            lines = [
                json.loads(line)
                for path in sorted((self.folder / "logs").glob("requests-*.jsonl"))
                for line in path.read_text().splitlines()
            ]
            found = [r for r in lines if all(r.get(k) == v for k, v in members.items())]
            if count is None or len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.05)


@pytest.fixture(scope="session")
def host(tmp_path_factory):
    """The samples, and models that fail, crash and wait."""
    host = Host(tmp_path_factory.mktemp("host"), with_fixtures=True)
    yield host
    host.stop()


@pytest.fixture(scope="session")
def sample_host(tmp_path_factory):
    """The samples alone."""
    host = Host(tmp_path_factory.mktemp("samples"), with_fixtures=False)
    yield host
    host.stop()


@pytest.fixture(scope="session")
def samples():
    """Arguments of the sample models."""
    return types.SimpleNamespace(
        price=lambda user: {"user_id": user, "category": "shopping", "price": 19.99, "quantity": 3},
        payment={
            "amount": 1500, "merchant_category": "electronics", "hour": 3, "is_foreign": True,
            "minutes_since_last": 2,
        },
    )
