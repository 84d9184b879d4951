#!/usr/bin/env python3
"""Measures a host's resident memory and the time from its start to its first answer.

Prints a table: a host without endpoints, then the same host with more of each sample, the median of
five runs in turn; then whether the targets are met. `make footprint` builds what it needs.
"""
import sys

sys.dont_write_bytecode = True
import hosts  # noqa: E402

ROUNDS = hosts.few(5)
TREES = "Plugins/tumor_classifier/resources"
C = [("echo", "echo"), ("fraud_detection", "fraud_detection_v1"),
     ("tumor_classifier", "tumor_classifier_v1")]
SWIFT = [("pricing_model_v1", "pricing_model_v1"), ("pricing_model_v2", "pricing_model_v2"),
         ("fraud_detection", "fraud_detection_v2"),
         ("tumor_classifier", "tumor_classifier_v2", "--resources", TREES)]
ALONE, ONE_C, ONE_SWIFT = "host alone", "+ echo (C)", "+ pricing_model_v2 (Swift)"
MORE_C, MORE_SWIFT = "+ 3 deployments in C and C++", "+ 4 deployments in Swift"
# The deployments that it loads: (name, build, further words) each.
SAMPLES = {ALONE: [], ONE_C: C[:1], MORE_C: C, ONE_SWIFT: SWIFT[1:2], MORE_SWIFT: SWIFT}


def measure(deployments):
    """KiB resident, KiB of it anonymous, and milliseconds of the first and of a later start."""
    with hosts.folder() as folder:
        hosts.prepare(folder, {}, deployments)
        # The first start probes every build; a later one knows them already.
        with hosts.host(folder, "--loops", "2") as host:
            first = host.start_milliseconds
        with hosts.host(folder, "--loops", "2") as host:
            memory = host.memory()
            return memory.resident, memory.anonymous, first, host.start_milliseconds


def main():
    runs = {name: [] for name in SAMPLES}
    for _ in range(ROUNDS):
        for name, deployments in SAMPLES.items():
            runs[name].append(measure(deployments))
    middle = {name: [hosts.median(column) for column in zip(*run)] for name, run in runs.items()}
    print(hosts.table(
        ["host", "resident", "of it anonymous", "first start", "later start"],
        [[name, f"{resident / 1024:.1f} MiB", f"{anonymous / 1024:.1f} MiB", f"{first:.0f} ms",
          f"{later:.0f} ms"] for name, (resident, anonymous, first, later) in middle.items()]))

    alone, _, first, _ = middle[ALONE]

    def each(name):
        """MiB that each deployment of a sample adds."""
        return (middle[name][0] - alone) / 1024 / len(SAMPLES[name])

    print()
    for line in (
        hosts.verdict("host alone, resident", alone / 1024, 8, " MiB"),
        hosts.verdict("each deployment in C", each(MORE_C), 0.3, " MiB"),
        hosts.verdict("each deployment in Swift", each(MORE_SWIFT), 2.5, " MiB"),
        hosts.verdict("host alone, start to the first answer", first, 30, " ms"),
        hosts.verdict("with a Swift deployment, later start", middle[ONE_SWIFT][3], 30, " ms"),
    ):
        print(line)


if __name__ == "__main__":
    sys.exit(main())
