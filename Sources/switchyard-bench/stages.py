#!/usr/bin/env python3
"""Prints the stages of a request: nanoseconds, and instructions as callgrind counts them.

Instructions hardly depend on the machine or on its neighbours, so they show small changes that time
does not. Each stage runs twice, N and 2 N times: the difference is what N operations cost. Swift's
hashing is made deterministic for that, so that both runs begin alike.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
import hosts  # noqa: E402

PROGRAM = f"{hosts.BUILD}/switchyard-bench"
PLUGINS = ["echo", "pricing_model_v2", "codable_pricing"]


def stripped(folder):
    """A copy of the program and its plugins that valgrind can read: not every valgrind knows the
    debugging records of this compiler."""
    for file in [PROGRAM, *(f"{hosts.BUILD}/lib{name}.so" for name in PLUGINS)]:
        subprocess.run(["strip", "-o", f"{folder}/{os.path.basename(file)}", file], check=True)
    return f"{folder}/{os.path.basename(PROGRAM)}"


def instructions(program, stage, count):
    """Instructions of a whole run that does a stage so many times."""
    run = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}",
         program, "stages", "--only", stage, "--count", str(count)],
        capture_output=True, text=True, env={**os.environ, "SWIFT_DETERMINISTIC_HASHING": "1"})
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode or not found:
        raise RuntimeError(f"valgrind has failed:\n{run.stdout}{run.stderr}")
    return int(found[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=hosts.few(2000, 20), help="operations that are counted")
    parser.add_argument("--only", action="append", help="only this stage; repeatable")
    options = parser.parse_args()
    timed = subprocess.run([PROGRAM, "stages"], check=True, capture_output=True, text=True).stdout
    rows = [line.strip("| ").split(" | ") for line in timed.splitlines()[2:]]
    rows = hosts.few([row for row in rows if not options.only or row[0] in options.only])
    with hosts.folder() as folder:
        program = stripped(folder)
        for row in rows if shutil.which("valgrind") else []:
            once, twice = (instructions(program, row[0], options.count * times) for times in (1, 2))
            row.append(f"{(twice - once) / options.count:,.0f}")
    head = ["stage", "what", "ns", "instructions"]
    print(hosts.table(head[:len(rows[0])], rows))


if __name__ == "__main__":
    sys.exit(main())
