"""Hosts that are network namespaces, cables between them, and the processes on them.

All names begin with `bootstorm-` and the number of this process. At the end, whatever brings it
about, the processes that were started here are ended and the namespaces removed.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
import typing

from processes import LIBC, STOP_SECONDS, Process, end_with_parent, last_line, read

NAMES = "/run/netns"
START_SECONDS = 10

CLONE_NEWNET = 0x4000_0000
MEMORY = "/dev/shm"


class Lab:
    """A folder and a network while a lab runs. Settings are the parsed arguments; see lab.py."""

    # How much room the folder's files need where they cost no disk. None: they may lie on a disk.
    memory_needed = None

    def __init__(self, settings):
        self.settings = settings
        self.program = os.environ["BOOTSTORM"]

    def __enter__(self):
        place = self.place()
        for name in left_behind(place):
            shutil.rmtree(os.path.join(place, name), ignore_errors=True)
        self.folder = tempfile.mkdtemp(prefix=f"bootstorm-{os.getpid()}-", dir=place)
        # Servers that root starts read as another user.
        os.chmod(self.folder, 0o755)
        self.network = Network(self.settings.logs or self.folder)
        self.network.__enter__()
        return self

    def __exit__(self, *reason):
        self.network.__exit__(*reason)
        shutil.rmtree(self.folder)

    def place(self):
        has_room = (self.memory_needed is not None and os.path.isdir(MEMORY)
                    and shutil.disk_usage(MEMORY).free > self.memory_needed)
        return MEMORY if has_room else tempfile.gettempdir()


class Network:
    """The hosts of one run."""

    def __init__(self, log_folder):
        self.log_folder = log_folder
        self.hosts = []
        self.processes = []

    def __enter__(self):
        remove_left_behind()
        return self

    def __exit__(self, *_):
        # Cleaning up is short, and half of it is worse than a Ctrl-C that comes late.
        old = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING_SIGNALS}
        end_all(self.processes)
        for host in self.hosts:
            host.remove()
        for number, handler in old.items():
            signal.signal(number, handler)

    def host(self, name):
        host = Host(self, name)
        # Known before it is there, so that it is removed whenever this is interrupted.
        self.hosts.append(host)
        host.create()
        return host


class Host:
    def __init__(self, network, name):
        self.network = network
        self.name = name
        self.namespace = f"bootstorm-{os.getpid()}-{name}"
        self.counters = None

    def create(self):
        run("ip", "netns", "add", self.namespace)
        self.ip("link", "set", "lo", "up")
        with self.inside():
            # Shows this namespace from wherever it is read.
            self.counters = open("/proc/thread-self/net/dev", encoding="ascii")

    def remove(self):
        if self.counters:
            self.counters.close()
        subprocess.run(
            ["ip", "netns", "delete", self.namespace], stderr=subprocess.DEVNULL, check=False)

    def ip(self, *words):
        run("ip", "-netns", self.namespace, *words)

    def cable(self, interface, other, other_interface, address=None):
        """A cable to another host; this end gets `address`."""
        self.ip("link", "add", interface, "type", "veth",
                "peer", "name", other_interface, "netns", other.namespace)
        if address:
            self.ip("address", "add", address, "dev", interface)
        self.ip("link", "set", interface, "up")
        other.ip("link", "set", other_interface, "up")

    @contextlib.contextmanager
    def inside(self):
        """Sockets that are opened meanwhile are this host's."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"{NAMES}/{self.namespace}", os.O_RDONLY)
        try:
            enter(there)
            yield
        finally:
            enter(own)
            os.close(own)
            os.close(there)

    def start(self, name, *command, environment=None):
        process = HostProcess(self, name, command, environment)
        self.network.processes.append(process)
        return process

    def traffic(self, interface):
        self.counters.seek(0)
        for line in self.counters:
            head, _, fields = line.partition(":")
            if head.strip() == interface:
                numbers = [int(field) for field in fields.split()]
                return Traffic(numbers[0], numbers[8], numbers[9])
        raise LabError(f"{self.name} has no interface {interface}")


class Traffic(typing.NamedTuple):
    """What has passed an interface, with all headers."""

    received_bytes: int
    sent_bytes: int
    sent_packets: int


class LabError(Exception):
    """Why the lab itself does not work, in one line."""


class HostProcess(Process):
    """A process on a host, whose output goes to a file. It ends with the lab."""

    def __init__(self, host, name, command, environment=None):
        self.name = name
        self.log_path = os.path.join(host.network.log_folder, f"{name}.log")
        with open(self.log_path, "wb") as log:
            # `ip netns exec` becomes the command, so this is the command's process.
            super().__init__(
                ["ip", "netns", "exec", host.namespace, *command], output=log, errors=log,
                environment=environment, prepare=end_with_parent)

    def log(self):
        return read(self.log_path)

    def wait_until_listening(self):
        self.wait_for(lambda: "listening on " in self.log())

    def wait_for(self, is_ready):
        """Waits until `is_ready()`, which must come true soon."""
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            if self.has_ended():
                raise LabError(f"{self.name} does not start: {last_line(self.log())}")
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} does not answer: {last_line(self.log())}")
            time.sleep(0.005)


ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def enter(descriptor):
    if LIBC.setns(descriptor, CLONE_NEWNET) != 0:
        raise LabError(f"cannot enter a namespace: {os.strerror(ctypes.get_errno())}")


def end_all(processes):
    """Asks all to end, waits for a moment, and ends the rest."""
    running = [process for process in processes if not process.has_ended()]
    for process in running:
        process.signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for process in running:
        process.wait(deadline - time.monotonic())
    for process in running:
        process.kill()


def remove_left_behind():
    """Removes the namespaces of labs that were killed; their processes have ended with them."""
    for name in left_behind(NAMES):
        run("ip", "netns", "delete", name)


def left_behind(folder):
    """What is there in a folder of labs that have ended: the names are bootstorm-PID-…"""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    for name in names:
        program, _, rest = name.partition("-")
        number = rest.partition("-")[0]
        if program == "bootstorm" and number.isdigit() and not os.path.exists(f"/proc/{number}"):
            yield name


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)}: {last_line(done.stderr)}")
