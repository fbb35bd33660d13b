"""A hall: racks with a node and clients each, two switches with a cable between, origins.

The first half of the racks and the first origin are on the left switch, the others on the right
one.
"""

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import time

import bed
import net
import origins
from processes import last_line

SPINE = "10.0.0"
# Of the nodes the last number is that of the rack.
ORIGIN_NUMBERS = {"left": 250, "right": 251}
POLL_SECONDS = 0.001
# How many clients of a rack are asked for their first DATA, and for how long.
PROBES_MAX = 100
FIRST_DATA_SECONDS = 10
# What has not ended by then is interrupted, and has not held.
STORM_SECONDS = 280


class Hall(net.Lab):
    def __init__(self, settings):
        super().__init__(settings)
        self.memory_needed = 2 * settings.image_size + (1 << 30)
        self.racks = []
        self.origins = {}

    # Building

    def build(self, origin_sides=("left",)):
        """Makes the hosts and starts what serves. Every node knows all nodes and all origins."""
        self.switch = self.network.host("switch")
        for side in ("left", "right"):
            self.switch.ip("link", "add", side, "type", "bridge")
            self.switch.ip("link", "set", side, "up")
        self.switch.cable("trunk-left", self.switch, "trunk-right")
        self.plug("left", "trunk-left")
        self.plug("right", "trunk-right")
        for side in origin_sides:
            self.origins[side] = Origin(self, side)
        count = self.settings.racks
        self.racks = [
            Rack(self, number, "left" if number <= (count + 1) // 2 else "right")
            for number in range(1, count + 1)]

    def plug(self, side, interface):
        self.switch.ip("link", "set", interface, "master", side)

    def start(self, origin_folder="origin"):
        for origin in self.origins.values():
            origin.start(self.path(origin_folder))
        for rack in self.racks:
            rack.start()
        for rack in self.racks:
            rack.node.wait_until_listening()

    def cut(self):
        self.switch.ip("link", "set", "trunk-left", "down")

    def heal(self):
        self.switch.ip("link", "set", "trunk-left", "up")

    def sign(self, signer):
        """Lets a node sign what it has, and the others trust its signature."""
        key = self.path("sign.key")
        public = subprocess.run(
            [self.program, "sign-key", key], check=True, capture_output=True, text=True).stdout.strip()
        for rack in self.racks:
            rack.flags = ["--sign-key", key] if rack is signer else ["--trust", public]

    # Files

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def image(self, name, folder="origin"):
        """A file of random bytes at the origins."""
        os.makedirs(self.path(folder), exist_ok=True)
        return Image(name, self.path(folder, name), self.settings.image_size)

    # Storms

    def storm(self, image, racks=None, watch=lambda _: None, clients=None):
        """All clients of `racks` request `image` at once; `watch` gets the storms, repeatedly."""
        racks = self.racks if racks is None else racks
        before = self.origin_bytes()
        # First, so that each asks a node that has heard of nothing.
        probes = [Probe(rack, image.name) for rack in racks]
        for probe in probes:
            probe.ask()
        storms = [Storm(rack, image, clients or self.settings.clients) for rack in racks]
        deadline = time.monotonic() + STORM_SECONDS
        while any(not storm.process.has_ended() for storm in storms):
            for probe in probes:
                probe.look()
            watch(storms)
            if time.monotonic() > deadline:
                bed.say(f"after {STORM_SECONDS} seconds the storm is interrupted")
                for storm in storms:
                    storm.interrupt()
                deadline += net.STOP_SECONDS
            time.sleep(POLL_SECONDS)
        for probe in probes:
            probe.close()
        reports = [storm.report(probe) for storm, probe in zip(storms, probes)]
        return Course(image, reports, self.origin_bytes() - before)

    def first_data_seconds(self, image):
        """How long it takes until each client has its first DATA, by nothing but that."""
        probes = [Probe(rack, image.name) for rack in self.racks
                  for _ in range(min(self.settings.clients, PROBES_MAX))]
        for probe in probes:
            probe.ask()
        deadline = time.monotonic() + FIRST_DATA_SECONDS
        while time.monotonic() < deadline and any(probe.source is None for probe in probes):
            for probe in probes:
                probe.look()
            time.sleep(POLL_SECONDS)
        for probe in probes:
            probe.close()
        return sorted(probe.seconds for probe in probes)

    def origin_bytes(self):
        return sum(origin.sent() for origin in self.origins.values())

    def ask_in_vain(self):
        """Lets every node search once for a missing file, so that it learns which nodes are up."""
        for rack in self.racks:
            ask(rack, f"nothing-{time.monotonic_ns()}")


class Image:
    def __init__(self, name, path, byte_count):
        self.name = name
        self.path = path
        self.byte_count = byte_count
        with open(path, "wb") as file:
            for start in range(0, byte_count, bed.MIB):
                file.write(os.urandom(min(bed.MIB, byte_count - start)))

    def put(self, folder, name=None):
        """The same file in another folder, without a copy."""
        os.makedirs(folder, exist_ok=True)
        os.link(self.path, os.path.join(folder, name or self.name))

    def copy(self, folder):
        """A copy that keeps its time, as nodes take it for the same."""
        os.makedirs(folder, exist_ok=True)
        return shutil.copy2(self.path, os.path.join(folder, self.name))


class Origin:
    def __init__(self, hall, side):
        self.hall = hall
        self.address = f"{SPINE}.{ORIGIN_NUMBERS[side]}"
        self.host = hall.network.host(f"origin-{side}")
        self.host.cable("spine", hall.switch, f"origin-{side}", f"{self.address}/24")
        hall.plug(side, f"origin-{side}")
        # Trains of packets are cut before they are counted, so that every header counts.
        self.host.ip("link", "set", "spine", "gso_max_segs", "1")

    def sent(self):
        return self.host.traffic("spine").sent_bytes

    def start(self, folder):
        kind = origins.find(self.hall.settings.origin_kind, self.hall.program, self.address)
        command = kind.command(folder, self.hall.folder)
        self.process = self.host.start(self.host.name, *command, environment=kind.environment())
        self.process.wait_for(lambda: kind.answers(self.host))
        self.url = kind.url


class Rack:
    """A node and, on a network of their own behind it, its clients."""

    def __init__(self, hall, number, side):
        self.hall = hall
        self.number = number
        self.side = side
        self.address = f"{SPINE}.{number}"
        self.gateway = f"10.1.{number}.1"
        self.host = hall.network.host(f"node-{number}")
        self.host.cable("spine", hall.switch, f"node-{number}", f"{self.address}/24")
        hall.plug(side, f"node-{number}")
        self.clients = hall.network.host(f"clients-{number}")
        self.clients.cable("rack", self.host, "clients", f"10.1.{number}.2/24")
        self.host.ip("address", "add", f"{self.gateway}/24", "dev", "clients")
        self.folder = hall.path(f"node-{number}")
        self.flags = []
        os.makedirs(self.folder, exist_ok=True)

    def start(self):
        hall = self.hall
        peers = [word for rack in hall.racks for word in ("--peer", f"tftp://{rack.address}")]
        urls = [word for origin in hall.origins.values() for word in ("--origin", origin.url)]
        # Half of the cache is the most that a file may have which many share, and two images are
        # served.
        cache = max(1 << 28, 4 * hall.settings.image_size)
        self.node = self.host.start(
            f"node-{self.number}", hall.program, "serve", self.folder, "--listen", ":69",
            "--shards", 1, "--cache", cache, "--drain", 0, *peers, *urls,
            *self.flags, *hall.settings.node_flags)

    def sent(self):
        """To other nodes."""
        return self.host.traffic("spine").sent_bytes

    def received(self):
        """From other nodes and origins."""
        return self.host.traffic("spine").received_bytes

    def wait_for_catalogue(self, name, seconds):
        """Whether the node tells a digest of its file, at last."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if b"\nroot " in ask(self, f".bootstorm/query/{name}"):
                return True
            time.sleep(0.02)
        return False


class Storm:
    """The clients of a rack, all asking for one file."""

    def __init__(self, rack, image, clients):
        settings = rack.hall.settings
        self.rack = rack
        self.clients = clients
        self.path = rack.hall.path(f"storm-{rack.number}.json")
        kind = ["--client", settings.client] if settings.client else [
            "--blksize", settings.blksize, "--windowsize", settings.windowsize]
        self.process = rack.clients.start(
            f"storm-{rack.number}", rack.hall.program, "bench",
            f"tftp://{rack.gateway}/{image.name}", "--clients", clients,
            "--verify", image.path, "--json", self.path, "--gro", *kind)

    def interrupt(self):
        self.process.signal(signal.SIGINT)

    def report(self, probe):
        if not os.path.exists(self.path):
            words = last_line(self.process.log())
            return Report(self.rack, self.clients, 0, {words: self.clients}, None, 0, probe)
        with open(self.path, encoding="utf-8") as file:
            found = json.load(file)
        os.remove(self.path)
        causes = dict(found["failures"])
        missing = self.clients - found["transfers"] - sum(causes.values())
        if missing > 0:
            causes["not at its end"] = missing
        return Report(
            self.rack, self.clients, found["transfers"], causes, found.get("wrongByte"),
            found["transferTime"]["max"], probe)


class Report:
    """What became of a rack's clients."""

    def __init__(self, rack, clients, done, causes, wrong_byte, slowest_seconds, probe):
        self.rack = rack
        self.clients = clients
        self.done = done
        self.causes = causes
        self.wrong_byte = wrong_byte
        self.slowest_seconds = slowest_seconds
        self.first_data_seconds = probe.seconds

    @property
    def is_whole(self):
        return self.done == self.clients and not self.causes and not self.wrong_byte

    def failures(self):
        return ", ".join(f"{count} {cause}" for cause, count in self.causes.items()) or "none"


class Course:
    """What a storm came to."""

    def __init__(self, image, reports, origin_bytes):
        self.image = image
        self.reports = reports
        self.origin_bytes = origin_bytes

    def show(self, title):
        print(f"\n{title}\n")
        rows = [
            [report.rack.number, report.done, report.failures(),
             f"{report.slowest_seconds:.2f}", milliseconds(report.first_data_seconds)]
            for report in self.reports]
        bed.table(["rack", "done", "failed", "slowest s", "first DATA ms"], rows)
        total = sum(report.done for report in self.reports) * self.image.byte_count
        print(f"\nThe origins sent {self.origin_ratio:.3f} x the file; "
              f"clients got {total / 1e9 / max(self.slowest_seconds, 1e-9):.2f} GB/s together.")

    @property
    def origin_ratio(self):
        return self.origin_bytes / self.image.byte_count

    @property
    def slowest_seconds(self):
        return max(report.slowest_seconds for report in self.reports)

    def failed_racks(self):
        return [report.rack.number for report in self.reports if not report.is_whole]

    def wrong_racks(self):
        return [report.rack.number for report in self.reports if report.wrong_byte]


class Probe:
    """One more client of a rack, which only notes when its first DATA comes."""

    ERROR = struct.pack("!HH", 5, 0) + b"enough\0"

    def __init__(self, rack, name):
        self.request = request(name)
        with rack.clients.inside():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.server = (rack.gateway, 69)
        self.socket.setblocking(False)
        # The kernel notes when it came, whatever keeps the lab busy then.
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.seconds = float("inf")
        self.source = None

    def ask(self):
        self.began = time.time()
        # Without options the first answer is DATA.
        self.socket.sendto(self.request, self.server)

    def look(self):
        if self.source:
            return
        try:
            packet, control, _, source = self.socket.recvmsg(1024, 64)
        except BlockingIOError:
            return
        self.source = source
        if packet[:2] == DATA:
            seconds, nanoseconds = struct.unpack("qq", control[0][2])
            self.seconds = seconds + nanoseconds / 1e9 - self.began

    def close(self):
        self.look()
        # Until now it has kept silent, and the node sends again what it does not answer.
        if self.source:
            self.socket.sendto(self.ERROR, self.source)
        self.socket.close()


SO_TIMESTAMPNS = 35
RRQ, DATA = b"\0\1", b"\0\3"


def request(name):
    return RRQ + name.encode() + b"\0octet\0"


def ask(rack, name, seconds=3):
    """A short file, as a client of the rack gets it; nothing where there is none."""
    with rack.clients.inside():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with client:
        client.settimeout(seconds)
        client.sendto(request(name), (rack.gateway, 69))
        try:
            packet, source = client.recvfrom(1024)
        except TimeoutError:
            return b""
        if packet[:2] != DATA:
            return b""
        client.sendto(b"\0\4\0\1", source)
        return packet[4:]


def milliseconds(seconds):
    return f"{seconds * 1e3:.1f}" if seconds != float("inf") else "none"
