"""Starts a server, storms it, and says what that cost the server."""

import glob
import json
import os
import signal
import socket
import struct
import subprocess
import time

from processes import STOP_SECONDS, Process, last_line, read, send_signal

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# How long a server may take until it answers.
START_SECONDS = 5
# What bench gets for its report after it was interrupted.
REPORT_SECONDS = 5
SAMPLE_SECONDS = 0.25
# So many children are looked at for memory; the others are taken to be like them.
CHILDREN_SAMPLED = 32


class Failed(Exception):
    """Why there is no figure, in one line."""


class Account:
    """A control group for one server, because only the kernel knows what ended children used.

    tftpd-hpa ignores SIGCHLD, so the times of its children are lost. Where no group
    can be made (it needs root or a delegated group), /proc has the answer for the other servers.
    """

    def __init__(self):
        self.folder = None
        self.usage = None
        for parent, file, unit in account_parents():
            folder = f"{parent}/bootstorm-compare-{os.getpid()}"
            try:
                os.mkdir(folder)
            except OSError:
                continue
            if os.path.exists(f"{folder}/{file}") and self.admits(folder):
                self.folder, self.usage, self.unit = folder, f"{folder}/{file}", unit
                return
            os.rmdir(folder)

    @staticmethod
    def admits(folder):
        """Whether a process can be put there. The one that tries ends at once."""
        enter = 'echo 0 >"$1/cgroup.procs"'
        done = subprocess.run(
            ["sh", "-c", enter, "sh", folder], stderr=subprocess.DEVNULL, check=False
        )
        return done.returncode == 0

    def enter(self):
        """Called in the child, before it becomes the server."""
        if self.folder:
            with open(f"{self.folder}/cgroup.procs", "w", encoding="ascii") as file:
                file.write("0")

    def cpu_seconds(self, pid):
        if not self.usage:
            return tree_cpu_seconds(pid)
        words = read(self.usage).split()
        # The old kind of group has a bare number, the new kind "usage_usec N" first.
        return int(words[-1] if len(words) == 1 else words[1]) / self.unit

    def pids(self):
        return [int(pid) for pid in read(f"{self.folder}/cgroup.procs").split()]

    def empty(self):
        """Ends what the server has left behind. The group has no other processes."""
        if not self.folder:
            return
        deadline = time.monotonic() + STOP_SECONDS
        while (pids := self.pids()) and time.monotonic() < deadline:
            for pid in pids:
                send_signal(pid, signal.SIGKILL)
            time.sleep(0.02)

    def close(self):
        if self.folder:
            self.empty()
            os.rmdir(self.folder)
            self.folder = None


def account_parents():
    """Folders in which a control group might be made: the one that this process is in."""
    mine = {}
    for line in read("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        mine[controllers] = path
    for line in read("/proc/self/mountinfo").splitlines():
        words = line.split()
        point, kind = words[4], words[words.index("-") + 1]
        if kind == "cgroup2" and "" in mine:
            yield point + mine[""].rstrip("/"), "cpu.stat", 1e6
        for controllers, path in mine.items():
            if kind == "cgroup" and "cpuacct" in controllers.split(",") and "cpuacct" in point:
                yield point + path.rstrip("/"), "cpuacct.usage", 1e9


def tree_cpu_seconds(pid):
    """The process, the children it has waited for, and its living children."""
    return sum(
        process_cpu_seconds(process, with_waited=True) for process in [pid, *children_of(pid)]
    )


def process_cpu_seconds(pid, with_waited=False):
    # The name in parentheses may hold anything. Fields 14 to 17 are utime, stime, cutime, cstime.
    fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return sum(int(field) for field in fields[11 : 15 if with_waited else 13]) / TICKS_PER_SECOND


def children_of(pid):
    lists = (read(path) for path in glob.glob(f"/proc/{pid}/task/*/children"))
    return [int(child) for text in lists for child in text.split()]


def kilobytes(text, key):
    for line in text.splitlines():
        if line.startswith(key):
            return int(line.split()[1])
    return 0


def memory_bytes(pid):
    """The most that the server itself ever had, and what its children have to themselves now."""
    own = kilobytes(read(f"/proc/{pid}/status"), "VmHWM:")
    children = children_of(pid)
    if not children:
        return own * 1024
    sampled = children[:: max(1, len(children) // CHILDREN_SAMPLED)]
    private = sum(private_kilobytes(child) for child in sampled)
    return int((own + private * len(children) / len(sampled)) * 1024)


def private_kilobytes(pid):
    text = read(f"/proc/{pid}/smaps_rollup")
    return kilobytes(text, "Private_Clean:") + kilobytes(text, "Private_Dirty:")


def granted_options(server, name):
    """Asks for a file with a windowsize, and what the server grants; None when it does not answer.

    The transfer is given up at once, with the ERROR that RFC 2347 has for that.
    """
    request = struct.pack("!H", 1) + f"{name}\0octet\0blksize\0001468\0windowsize\00016\0".encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.3)
        client.bind(("127.0.0.1", 0))
        client.sendto(request, (server.address, server.port))
        try:
            answer, peer = client.recvfrom(2048)
        except OSError:
            return None
        client.sendto(struct.pack("!HH", 5, 8) + b"only asking\0", peer)
    if answer[:2] != b"\0\6":
        return [] if answer[:2] == b"\0\3" else None
    return [word.decode("ascii", "replace").lower() for word in answer[2:].split(b"\0")[0::2]]


class Trial:
    """One server, freshly started, and the storms against it."""

    def __init__(self, server, folder, bench, account, cores):
        self.server = server
        self.folder = folder
        self.bench = bench
        self.account = account
        self.server_core, self.storm_core = cores
        self.running = None

    def __enter__(self):
        self.log = open(f"{self.folder}.log", "w+b")
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.running:
            self.running.end()
        self.account.empty()
        self.log.close()

    def start(self):
        self.running = Process(
            self.server.command(self.folder), cores={self.server_core}, output=self.log, errors=self.log,
            environment=self.server.environment(), prepare=self.account.enter)
        name = self.server.file_name(self.folder, "probe")
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and not self.running.has_ended():
            granted = granted_options(self.server, name)
            if granted is not None:
                self.knows_windows = "windowsize" in granted
                return
            time.sleep(0.02)
        raise Failed(f"{self.server.name} does not start: {self.last_words()}")

    def last_words(self):
        self.log.seek(0)
        return last_line(self.log.read().decode("utf-8", "replace"))

    def warm_up(self, scenario):
        """One machine fetches once: the file is in memory, and both programs have run."""
        arguments = ["--clients", "1", "--transfers", "1"]
        arguments += scenario.bench_arguments()[4:]
        self.run_bench(scenario, arguments, 4)

    def measure(self, scenario):
        """The figures of one storm."""
        self.peak_bytes = 0
        busy_before = busy_seconds(self.server_core, self.storm_core)
        cpu_before = self.account.cpu_seconds(self.running.pid)
        began_at = time.monotonic()
        report = self.run_bench(scenario, scenario.bench_arguments(), scenario.limit_seconds)
        seconds = time.monotonic() - began_at
        if self.running.has_ended():
            raise Failed(f"{self.server.name} has ended by itself: {self.last_words()}")
        cpu = self.account.cpu_seconds(self.running.pid) - cpu_before
        busy = busy_seconds(self.server_core, self.storm_core) - busy_before
        figures = figures_of(report, scenario, cpu, self.peak_bytes)
        foreign = busy - cpu - report["ownCPUSeconds"]
        figures["foreignShare"] = max(0.0, foreign / (2 * seconds))
        return figures

    def run_bench(self, scenario, arguments, limit_seconds):
        """What bench reports; it is interrupted at the limit and reports what it has by then."""
        name = self.server.file_name(self.folder, scenario.name)
        path = f"{self.folder}.json"
        if os.path.exists(path):
            os.remove(path)
        url = f"tftp://{self.server.address}:{self.server.port}/{name}"
        command = [self.bench, "bench", url, "--verify", f"{self.folder}/{scenario.name}"]
        with open(f"{self.folder}.txt", "w+b") as output:
            storm = Process(
                [*command, "--json", path, *arguments], cores={self.storm_core}, output=output, errors=output)
            try:
                self.watch(storm, limit_seconds)
            finally:
                storm.end()
            if os.path.exists(path):
                return json.loads(read(path))
            output.seek(0)
            raise Failed(f"bench: {last_line(output.read().decode('utf-8', 'replace'))}")

    def watch(self, storm, limit_seconds):
        deadline = time.monotonic() + limit_seconds
        while not storm.wait(SAMPLE_SECONDS):
            self.sample()
            if time.monotonic() > deadline:
                storm.signal(signal.SIGINT)
                storm.wait(REPORT_SECONDS)
                break
        self.sample()

    def sample(self):
        self.peak_bytes = max(getattr(self, "peak_bytes", 0), memory_bytes(self.running.pid))


def figures_of(report, scenario, cpu_seconds, peak_bytes):
    done, bytes_in = report["transfers"], report["bytes"]
    unfinished = scenario.transfers - done - report["failed"]
    # What is under way at the end has cost CPU too: that would be put on those that are done.
    under_way = min(unfinished, scenario.clients)
    is_telling = done > 0 and under_way <= 0.1 * done
    return {
        "cpuSeconds": cpu_seconds,
        "cpuSecondsPerGB": cpu_seconds / bytes_in * 1e9 if bytes_in else None,
        "cpuMicrosecondsPerTransfer": cpu_seconds / done * 1e6 if is_telling else None,
        "megabytesPerSecond": report["megabytesPerSecond"],
        "transfersPerSecond": report["transfersPerSecond"],
        "p99Seconds": report["turnaround"]["p99"] if bytes_in else None,
        "failed": report["failed"],
        "unfinished": unfinished,
        "peakMemoryBytes": peak_bytes,
        "bench": {key: value for key, value in report.items() if key != "timeline"},
    }


def busy_seconds(*cores):
    """What the cores have worked so far, for whomever: user, nice, system, irq and softirq."""
    total = 0
    for line in read("/proc/stat").splitlines():
        words = line.split()
        if words[0] in {f"cpu{core}" for core in cores}:
            numbers = [int(word) for word in words[1:8]]
            total += sum(numbers) - numbers[3] - numbers[4]
    return total / TICKS_PER_SECOND
