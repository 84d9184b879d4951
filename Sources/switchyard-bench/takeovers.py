#!/usr/bin/env python3
"""Measures what the supervisor costs, and how long others wait when a worker is replaced.

With --before FOLDER (a checkout of an earlier commit, built there with `swift build -c release`) the
costs are held beside that host too.
"""
import argparse
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
import hosts  # noqa: E402

SUPERVISED, ALONE, BEFORE = "with a supervisor", "--no-supervisor", "before"
NAME = "pricing_optimizer"
MODELS = ["pricing_model_v1", "pricing_model_v2", "echo"]


@contextlib.contextmanager
def serving(words=(), build=None):
    """A host with the pricing models, of this build or another one."""
    here = hosts.BUILD, hosts.PROGRAM
    if build:
        hosts.BUILD, hosts.PROGRAM = build, f"{build}/switchyard"
    try:
        with hosts.folder() as folder:
            with open("endpoints/pricing_optimizer.yaml") as file:
                hosts.prepare(folder, {NAME: file.read()}, [(name, name) for name in MODELS])
            with hosts.host(folder, *words) as server:
                yield server
    finally:
        hosts.BUILD, hosts.PROGRAM = here


def costs(options):
    """CPU a request and a connection, as ratios of rounds in which every host had its turn."""
    cases = {SUPERVISED: ((), None), ALONE: (("--no-supervisor",), None)}
    if options.before:
        cases[BEFORE] = ((), os.path.abspath(f"{options.before}/.build/release"))
    found = {(name, closes): [] for name in cases for closes in (False, True)}
    for turn in range(options.rounds):
        names = list(cases)[turn % len(cases):] + list(cases)[:turn % len(cases)]
        for closes in (False, True):
            for name in names:
                with serving(*cases[name]) as server:
                    hosts.load(server, hosts.prices(), 1, closes=closes)
                    found[name, closes].append(
                        hosts.load(server, hosts.prices(), options.seconds, closes=closes))
    rows = []
    for closes, what in ((False, "a request, keep-alive"), (True, "a connection of one request")):
        for name in cases:
            loads = found[name, closes]
            base = found[BEFORE if options.before else ALONE, closes]
            rows.append([
                what, name, f"{hosts.median(load.rate for load in loads):,.0f}",
                f"{hosts.median(load.cpu for load in loads):.2f}",
                f"{hosts.median(a.cpu / b.cpu for a, b in zip(loads, base)):.3f}",
            ])
    print(hosts.table(["what", "host", "a second", "CPU µs", "of the last host's"], rows))


def worker(server):
    """The process that serves, once there is one."""
    for _ in range(1000):
        with open(f"/proc/{server.process.pid}/task/{server.process.pid}/children") as file:
            children = file.read().split()
        if children:
            return int(children[0])
        time.sleep(0.01)
    raise RuntimeError("no worker is started")


def kill(server):
    os.kill(worker(server), signal.SIGKILL)


def recycle(server):
    subprocess.run(
        [hosts.PROGRAM, "recycle", *hosts.folders(server.folder)], check=True,
        stdout=subprocess.DEVNULL)


def pauses(options):
    """The longest answer while workers are replaced, at about half of the load that there can be."""
    rows = []
    for what, words, replace, bound in (
            ("kill -9, cold", (), kill, 250),
            ("kill -9, --standby", ("--standby",), kill, 25),
            ("recycle", (), recycle, 25),
            ("nothing", (), None, None)):
        for delay, runs, share in ((1, 1, "half load"), (0, hosts.few(5), "full load")):
            longest = []
            for _ in range(runs):
                with serving(words) as server:
                    time.sleep(0.5)
                    ended = threading.Event()

                    def replace_again():
                        while replace and not ended.wait(0.7):
                            replace(server)
                    thread = threading.Thread(target=replace_again)
                    thread.start()
                    load = hosts.load(server, hosts.prices(), options.seconds, delay=delay)
                    ended.set()
                    thread.join()
                    longest.append(load.longest / 1000)
            rows.append([
                what, share, f"{hosts.median(longest):.1f}",
                "" if bound is None else f"{bound}"])
    print(hosts.table(["what happens", "load", "longest answer ms", "wanted"], rows))


def memory():
    """What a supervisor holds, new and after many takeovers."""
    with serving() as server:
        def look():
            with open(f"/proc/{server.process.pid}/smaps_rollup") as file:
                lines = dict(line.split(":", 1) for line in file.readlines()[1:])
            resident, shared = (int(lines[name].split()[0]) for name in ("Rss", "Pss"))
            files = len(os.listdir(f"/proc/{server.process.pid}/fd"))
            return [f"{resident / 1024:.1f}", f"{shared / 1024:.1f}", str(files)]
        rows = [["new", *look()]]
        takeovers = hosts.few(100, 3)
        for _ in range(takeovers):
            kill(server)
            time.sleep(0.05)
        time.sleep(0.5)
        rows.append([f"after {takeovers} takeovers", *look()])
    print(hosts.table(["supervisor", "resident MiB", "of that its own share", "descriptors"], rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=hosts.few(5))
    parser.add_argument("--seconds", type=int, default=hosts.few(4))
    parser.add_argument("--before", help="a checkout with another build")
    parser.add_argument("--only", choices=["costs", "pauses", "memory"])
    options = parser.parse_args()
    if options.only in (None, "costs"):
        costs(options)
        print()
    if options.only in (None, "pauses"):
        pauses(options)
        print()
    if options.only in (None, "memory"):
        memory()


if __name__ == "__main__":
    sys.exit(main())
