#!/usr/bin/env python3
"""Measures how Switchyard's cost grows: with endpoints, splits, connections, bytes and rows.

`make curves` builds what it needs and runs this. Each curve is measured several times, its points
in turn; a value is the median, and a ratio to another point the median of the rounds' own.
"""
import argparse
import json
import sys

sys.dont_write_bytecode = True
import hosts  # noqa: E402

with open("endpoints/pricing_optimizer.yaml") as file:
    STICKY = file.read()
MODELS = [("pricing_model_v1", "pricing_model_v1"), ("pricing_model_v2", "pricing_model_v2")]
NAME = "pricing_optimizer"
CURVES = {}


def curve(function):
    """Adds a curve under the name of its function."""
    CURVES[function.__name__] = function
    return function


class Point:
    """One point of a curve: a host to start, what it is asked, and over how many connections."""

    def __init__(self, label, endpoints, deployments, requests, connections=64, rows=1):
        self.label, self.endpoints, self.deployments = label, endpoints, deployments
        self.requests, self.connections, self.rows = requests, connections, rows
        self.loads, self.starts, self.memories = [], [], []

    def measure(self, seconds):
        with hosts.folder() as folder:
            hosts.prepare(folder, self.endpoints, self.deployments)
            with hosts.host(folder) as server:
                first = server.start_milliseconds
            with hosts.host(folder) as server:
                self.starts.append((first, server.start_milliseconds))
                self.memories.append(server.memory().resident)
                status, answer = hosts.ask(server, *self.requests[0])
                if status != 200:
                    raise RuntimeError(f"status {status}: {answer[:1000]}")
                hosts.load(server, self.requests, 1, min(64, self.connections))  # warms up
                seconds = max(seconds, self.connections // 1000)  # connecting takes some, too
                self.loads.append(hosts.load(server, self.requests, seconds, self.connections))

    def middle(self, field):
        return hosts.median([getattr(load, field) for load in self.loads])

    def start(self, which):
        """Milliseconds of the first (0) or of a later start (1)."""
        return hosts.median([start[which] for start in self.starts])

    def kibibytes(self):
        return hosts.median(self.memories)

    def ratio(self, base):
        """CPU a row, as the median ratio to another point's of the same round."""
        return hosts.median([one.cpu / self.rows / (two.cpu / base.rows)
                             for one, two in zip(self.loads, base.loads)])


def measured(points, options):
    """Measures every point in each round, in another order each time."""
    for number, point in hosts.turns(options.rounds, points):
        point.measure(options.seconds)
        cpu = point.loads[-1].cpu
        print(f"round {number + 1}: {point.label}: {cpu:.1f} µs", file=sys.stderr)
    print(hosts.others([load for point in points for load in point.loads]) + "\n")
    return points


def columns(point, base):
    return [f"{point.middle('rate'):,.0f}", f"{point.middle('cpu'):.1f}", f"{point.ratio(base):.2f}",
            f"{point.middle('p50'):,.0f}", f"{point.middle('p99'):,.0f}"]


HEAD = ["requests/s", "CPU µs", "of the first", "p50 µs", "p99 µs"]


@curve
def endpoints(options):
    """Endpoints, a sticky split of two Swift models each; requests go to up to 1,000 of them."""
    points = []
    for count in hosts.few((1, 10, 100, 1000, 10_000), 2):
        names = [f"pricing_{number}" for number in range(count)]
        bodies = [body for _, body in hosts.prices()]
        requests = [(f"/v1/{names[number * count // 1000]}", body)
                    for number, body in enumerate(bodies)]
        points.append(Point(count, dict.fromkeys(names, STICKY), MODELS, requests))
    one, *_, most = measured(points, options)

    def each(point):
        return (point.kibibytes() - one.kibibytes()) / (point.label - 1)

    # Freed heap that the C library keeps is some MiB more or less: too much to divide by a hundred.
    print(hosts.table(
        ["endpoints", *HEAD, "first start ms", "later start ms", "MiB", "KiB each"],
        [[f"{point.label:,}", *columns(point, one), f"{point.start(0):.0f}",
          f"{point.start(1):.0f}", f"{point.kibibytes() / 1024:.1f}",
          f"{each(point):.1f}" if point.label >= 10_000 else "–"] for point in points]))
    return [
        hosts.verdict("CPU with 10,000 endpoints, of one", most.ratio(one), 1.05),
        hosts.verdict("first start with 10,000 endpoints", most.start(0) / 1000, 1, " s"),
        hosts.verdict("later start with 10,000 endpoints", most.start(1) / 1000, 1, " s"),
        hosts.verdict("an endpoint of 10,000", each(most), 4, " KiB"),
    ]


@curve
def splits(options):
    """Splits of one sticky endpoint, static values."""
    points = []
    for count in hosts.few((2, 4, 8, 16, 32, 64), 2):
        lines = [f"  arm{number}: {{value: {number}}}" for number in range(count)]
        text = "\n".join(["schemaVersion: 1", "backends:", *lines,
                          "experimentConfig: {subjectKey: user_id}", ""])
        points.append(Point(count, {NAME: text}, [], hosts.prices()))
    points = measured(points, options)
    print(hosts.table(
        ["splits", *HEAD], [[point.label, *columns(point, points[0])] for point in points]))
    return []


@curve
def connections(options):
    """Keep-alive connections, each with one request under way; accepting them counts too."""
    points = []
    for count in hosts.few((64, 1, 16, 256, 1000, 10_000), 2):
        if count + 100 > options.descriptors:
            print(f"{count:,} connections are left out: at most {options.descriptors:,} files may be "
                  "open here, see `ulimit -n`.\n")
            continue
        points.append(Point(count, {NAME: STICKY}, MODELS, hosts.prices(), count))
    points = measured(points, options)
    base = points[0]
    head = ["of 64" if word == "of the first" else word for word in HEAD]
    print(hosts.table(
        ["connections", *head, "timeouts"],
        [[f"{point.label:,}", *columns(point, base), f"{point.middle('timeouts'):.0f}"]
         for point in points]))
    return []


@curve
def bodies(options):
    """Bytes of a body: passed over by a static value, and passed through a model in C and back."""
    sizes = hosts.few([64 << shift for shift in range(0, 15, 2)])
    texts = {
        "static value": "schemaVersion: 1\nbackends:\n  fixed: {value: 1}\n",
        "echo": "schemaVersion: 1\nbackends:\n  c: {deployment: {name: echo, version: latest}}\n",
    }
    points = []
    for size in sizes:
        frame = json.dumps({"data": {"padding": ""}})
        body = json.dumps({"data": {"padding": "x" * (size - len(frame))}})
        for name, text in texts.items():
            builds = [("echo", "echo")] if name == "echo" else []
            request = (f"/v1/{NAME}", body)
            points.append(Point(f"{size:,} ({name})", {NAME: text}, builds, [request]))
    points = measured(points, options)
    for index, name in enumerate(texts):
        print(hosts.table(
            [f"bytes, {name}", *HEAD, "ns/byte"],
            [[f"{size:,}", *columns(point, points[index]),
              f"{point.middle('cpu') * 1000 / size:.2f}"]
             for size, point in zip(sizes, points[index::2])]))
        print()
    return []


@curve
def rows(options):
    """Rows of a batch, beside a single request; the default configuration, 16 connections."""
    points = [Point("single", {NAME: STICKY}, MODELS, hosts.prices(), 16)]
    for count in hosts.few((1, 10, 100, 1000, 10_000)):
        data = [[number, {**hosts.PURCHASE, "user_id": 123 + number}] for number in range(count)]
        requests = [(f"/v1/{NAME}", json.dumps({"data": data}))]
        points.append(Point(f"{count:,}", {NAME: STICKY}, MODELS, requests, 16, rows=count))
    single, *_, most = measured(points, options)
    print(hosts.table(
        ["rows", "requests/s", "rows/s", "CPU µs", "CPU µs a row", "of a single request", "p99 µs"],
        [[point.label, f"{point.middle('rate'):,.0f}", f"{point.middle('rate') * point.rows:,.0f}",
          f"{point.middle('cpu'):,.1f}", f"{point.middle('cpu') / point.rows:.2f}",
          f"{point.ratio(single):.2f}", f"{point.middle('p99'):,.0f}"] for point in points]))
    return [hosts.verdict("a row of 10,000, of a single request", most.ratio(single), 0.2)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("curves", nargs="*", metavar="CURVE", help=", ".join(CURVES))
    parser.add_argument("--rounds", type=int, default=hosts.few(3))
    parser.add_argument("--seconds", type=int, default=hosts.few(2), help="of load, for each point of a round")
    options = parser.parse_args()
    unknown = set(options.curves) - set(CURVES)
    if unknown:
        parser.error(f"unknown curve {', '.join(unknown)}; there are {', '.join(CURVES)}")
    options.descriptors = hosts.raise_descriptors(1 << 15)
    verdicts = []
    for name in options.curves or CURVES:
        print(f"{CURVES[name].__doc__}\n")
        verdicts += CURVES[name](options)
        print(flush=True)
    print("\n".join(verdicts))


if __name__ == "__main__":
    sys.exit(main())
