#!/usr/bin/env python3
"""Measures Switchyard beside the limit and nginx, in turn, and prints one table in Markdown.

`make bench` builds what it needs and runs this. Only the ratios of one run mean anything: load and
server share the machine, and machines differ from hour to hour. So every round measures every case,
in another order, and a ratio is the median of the rounds' own ratios.
"""
import argparse
import os
import subprocess
import sys

sys.dont_write_bytecode = True
import hosts  # noqa: E402

COIN = """schemaVersion: 1
backends:
  a:
    deployment: {name: echo, version: latest}
  b:
    deployment: {name: echo, version: latest}
"""
STATIC = """schemaVersion: 1
backends:
  fixed:
    value: {total: 48.48, unit: 16.16}
"""
with open("endpoints/pricing_optimizer.yaml") as file:
    STICKY = file.read()
CODABLE = STICKY.replace("pricing_model_v1", "codable_pricing") \
    .replace("pricing_model_v2", "codable_pricing")

LIMIT, NGINX, DEFAULT = "the limit", "nginx", "Switchyard, two Swift models, sticky"
NAME = "pricing_optimizer"


def switchyard(endpoint, *builds):
    """A case: a host with one endpoint and the builds that it asks."""
    def start(folder, _):
        hosts.prepare(folder, {NAME: endpoint}, [(build, build) for build in builds])
        return hosts.host(folder)
    return start


CASES = {
    LIMIT: lambda folder, _: hosts.limit(folder),
    NGINX: lambda folder, body: hosts.nginx(folder, body),
    "nginx, access log": lambda folder, body: hosts.nginx(
        folder, body, "{folder}/access.log combined buffer=64k flush=1s"),
    "Switchyard, static value": switchyard(STATIC),
    "Switchyard, C model twice, coin": switchyard(COIN, "echo"),
    DEFAULT: switchyard(STICKY, "pricing_model_v1", "pricing_model_v2"),
    "Switchyard, Codable model, sticky": switchyard(CODABLE, "codable_pricing"),
}


def fixed_body(requests):
    """The body of the limit's answer, which nginx gives too."""
    with hosts.folder() as folder, hosts.limit(folder) as server:
        return hosts.ask(server, *requests[0])[1]


def measure(start, body, requests, options):
    """One case of one round: its load, and its memory behind it."""
    with hosts.folder() as folder, start(folder, body) as server:
        status, answer = hosts.ask(server, *requests[0])
        if status != 200:
            raise RuntimeError(f"status {status}: {answer}")
        hosts.load(server, requests, 1, options.connections)  # warms up
        load = hosts.load(server, requests, options.seconds, options.connections)
        if load.timeouts:
            raise RuntimeError(f"{load.timeouts} answers took more than two seconds")
        return load, server.memory()


def report(runs, options):
    """The table and the targets."""
    middle = {
        case: [hosts.median(column) for column in zip(*(load + memory for load, memory in run))]
        for case, run in runs.items()}

    def ratio(case, other, field):
        """The median of the rounds' own ratios."""
        return hosts.median([getattr(one[0], field) / getattr(two[0], field)
                             for one, two in zip(runs[case], runs[other])])

    rows = []
    for case in CASES:
        load = hosts.Load(*middle[case][:len(hosts.Load._fields)])
        memory = hosts.Memory(*middle[case][len(hosts.Load._fields):])
        rows.append([
            case, f"{load.rate:,.0f}", f"{ratio(case, LIMIT, 'rate'):.2f}",
            f"{ratio(case, NGINX, 'rate'):.2f}", f"{load.cpu:.2f}",
            f"{ratio(case, LIMIT, 'cpu'):.2f}", f"{ratio(case, NGINX, 'cpu'):.2f}",
            f"{load.p50:,.0f}", f"{load.p99:,.0f}", f"{ratio(case, NGINX, 'p99'):.2f}",
            f"{load.answer_bytes:.0f}",
            f"{memory.resident / 1024:.1f} = {memory.anonymous / 1024:.1f} "
            f"+ {memory.file / 1024:.1f}"])
    print(hosts.table(
        ["server", "requests/s", "of the limit", "of nginx", "CPU µs", "of the limit", "of nginx",
         "p50 µs", "p99 µs", "of nginx", "bytes", "MiB = anonymous + file"], rows))
    print(f"\n{DEFAULT}, request log on:\n")
    rates = [ratio(DEFAULT, other, "rate") for other in (LIMIT, NGINX)]
    for line in (
        hosts.verdict("CPU a request, of the limit", ratio(DEFAULT, LIMIT, "cpu"), 1.5),
        hosts.verdict("requests/s, of the limit", rates[0], 0.8, at_least=True),
        hosts.verdict("requests/s, of nginx", rates[1], 1.0, at_least=True),
        hosts.verdict("p99, of nginx", ratio(DEFAULT, NGINX, "p99"), 1.2),
    ):
        print(line)


def commit():
    """What is measured, as git names it."""
    try:
        words = ["git", "describe", "--always", "--dirty"]
        return subprocess.run(words, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        return "unknown"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of load, for each case of a round")
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()

    requests = hosts.prices(f"/v1/{NAME}")
    body = fixed_body(requests)
    runs = {case: [] for case in CASES}
    for number, case in hosts.turns(options.rounds, CASES):
        runs[case].append(measure(CASES[case], body, requests, options))
        rate, cpu = runs[case][-1][0][:2]
        print(f"round {number + 1}: {case}: {rate:,.0f}/s, {cpu:.2f} µs", file=sys.stderr)
    print(f"Medians of {options.rounds} rounds of {options.seconds} s, {options.connections} "
          f"connections, {os.cpu_count()} cores, Linux {os.uname().release}, commit {commit()}. "
          "CPU µs are the server's, user and system, for each request.")
    print(hosts.others([load for run in runs.values() for load, _ in run]) + "\n")
    report(runs, options)


if __name__ == "__main__":
    sys.exit(main())
