#!/usr/bin/env python3
"""Measures the JSON scanner beside simdjson's DOM parser, on the same bytes, in turn.

Prints a Markdown table; a ratio is the median of the rounds' own ratios. `make bench` runs it.
"""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import hosts  # noqa: E402

PROGRAM = ".build/release/switchyard-bench"
SOURCE = "Sources/switchyard-bench/simdjson.cpp"
ROUNDS = hosts.few(5)
WANTED = 0.35


def measured(command):
    """Bytes and nanoseconds of each document that a program prints a line for."""
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[0]: [float(word) for word in line.split()[1:3]] for line in lines}


def main():
    with tempfile.TemporaryDirectory() as folder:
        other = f"{folder}/simdjson"
        # The compiler that comes with Swift; a machine may have no other.
        compiler = os.path.join(os.path.dirname(os.path.realpath(shutil.which("swift"))), "clang++")
        subprocess.run([compiler, "-O2", "-o", other, SOURCE, "-lsimdjson"], check=True)
        rounds = [(measured([PROGRAM, "json", folder]), measured([other, folder]))
                  for _ in range(ROUNDS)]
    print("| document | bytes | ns | MB/s | simdjson ns | MB/s | of simdjson's speed |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name, (size, _) in rounds[0][0].items():
        ours = statistics.median(own[name][1] for own, _ in rounds)
        theirs = statistics.median(beside[name][1] for _, beside in rounds)
        ratio = statistics.median(beside[name][1] / own[name][1] for own, beside in rounds)
        verdict = "" if ratio >= WANTED else f" **missed**, wanted ≥ {WANTED}"
        print(f"| {name} | {size:,.0f} | {ours:,.0f} | {size * 1000 / ours:,.0f} "
              f"| {theirs:,.0f} | {size * 1000 / theirs:,.0f} | {ratio:.2f}{verdict} |")


if __name__ == "__main__":
    main()
