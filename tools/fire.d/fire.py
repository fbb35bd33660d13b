"""Forged and malformed datagrams at a server that boots a hall meanwhile.

Measures the same fetches without and under fire, and what goes out to the forged addresses. Exit
code 0: all fetches complete, in at most three times the time; at most three times as many bytes go
out to the forged as came in. 1: something does not hold. 77: no namespaces here.
"""

import argparse
import json
import os
import random
import signal
import sys
import time

import trial
from forge import Forger, kinds
from net import LabError
from networks import FORGED_SERVER, HONEST_SERVER, Networks
from processes import last_line
from serving import DRAIN_SECONDS

PORT = 69
TIMES_MAX = 3
CLIENTS = 100
FILE = "vmlinuz"


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=60)
    parser.add_argument("--datagrams", type=int, help="default: 1,000,000 a minute")
    parser.add_argument("--sources", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=1_000_000, help="of the file that is fetched")
    parser.add_argument("--seed", type=int, default=1)
    names = list(kinds(random.Random(0), b""))
    parser.add_argument("--kind", action="append", choices=names, metavar="KIND",
                        help="forge nothing else; repeatable: " + ", ".join(names))
    return parser.parse_args()


class Hall:
    """A hundred clients that fetch one file, of bench."""

    def __init__(self, network, program, folder):
        self.network, self.program, self.folder = network, program, folder
        self.count = 0

    def begin(self):
        self.count += 1
        name = f"fetch-{self.count}"
        report = os.path.join(self.folder, f"{name}.json")
        process = self.network.outside.start(
            name, self.program, "bench", f"tftp://{HONEST_SERVER}:{PORT}/{FILE}",
            "--clients", CLIENTS, "--transfers", CLIENTS, "--client", "ipxe", "--json", report,
            "--verify", os.path.join(self.folder, "root", FILE))
        return Fetch(process, report)


class Fetch:
    def __init__(self, process, report):
        self.process, self.report = process, report

    def finish(self, limit):
        """The seconds, or why it failed."""
        is_complete = self.process.wait(limit)
        self.process.kill()
        if not is_complete:
            return None, f"not complete within {limit:.0f} s"
        if self.process.process.returncode != 0:
            return None, last_line(self.process.log())
        with open(self.report, encoding="utf8") as file:
            return json.load(file)["seconds"], None


def start_server(network, program, folder):
    server = network.server.start(
        "server", program, "serve", os.path.join(folder, "root"),
        "--listen", f"0.0.0.0:{PORT}", "--upload", "overwrite")
    server.wait_until_listening()
    return server


def forge(network, arguments, count, name):
    """In a process of its own: prints datagrams, bytes and seconds."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with network.outside.inside():
                forger = Forger(FORGED_SERVER, PORT, name.encode(), arguments.sources, arguments.seed,
                                arguments.kind or ())
            os.write(writer, b"ready\n")
            took = forger.run(count, arguments.seconds)
            os.write(writer, json.dumps([forger.sent_count, forger.sent_bytes, took]).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    answer = os.fdopen(reader, encoding="ascii")
    answer.readline()
    return pid, answer


def under_fire(network, hall, arguments, usual, verdict, server):
    count = arguments.datagrams or int(1_000_000 * arguments.seconds / 60)
    before = network.sent_to_forged()
    pid, answer = forge(network, arguments, count, FILE)
    began = time.monotonic()
    times = [share * arguments.seconds for share in ((0, 1 / 3, 2 / 3) if arguments.seconds >= 30 else (0,))]
    limit = max(TIMES_MAX * usual + 5, 10)
    for start in times:
        time.sleep(max(0, began + start - time.monotonic()))
        judge(f"beginning {start:.0f} s after the first datagram", hall.begin(), usual, limit, verdict)
    sent, sent_bytes, took = json.loads(answer.read() or "[0, 0, 0]")
    os.waitpid(pid, 0)
    judge("beginning after the last datagram", hall.begin(), usual, limit, verdict)
    # What is sent again to the silent has gone out by then.
    time.sleep(2)
    after = network.sent_to_forged()
    out_count, out_bytes = after[0] - before[0], after[1] - before[1]
    verdict.check(sent == count and took < 1.2 * arguments.seconds + 1,
                  f"{sent:,} datagrams of {arguments.sources:,} sources in {took:.1f} s")
    verdict.check(out_bytes <= TIMES_MAX * sent_bytes,
                  f"bytes out to the forged: {out_bytes:,} in {out_count:,} datagrams, for {sent_bytes:,} in: "
                  f"{out_bytes / max(1, sent_bytes):.2f} times")
    verdict.check(not server.has_ended(), f"the server lives, with {trial.kilobytes(server, 'VmRSS:') >> 10} MiB")


def judge(when, fetch, usual, limit, verdict):
    took, failure = fetch.finish(limit + 20)
    if failure:
        return verdict.check(False, f"{CLIENTS} fetches {when}: {failure}")
    return verdict.check(
        took <= max(TIMES_MAX * usual, 1), f"{CLIENTS} fetches {when}: {took:.2f} s, {took / usual:.2f} times")


def burn(arguments, program, folder, verdict):
    with open(os.path.join(folder, "root", FILE), "wb") as file:
        file.write(os.urandom(arguments.bytes))
    with Networks(folder) as network:
        network.build()
        server = start_server(network, program, folder)
        hall = Hall(network, program, folder)
        hall.begin().finish(60)
        usual, failure = hall.begin().finish(60)
        if failure:
            raise SystemExit(f"the fetches fail without any fire: {failure}")
        print(f"{CLIENTS} fetches of {arguments.bytes:,} bytes undisturbed: {usual:.2f} s", flush=True)
        under_fire(network, hall, arguments, usual, verdict, server)
        server.end(DRAIN_SECONDS)
        verdict.check(server.process.returncode == 0, "the server ends when it is told to")


def main():
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        trial.run("fire", lambda *place: burn(arguments, *place))
    except LabError as error:
        sys.exit(f"fire: {error}")


main()
