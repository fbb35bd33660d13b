"""Compares Bootstorm with the TFTP servers that Debian has. Started by tools/compare."""

import argparse
import contextlib
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import measure
import peers
import scenarios
from peers import say
from report import Report

EXIT_USAGE = 64


def main():
    options = parse(sys.argv[1:])
    if options.check:
        return 0
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        return compare(options)
    except measure.Failed as error:
        say(f"tools/compare: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


def interrupt(*_):
    """The first signal ends the runs and cleans up. Another must not cut that short."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        say(f"tools/compare: {message}")
        sys.exit(EXIT_USAGE)


def parse(arguments):
    parser = Parser(
        prog="tools/compare",
        allow_abbrev=False,
        description="Runs the same storms against Bootstorm and the TFTP servers that Debian has, "
        "and writes a table, all figures and a picture. Sends to loopback addresses only.",
    )
    names = [scenario.name for scenario in scenarios.ALL]
    parser.add_argument("--out", metavar="DIR", help="where to write (default: ./compare-DATE)")
    parser.add_argument("--rounds", type=positive, help="rounds, interleaved (default: 3)")
    parser.add_argument(
        "--minutes", type=positive, default=18,
        help="begin no run after this number of minutes (default: 18)",
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, one round")
    parser.add_argument(
        "--scenarios", type=list_of(names), default=names, metavar="A,B", help=", ".join(names)
    )
    parser.add_argument(
        "--servers", type=list_of(peers.NAMES), default=peers.NAMES, metavar="X,Y",
        help=", ".join(peers.NAMES),
    )
    # What tools/compare itself hands over.
    parser.add_argument("--bootstorm", help=argparse.SUPPRESS)
    parser.add_argument("--cache", help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.out = options.out or time.strftime("compare-%Y-%m-%d")
    return options


def positive(text):
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def list_of(known):
    def parse_list(text):
        names = [name for name in text.split(",") if name]
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            wrong = ", ".join(unknown) or "nothing"
            raise argparse.ArgumentTypeError(f"{wrong} is not among {', '.join(known)}")
        return [name for name in known if name in names]

    return parse_list


def compare(options):
    began_at = time.monotonic()
    cores = two_cores()
    notes = []
    servers = find_servers(options, notes)
    chosen = choose_scenarios(options, notes)
    account = measure.Account()
    if not account.folder and any(server.name == "tftpd-hpa" for server in servers):
        notes.append(
            "No control group could be made here, so the CPU of tftpd-hpa lacks most of "
            "what its children used."
        )
    about = circumstances(options, servers, cores, notes)
    report = Report(about, chosen, [server.name for server in servers])
    os.makedirs(options.out, exist_ok=True)
    try:
        with contextlib.closing(account), served_folder(chosen) as folder:
            run_all(options, report, servers, folder, account, cores)
    except KeyboardInterrupt:
        notes.append("Interrupted: not all rounds have run.")
        say("Interrupted.")
    about["shown"]["duration"] = f"{time.monotonic() - began_at:.0f} s"
    report.write(options.out)
    print(report.markdown())
    say(f"Written: {options.out}/compare.md, compare.json and compare.svg")
    return 130 if "Interrupted: not all rounds have run." in notes else 0


def two_cores():
    """The server's core and the storm's. This program keeps off the server's."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise measure.Failed("a fair comparison needs two cores: one to serve, one to storm")
    os.sched_setaffinity(0, set(cores[2:]) or {cores[1]})
    return cores[0], cores[1]


def find_servers(options, notes):
    found = []
    for name in options.servers:
        try:
            found.append(peers.find(name, options.bootstorm, options.cache))
        except (peers.NotAvailable, subprocess.CalledProcessError, OSError) as error:
            notes.append(f"{name} is left out: {error}")
            say(notes[-1])
    if not found:
        raise measure.Failed("no server is left to measure")
    return found


def choose_scenarios(options, notes):
    bench_help = peers.run([options.bootstorm, "bench", "run", "--help"])
    chosen = []
    for scenario in scenarios.ALL:
        if scenario.name not in options.scenarios:
            continue
        if scenario.impair and "--impair" not in bench_help:
            notes.append(f"{scenario.name} is skipped: this bench has no --impair.")
            say(notes[-1])
            continue
        chosen.append(scenario.shrunk() if options.quick else scenario)
    if not chosen:
        raise measure.Failed("no scenario is left to run")
    return chosen


def circumstances(options, servers, cores, notes):
    command = " ".join(["tools/compare", *shown_arguments()])
    date = time.strftime("%Y-%m-%d %H:%M %Z")
    versions = {server.name: server.version for server in servers}
    versions_text = ", ".join(f"{name} {version}" for name, version in versions.items())
    return {
        "summary": f"{time.strftime('%Y-%m-%d')}, {cpu_model()}, Linux {platform.release()}, "
        f"one core, medians of {options.rounds}",
        "shown": {
            "date": date,
            "kernel": f"{platform.system()} {platform.release()}",
            "CPU": cpu_model(),
            "cores": f"{os.cpu_count()}; server on {cores[0]}, storm on {cores[1]}",
            "load at the beginning": f"{os.getloadavg()[0]:.1f}",
            "servers": versions_text,
            "command": f"`{command}`",
            "rounds": options.rounds,
        },
        "versions": versions,
        "commands": {server.name: server.shown_command() for server in servers},
        "notes": notes,
    }


def shown_arguments():
    """What was asked for, without what tools/compare adds."""
    arguments = sys.argv[1:]
    return arguments[4:] if arguments[:1] == ["--bootstorm"] else arguments


def cpu_model():
    for line in measure.read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


@contextlib.contextmanager
def served_folder(chosen):
    """A folder with a file for each scenario, readable for servers that are not root."""
    base = tempfile.mkdtemp(prefix="bootstorm-compare-")
    try:
        os.chmod(base, 0o755)
        folder = f"{base}/files"
        os.mkdir(folder)
        os.chmod(folder, 0o755)
        content = random.Random(1)
        write_file(f"{folder}/probe", content.randbytes(4096))
        for scenario in chosen:
            write_file(f"{folder}/{scenario.name}", content.randbytes(scenario.file_bytes))
        yield folder
    finally:
        shutil.rmtree(base, ignore_errors=True)


def write_file(path, content):
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, 0o644)


def run_all(options, report, servers, folder, account, cores):
    """Rounds outside, servers inside: what changes on the machine meanwhile meets all of them."""
    deadline = time.monotonic() + options.minutes * 60
    for number in range(1, options.rounds + 1):
        for scenario in report.scenarios:
            for server in servers:
                if time.monotonic() > deadline:
                    about_time = f"Round {number} ended before {scenario.name}, {server.name}: "
                    report.about["notes"].append(about_time + "the time was up.")
                    return
                entry = report.result(scenario, server.name)
                trial = measure.Trial(server, folder, options.bootstorm, account, cores)
                text = run_one(trial, scenario, entry)
                say(f"round {number}  {scenario.name:<14} {server.name:<10} {text}")


def run_one(trial, scenario, entry):
    """One storm against a server that has just started. Returns the line that is shown."""
    if "no windows" in entry["notes"]:
        return "no windows"
    try:
        with trial:
            if scenario.windowsize and not trial.knows_windows:
                entry["notes"].append("no windows")
                return "no windows"
            trial.warm_up(scenario)
            figures = trial.measure(scenario)
    except measure.Failed as error:
        entry["notes"].append(str(error))
        return str(error)
    entry["rounds"].append(figures)
    per_gb = figures["cpuSecondsPerGB"]
    return (
        f"{per_gb or 0:7.3f} s/GB  {figures['megabytesPerSecond']:7.1f} MB/s  "
        f"{figures['failed']} failed  {figures['unfinished']} unfinished"
    )


if __name__ == "__main__":
    sys.exit(main())
