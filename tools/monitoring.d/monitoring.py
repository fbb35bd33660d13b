"""A server, a Prometheus that scrapes it, and a bench whose totals both have to agree with."""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

PROGRAM = os.environ["BOOTSTORM"]
HTTP = "127.0.0.1:9469"
PROMETHEUS = "127.0.0.1:9490"
BYTE_COUNT = 200_000

SETTINGS = f"""
global:
  scrape_interval: 1s
rule_files: ["{{rules}}"]
scrape_configs:
  - job_name: bootstorm
    static_configs: [{{{{targets: ["{HTTP}"]}}}}]
"""


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def await_answer(url, process):
    """Waits until `url` answers."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if process.poll() is not None:
            sys.exit(f"monitoring: {process.args[0]} has ended")
        try:
            return fetch(url)
        except OSError:
            time.sleep(0.1)
    sys.exit(f"monitoring: {url} does not answer")


def total(query):
    """The value of a query that has one; 0 where Prometheus has no series for it."""
    url = f"http://{PROMETHEUS}/api/v1/query?query={urllib.parse.quote(query)}"
    result = json.loads(fetch(url))["data"]["result"]
    return float(result[0]["value"][1]) if result else 0


def await_total(query, wanted):
    """Prometheus knows what happened with the next scrape."""
    end = time.monotonic() + 30
    while (value := total(query)) != wanted and time.monotonic() < end:
        time.sleep(0.2)
    return value


class Report:
    """One line for each figure; the exit code."""

    def __init__(self):
        self.has_failed = False

    def line(self, what, seen, wanted):
        verdict = "ok  " if seen == wanted else "FAIL"
        print(f"{verdict} {what}: {seen:g}, bench has {wanted:g}")
        self.has_failed |= seen != wanted

    def command(self, what, *arguments, **how):
        run = subprocess.run(arguments, capture_output=True, text=True, **how)
        print(f"{'FAIL' if run.returncode else 'ok  '} {what}")
        if run.returncode or run.stderr.strip():
            print(run.stdout + run.stderr)
        self.has_failed |= run.returncode != 0 or bool(run.stderr.strip())


def bench(arguments, scratch):
    path = scratch / "bench.json"
    subprocess.run(
        [PROGRAM, "bench", "tftp://127.0.0.1:6969/file", "--clients", str(arguments.clients),
         "--transfers", str(arguments.transfers), "--client", "ipxe:3", "--client", "plain",
         "--json", path], check=True)
    return json.loads(path.read_text())


def compare(report, bench_report):
    """Before its load, bench fetches the file once: one transfer more."""
    done = bench_report["transfers"] + 1
    ended = 'sum(bootstorm_transfers_total{outcome="done"})'
    report.line("transfers done", await_total(ended, done), done)
    report.line("transfers failed", total(
        'sum(bootstorm_transfers_total{outcome=~"failed|timed_out|aborted"})'),
        bench_report["failed"])
    report.line("payload bytes", total('bootstorm_transferred_bytes_total{direction="read"}'),
                bench_report["bytes"] + BYTE_COUNT)
    report.line("durations", total(
        'bootstorm_transfer_duration_seconds_count{direction="read"}'), done)
    report.line("running at the end", total("sum(bootstorm_transfers_running)"), 0)


def check(root, arguments, scratch, started):
    report = Report()
    rules = root / "packaging/prometheus/bootstorm.rules.yml"
    report.command("promtool check rules", "promtool", "check", "rules", rules)
    report.command("promtool test rules", "promtool", "test", "rules", "bootstorm.rules.test.yml",
                   cwd=rules.parent, stdin=subprocess.DEVNULL)
    served = scratch / "served"
    served.mkdir()
    (served / "file").write_bytes(os.urandom(BYTE_COUNT))
    os.chmod(scratch, 0o755)
    server = subprocess.Popen(
        [PROGRAM, "serve", served, "--listen", "127.0.0.1:6969", "--http", HTTP, "--control",
         "none", "--log-level", "warning"], stdout=subprocess.DEVNULL)
    started.append(server)
    await_answer(f"http://{HTTP}/readyz", server)
    settings = scratch / "prometheus.yml"
    settings.write_text(SETTINGS.format(rules=rules))
    report.command("promtool check config", "promtool", "check", "config", settings)
    prometheus = subprocess.Popen(
        ["prometheus", f"--config.file={settings}", f"--storage.tsdb.path={scratch}/data",
         f"--web.listen-address={PROMETHEUS}", "--log.level=error"])
    started.append(prometheus)
    await_answer(f"http://{PROMETHEUS}/-/ready", prometheus)
    compare(report, bench(arguments, scratch))
    report.command("promtool check metrics", "promtool", "check", "metrics",
                   input=fetch(f"http://{HTTP}/metrics"))
    return 1 if report.has_failed else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--transfers", type=int, default=400)
    arguments = parser.parse_args()
    started = []
    with tempfile.TemporaryDirectory(prefix="monitoring-") as scratch:
        try:
            sys.exit(check(arguments.root, arguments, pathlib.Path(scratch), started))
        finally:
            for process in started:
                process.terminate()
                process.wait()


main()
