#!/usr/bin/env python3
"""Measures what changes of a running host cost those who ask it, and what they leave in memory.

The load is paced to about half of what the machine can do; each round measures it without and with
the changes, on the same host, and what counts is the median of the rounds' ratios of the two p99.
The thread that asks for the changes asks the same host for its status meanwhile where there are
none, so that both halves of a round carry its own weight.
"""
import argparse
import http.client
import json
import os
import shutil
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True
import hosts  # noqa: E402

NAME = "pricing_optimizer"
PAUSE = 0.05  # seconds between two changes


def endpoint(version, weights):
    return f"""schemaVersion: 1
backends:
  control: {{deployment: {{name: pricing, version: {version}}}, weight: {weights[0]}}}
  experiment: {{deployment: {{name: pricing, version: prod}}, weight: {weights[1]}}}
experimentConfig: {{experimentId: foo, subjectKey: user_id}}
"""


class Admin(http.client.HTTPConnection):
    """The admin API over the Unix socket in the state folder."""

    def __init__(self, folder):
        super().__init__("localhost")
        self.path = f"{folder}/state/admin.sock"

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)

    def call(self, method, path, body=None):
        self.request(method, path, json.dumps(body) if body is not None else None)
        answer = self.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: status {answer.status}: {text}")
        return json.loads(text)


def write(folder, text):
    path = f"{folder}/endpoints/{NAME}.yaml"
    with open(f"{path}.new", "w") as file:
        file.write(text)
    os.rename(f"{path}.new", path)


def change(folder, admin, step):
    """One change, each kind in turn: files, an alias, weights."""
    if step % 3 == 0:
        write(folder, endpoint(step // 3 % 2 + 1, (step % 7 + 1, 3)))
        return admin.call("POST", "/admin/v1/reload")
    if step % 3 == 1:
        return admin.call("PUT", "/admin/v1/deployments/main/pricing/aliases/prod",
                          {"version": step // 3 % 2 + 1, "reload": True})
    return admin.call("PUT", f"/admin/v1/endpoints/{NAME}/weights",
                      {"weights": {"control": step % 5 + 1, "experiment": 2}})


class Beside(threading.Thread):
    """Asks the admin API again and again beside a load."""

    def __init__(self, folder, work):
        super().__init__()
        self.admin, self.work, self.done, self.failure = Admin(folder), work, 0, None
        self.stop = threading.Event()

    def run(self):
        try:
            while not self.stop.is_set():
                self.work(self.admin, self.done)
                self.done += 1
                self.stop.wait(PAUSE)
        except Exception as failure:  # told by whoever joins
            self.failure = failure

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join()
        if self.failure:
            raise self.failure


def half(server, requests):
    """Connections that ask once a millisecond and make half of the load that there can be."""
    full = hosts.load(server, requests, 2)
    connections = max(2, round(full.rate / 2 / 1000))
    paced = hosts.load(server, requests, 2, connections, delay=1)
    # A connection asks again a millisecond after its answer, so a few more are needed.
    connections = max(2, round(connections * full.rate / 2 / paced.rate))
    return connections, full.rate


def reloads(rounds, seconds):
    """p99 with changes to p99 without."""
    ratios, count, share = [], 0, []
    with hosts.folder() as folder:
        hosts.prepare(folder, {NAME: endpoint(1, (1, 3))},
                      [("pricing", "pricing_model_v1"), ("pricing", "pricing_model_v2")])
        hosts.switchyard(folder, "alias", "set", "pricing", "prod", "2")
        with hosts.host(folder) as server:
            requests = hosts.prices()
            connections, full = half(server, requests)
            for _ in range(rounds):
                with Beside(folder, lambda admin, _: admin.call("GET", "/admin/v1/status")):
                    alone = hosts.load(server, requests, seconds, connections, delay=1)
                with Beside(folder, lambda admin, step: change(folder, admin, step)) as changes:
                    beside = hosts.load(server, requests, seconds, connections, delay=1)
                count += changes.done
                ratios.append(beside.p99 / alone.p99)
                share.append(beside.rate / full)
    print(f"{count} changes in {rounds} rounds of {seconds} s at {hosts.median(share):.0%} load: "
          f"ratios {', '.join(f'{ratio:.2f}' for ratio in ratios)}", flush=True)
    return hosts.verdict("p99 with reloads to p99 without", hosts.median(ratios), 1.5, "×")


def burning(rounds, seconds):
    """p99 of another model while a model burns two seconds of CPU in create()."""
    ratios, share = [], []
    with hosts.folder() as folder:
        hosts.prepare(folder, {}, [("pricing_model_v1", "pricing_model_v1")])
        with hosts.host(folder, "--grace", "0") as server:
            requests = hosts.prices("/v1/pricing_model_v1")
            connections, full = half(server, requests)
            for step in range(rounds):
                with open(f"{folder}/settings.json", "w") as file:
                    json.dump({"burnMilliseconds": 2000, "step": step}, file)
                hosts.prepare(folder, {}, [
                    ("burning", "life_model", "--settings", f"{folder}/settings.json")])
                alone = hosts.load(server, requests, seconds, connections, delay=1)
                admin = Admin(folder)
                reload = threading.Thread(
                    target=lambda: admin.call("POST", "/admin/v1/reload"))
                reload.start()
                beside = hosts.load(server, requests, seconds, connections, delay=1)
                reload.join()
                ratios.append(beside.p99 / alone.p99)
                share.append(beside.rate / full)
    print(f"{rounds} loads of a model that burns 2 s in its probe and 2 s in create(), at "
          f"{hosts.median(share):.0%} load: "
          f"ratios {', '.join(f'{ratio:.2f}' for ratio in ratios)}", flush=True)
    return hosts.verdict("p99 of another model to its p99 alone", hosts.median(ratios), 1.2, "×")


def rollbacks(count):
    """Milliseconds of a rollback under full load when the other version is in memory."""
    times = []
    with hosts.folder() as folder:
        hosts.prepare(folder, {NAME: endpoint(1, (1, 3))},
                      [("pricing", "pricing_model_v1"), ("pricing", "pricing_model_v2")])
        hosts.switchyard(folder, "alias", "set", "pricing", "prod", "2")
        with hosts.host(folder) as server:
            admin = Admin(folder)
            write(folder, endpoint(2, (1, 3)))
            admin.call("POST", "/admin/v1/reload")

            def roll(_, __):
                # A rollback without a target goes further back each time.
                target = 1 + len(times) % 2
                begun = time.monotonic()
                answer = admin.call("POST", "/admin/v1/rollback", {"configRevision": target})
                times.append((time.monotonic() - begun) * 1000)
                if answer["outcome"] != "committed":
                    raise RuntimeError(f"no rollback: {answer}")

            with Beside(folder, roll):
                hosts.load(server, hosts.prices(), max(3, count * PAUSE * 1.5))
    print(f"{len(times)} rollbacks under full load: median {hosts.median(times):.1f} ms, "
          f"longest {max(times):.1f} ms", flush=True)
    return hosts.verdict("a rollback under full load, the longest", max(times), 100, " ms")


def images(library, count):
    """Resident memory that each further build of a model leaves behind."""
    with hosts.folder() as folder:
        hosts.prepare(folder, {}, [("model", library)])
        with hosts.host(folder, "--grace", "0") as server:
            admin = Admin(folder)

            def build(number):
                copy = f"{folder}/build.so"
                shutil.copyfile(f"{hosts.BUILD}/lib{library}.so", copy)
                with open(copy, "ab") as file:
                    file.write(f"build {number}".encode())
                hosts.switchyard(folder, "deploy", "model", copy)
                admin.call("POST", "/admin/v1/reload")

            for number in range(5):
                build(number)
            time.sleep(0.5)
            before = server.memory()
            for number in range(count):
                build(5 + number)
            time.sleep(0.5)
            after = server.memory()
            found = admin.call("GET", "/admin/v1/status")["pluginImages"]
    if found != count + 6:
        raise RuntimeError(f"found {found} images; wanted {count + 6}")
    each = [(new - old) / count for old, new in zip(before, after)]
    print(f"{count} further builds of {library}: {each[0]:.0f} KiB each, {each[1]:.0f} of them "
          f"anonymous", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=hosts.few(5))
    parser.add_argument("--seconds", type=int, default=hosts.few(5))
    parser.add_argument("--only", choices=["reloads", "burning", "rollbacks", "images"])
    options = parser.parse_args()
    parts = {
        "reloads": lambda: reloads(options.rounds, options.seconds),
        "burning": lambda: burning(options.rounds, options.seconds),
        "rollbacks": lambda: rollbacks(hosts.few(50, 5)),
        "images": lambda: images("echo", hosts.few(40, 2)) or images("pricing_model_v1", hosts.few(40, 2)),
    }
    verdicts = [parts[name]() for name in parts if options.only in (None, name)]
    print("\n".join(line for line in verdicts if line))


if __name__ == "__main__":
    main()
