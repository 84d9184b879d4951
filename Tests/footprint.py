#!/usr/bin/env python3
"""Measures a host's resident memory and the time from its start to its first answer.

Prints a table: a host without endpoints, then the same host with each sample alone, the median of
five runs in turn. `make footprint` builds and deploys what it needs.
"""
import http.client
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAM = os.path.abspath(".build/release/switchyard")
STORE = "deployments/main"
ROUNDS = 5
SAMPLES = {
    "host alone": [],
    "+ echo (C)": ["echo"],
    "+ pricing_model_v2 (Swift)": ["pricing_model_v2"],
    "+ tumor_classifier (C and Swift)": ["tumor_classifier"],
    "+ fraud_detection (C++ and Swift)": ["fraud_detection"],
}


def measure(deployments):
    """KiB resident, KiB of it anonymous, and milliseconds to the first answer."""
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(f"{folder}/endpoints")
        for name in deployments:
            shutil.copytree(f"{STORE}/{name}", f"{folder}/deployments/main/{name}")
            if name == "tumor_classifier":  # version 1 is loaded only where something names it
                subprocess.run(
                    [PROGRAM, "alias", "set", name, "first", "1", "--deployments", f"{folder}/deployments"],
                    check=True, stdout=subprocess.DEVNULL)
        command = [PROGRAM, "serve", "--listen", "127.0.0.1:0", "--settle", "0", "--loops", "2"]
        for name in ("endpoints", "deployments", "logs", "state"):
            command += [f"--{name}", f"{folder}/{name}"]
        # The first start probes every build; a later one knows them already.
        for is_first in (True, False):
            begun = time.monotonic()
            host = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            line = ""
            while not line.startswith("listening on "):
                line = host.stdout.readline()
            port = int(line.rsplit(":", 1)[1])
            client = http.client.HTTPConnection("127.0.0.1", port)
            client.request("GET", "/health/live")
            client.getresponse().read()
            milliseconds = (time.monotonic() - begun) * 1000
            if is_first:
                first = milliseconds
            status = open(f"/proc/{host.pid}/status").read()
            host.terminate()
            host.wait()
        field = lambda name: int(status.split(f"{name}:")[1].split()[0])
        return field("VmRSS"), field("RssAnon"), first, milliseconds


def main():
    rows = {name: [] for name in SAMPLES}
    for _ in range(ROUNDS):
        for name, deployments in SAMPLES.items():
            rows[name].append(measure(deployments))
    print("| host | resident | of it anonymous | first start | later start |")
    print("|---|---|---|---|---|")
    for name, runs in rows.items():
        resident, anonymous, first, later = (statistics.median(column) for column in zip(*runs))
        print(f"| {name} | {resident / 1024:.1f} MiB | {anonymous / 1024:.1f} MiB "
              f"| {first:.0f} ms | {later:.0f} ms |")


if __name__ == "__main__":
    sys.exit(main())
