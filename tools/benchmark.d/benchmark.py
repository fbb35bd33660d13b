"""Distils what the benchmark package writes, and puts two such results side by side.

    benchmark.py distil JMH...        a result from one or more runs, to standard output
    benchmark.py table BEFORE AFTER   both results and their ratio
"""

import json
import platform
import statistics
import sys
import time


def main():
    command, *paths = sys.argv[1:]
    if command == "distil":
        print(json.dumps(distil(paths), indent=2))
    else:
        before, after = (load(path) for path in paths)
        print_table(before, after)


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def distil(paths):
    """Nanoseconds for one of what a benchmark does: the median of the runs' medians."""
    runs = {}
    for path in paths:
        for element in load(path):
            name = element["benchmark"].split(".", 3)[3].replace("_", " ")
            # Measured by the thousand, so what comes in a second is thousands.
            per_second = element["primaryMetric"]["scorePercentiles"]["50.0"]
            runs.setdefault(name, []).append(1e9 / (1000 * per_second))
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{cpu_model()}, {platform.system()} {platform.release()}",
        "nanoseconds": {name: round(statistics.median(runs[name]), 2) for name in sorted(runs)},
    }


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def print_table(before, after):
    old, new = before["nanoseconds"], after["nanoseconds"]
    width = max(len(name) for name in {**old, **new})
    print(f"{'nanoseconds':{width}}  {'before':>9}  {'after':>9}  {'ratio':>6}")
    for name in {**old, **new}:
        cells = [f"{each[name]:9.2f}" if name in each else f"{'-':>9}" for each in (old, new)]
        ratio = f"{new[name] / old[name]:6.2f}" if name in old and name in new else f"{'-':>6}"
        print(f"{name:{width}}  {cells[0]}  {cells[1]}  {ratio}")


if __name__ == "__main__":
    main()
