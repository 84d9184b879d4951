#!/usr/bin/env python3
"""Measures what disturbs a quick model: a slow one on the same host, and a disk that stalls.

Each round asks the quick model alone and then beside the disturbance, with the same load, on the
same host; what counts is the median over the rounds of the ratio of the two p99. The load leaves
the machine some air: at saturation a p99 tells about the machine's scheduler, not about the host.
"""
import argparse
import os
import shutil
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
import hosts  # noqa: E402

QUICK = [("/v1/quick", '{"data": {"width": 3, "height": 4}}')]
SLOW = [("/v1/slow", '{"data": {"ms": 50}}')]
CONNECTIONS = 4


def slow_thread(stop, server):
    """Keeps the slow model at full load until told to stop; returns how often it answered."""
    answered = []

    def work():
        while not stop.is_set():
            status, answer = hosts.ask(server, *SLOW[0])
            if status != 200:
                raise RuntimeError(f"status {status}: {answer[:1000]}")
            answered.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    return threads, answered


def beside_slow(server, seconds):
    stop = threading.Event()
    threads, answered = slow_thread(stop, server)
    try:
        load = hosts.load(server, QUICK, seconds, CONNECTIONS)
    finally:
        stop.set()
        for one in threads:
            one.join()
    if len(answered) < seconds * 4:
        raise RuntimeError(f"the slow model answered {len(answered)} times only")
    return load


def writer(server):
    """The id of the thread that writes the request log."""
    for process in server.processes():
        for task in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{task}/comm") as file:
                if file.read().strip() == "request-log":
                    return task
    raise RuntimeError("there is no thread 'request-log'")


def beside_stall(server, seconds):
    """Every write of the log takes 20 ms longer."""
    tracer = subprocess.Popen(
        ["strace", "-p", writer(server), "-e", "trace=write", "-e",
         "inject=write:delay_enter=20000", "-o", f"{server.folder}/strace.txt"],
        stderr=subprocess.DEVNULL)
    try:
        load = hosts.load(server, QUICK, seconds, CONNECTIONS)
    finally:
        tracer.terminate()
        tracer.wait()
    with open(f"{server.folder}/strace.txt") as file:
        if sum("DELAYED" in line for line in file) < seconds * 10:
            raise RuntimeError("strace has delayed nothing")
    return load


DISTURBANCES = [
    ("a model that computes 50 ms, at full load", beside_slow, 2.0),
    ("every write of the log delayed by 20 ms", beside_stall, 1.5),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=hosts.few(5))
    parser.add_argument("--seconds", type=int, default=hosts.few(3))
    options = parser.parse_args()
    print("| disturbance | p99 alone µs | p99 beside it µs | ratio | wanted | |")
    print("|---|--:|--:|--:|--:|---|")
    for name, disturbed, wanted in DISTURBANCES:
        rounds = []
        with hosts.folder() as folder:
            hosts.prepare(folder, {}, [("quick", "thirty_lines"), ("slow", "slow_model")])
            with open(f"{folder}/deployments/main/slow/deployment.yaml", "w") as file:
                file.write("schemaVersion: 1\nexecution: {mode: pool}\n")
            with hosts.host(folder) as server:
                hosts.load(server, QUICK, 1, CONNECTIONS)  # warms up
                for _ in range(options.rounds):
                    alone = hosts.load(server, QUICK, options.seconds, CONNECTIONS)
                    rounds.append((alone, disturbed(server, options.seconds)))
        ratio = hosts.median([beside.p99 / alone.p99 for alone, beside in rounds])
        verdict = "met" if ratio <= wanted else "**missed**"
        print(f"| {name} | {hosts.median([a.p99 for a, _ in rounds]):,.0f} "
              f"| {hosts.median([b.p99 for _, b in rounds]):,.0f} | {ratio:.2f} | ≤ {wanted} "
              f"| {verdict} |", flush=True)


if __name__ == "__main__":
    if shutil.which("strace") is None:
        sys.exit("disturbances.py: found no strace, which stalls the disk; install it")
    main()
