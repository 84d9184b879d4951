#!/usr/bin/env python3
"""Measures what the other protocols cost beside the native one, and tensors beside reading alone.

`make surfaces` builds what it needs and runs this. Every round measures every case, in another
order; a ratio is the median of the rounds' own ratios, of CPU for each request.
"""
import argparse
import json
import os
import struct
import sys

sys.dont_write_bytecode = True
import hosts  # noqa: E402
from bench import commit  # noqa: E402

with open("endpoints/pricing_optimizer.yaml") as file:
    STICKY = file.read()
USERS = range(123, 1123)
SIDE = 512  # of a matrix of FP32: 1 MiB


def hexadecimal(path, header, *tensors):
    """A request with tensors as bytes."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return path, f"hex:{len(text)}:{(text + b''.join(tensors)).hex()}"


def tensor(name, datatype, shape, data):
    """The header of an input that has so many bytes."""
    parameters = {"binary_data_size": len(data)}
    return {"name": name, "shape": shape, "datatype": datatype, "parameters": parameters}


def binary(user):
    """The four values of the README's request as four tensors, all answers in binary."""
    def text(value):
        return struct.pack("<I", len(value)) + value.encode()

    values = [
        ("price", "FP64", struct.pack("<d", 19.99)), ("quantity", "FP64", struct.pack("<d", 3)),
        ("category", "BYTES", text("shopping")), ("user_id", "BYTES", text(str(user))),
    ]
    header = {
        "inputs": [tensor(name, datatype, [1], data) for name, datatype, data in values],
        "parameters": {"binary_data_output": True},
    }
    return hexadecimal(
        "/v2/models/pricing_optimizer/infer", header, *(data for _, _, data in values))


def in_json(user):
    """The same in JSON."""
    return "/v2/models/pricing_optimizer/infer", json.dumps({"inputs": [
        {"name": "price", "shape": [1], "datatype": "FP64", "data": [19.99]},
        {"name": "quantity", "shape": [1], "datatype": "FP64", "data": [3]},
        {"name": "category", "shape": [1], "datatype": "BYTES", "data": ["shopping"]},
        {"name": "user_id", "shape": [1], "datatype": "BYTES", "data": [str(user)]},
    ]}, separators=(",", ":"))


def dataiku(user):
    path = "/public/api/v1/pricing_optimizer/pricing_optimizer/predict"
    return path, json.dumps({"features": {**hosts.PURCHASE, "user_id": user}})


def matrix():
    """One matrix of 1 MiB, and a vector."""
    data = [struct.pack("<f", 0.5) * count for count in (SIDE * SIDE, SIDE)]
    header = {
        "inputs": [
            tensor("matrix", "FP32", [SIDE, SIDE], data[0]),
            tensor("vector", "FP32", [SIDE], data[1]),
        ],
        "outputs": [{"name": "product", "parameters": {"binary_data": True}}],
    }
    return [hexadecimal("/v2/models/matrix_vector/infer", header, *data)]


NATIVE, BINARY, JSON, DATAIKU = "native", "v2, binary", "v2, JSON", "Dataiku"
READER, TENSOR = "only reading 1 MiB", "v2, a matrix of 1 MiB"
SMALL = {
    NATIVE: hosts.prices("/v1/pricing_optimizer"), BINARY: [binary(user) for user in USERS],
    JSON: [in_json(user) for user in USERS], DATAIKU: [dataiku(user) for user in USERS],
}


def prepared(folder):
    hosts.prepare(
        folder, {"pricing_optimizer": STICKY},
        [(name, name) for name in ("pricing_model_v1", "pricing_model_v2", "matrix_vector")])
    return hosts.host(folder)


def measure(case, options):
    with hosts.folder() as folder:
        with hosts.limit(folder) if case == READER else prepared(folder) as server:
            is_large = case in (READER, TENSOR)
            requests = matrix() if is_large else SMALL[case]
            connections = 4 if is_large else options.connections
            hosts.load(server, requests, 1, connections)  # warms up
            return hosts.load(server, requests, options.seconds, connections)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of load, for each case of a round")
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    names = [*SMALL, READER, TENSOR]
    runs = {case: [] for case in names}
    for number, case in hosts.turns(options.rounds, names):
        load = measure(case, options)
        runs[case].append(load)
        print(f"round {number + 1}: {case}: {load.rate:,.0f}/s, {load.cpu:.2f} µs",
              file=sys.stderr)

    def ratio(case, other):
        return hosts.median([one.cpu / two.cpu for one, two in zip(runs[case], runs[other])])

    print(f"Medians of {options.rounds} rounds of {options.seconds} s, {options.connections} "
          f"connections (4 for 1 MiB), {os.cpu_count()} cores, commit {commit()}.")
    print(hosts.others([load for run in runs.values() for load in run]) + "\n")
    rows = []
    for case in names:
        other = READER if case in (READER, TENSOR) else NATIVE
        middle = [hosts.median([getattr(load, field) for load in runs[case]])
                  for field in ("rate", "cpu", "p50", "p99")]
        rows.append([case, f"{middle[0]:,.0f}", f"{middle[1]:.2f}", f"{ratio(case, other):.2f}",
                     other, f"{middle[2]:,.0f}", f"{middle[3]:,.0f}"])
    head = ["case", "requests/s", "CPU µs", "of", "it", "p50 µs", "p99 µs"]
    print(hosts.table(head, rows) + "\n")
    print(hosts.verdict("CPU of a binary infer, of native", ratio(BINARY, NATIVE), 1.3))
    print(hosts.verdict("CPU of 1 MiB of FP32, of reading it", ratio(TENSOR, READER), 1.3))


if __name__ == "__main__":
    main()
