"""A fleet: nodes that follow an etcd of three members, and machines that boot from them.

All nodes and machines are on one host. Each node has a port and a tree of snapshots of its own;
each machine has an address of its own, because a snapshot lease belongs to an address.
"""

import itertools
import json
import os
import random
import socket
import subprocess
import threading
import time

import boot
import etcd
import net
from processes import last_line

NAME = "lab"
HALLS = ("north", "south")
# Two nodes a rack, two halls.
NODES_A_RACK = 2
FIRST_PORT = 6900
IMAGE_BYTES = 1 << 20
# Where the machines' addresses begin; those of bench are below.
FIRST_MACHINE = 2 << 16
READY_SECONDS = 30
COMMAND_SECONDS = 30
# Of a storm whose clients do not begin at once: until when they have.
RAMP_SHARE = 0.9
ASK_SECONDS = 0.05
# In a hall each has a machine of its own; here clients leave nodes, and nodes leave etcd and a node
# that starts, their share of this one.
NODE_NICE = ("nice", "-n", "5")
CLIENTS_NICE = ("nice", "-n", "10")


class Fleet(net.Lab):
    def __init__(self, settings):
        super().__init__(settings)
        self.machines = itertools.count(FIRST_MACHINE)

    def build(self):
        switch = self.network.host("switch")
        self.cluster = etcd.Cluster(self.network, switch, self.folder)
        self.host = self.network.host("hall")
        self.host.cable("spine", switch, "hall", f"{etcd.CLIENT_NETWORK}.1/24")
        switch.ip("link", "set", "hall", "master", "clients")
        self.image = self.path("image")
        with open(self.image, "wb") as file:
            file.write(random.Random(1).randbytes(IMAGE_BYTES))
        self.nodes = [
            self.node(number, HALLS[number % len(HALLS)], f"r{number // len(HALLS) // NODES_A_RACK + 1}")
            for number in range(self.settings.nodes)]

    def node(self, number, hall, rack, members=None):
        """`members`: what it asks instead of all members, as `HOST:PORT`."""
        return Node(self, number, hall, rack, members or [each.endpoint for each in self.cluster.members])

    def start(self):
        self.cluster.start()
        self.cluster.enable_users(NAME, [
            ("node", "node", [("READ", ""), ("READWRITE", "nodes/")]),
            ("operator", "operator", [("READ", "")] + [
                ("READWRITE", prefix) for prefix in ("current/", "stage/", "order/", "history/")])])
        self.publish("first")
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.process.wait_until_listening()

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def credentials(self, user):
        path = self.path(f"{user}.auth")
        if not os.path.exists(path):
            with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as file:
                file.write(f"{user}:{user}\n")
        return path

    # What an operator does

    def publish(self, name, nodes=None):
        """A set whose files begin with its name, in the folder of each node."""
        source = self.path(f"set-{name}")
        os.makedirs(source, exist_ok=True)
        for file_name, byte_count in (("kernel", 200), ("initrd", 300_000), ("modules", 20_000)):
            with open(os.path.join(source, file_name), "wb") as file:
                file.write(name.encode().ljust(64) + random.randbytes(byte_count))
        if not os.path.exists(os.path.join(source, "image")):
            os.link(self.image, os.path.join(source, "image"))
        for node in nodes or self.nodes:
            node.publish(source, name)

    def begin(self, *words, user="operator", url=None):
        """Starts `bootstorm fleet …`."""
        environment = {**os.environ, "BOOTSTORM_FLEET": url or self.cluster.url(NAME)}
        return subprocess.Popen(
            [self.program, "fleet", *words, "--fleet-auth", self.credentials(user)], env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def command(self, *words, **more):
        """What `bootstorm fleet …` comes to: its code and its words."""
        return finish(self.begin(*words, **more))

    def promote(self, name, scope="fleet"):
        code, words = self.command("promote", name, "--to", scope)
        if code != 0:
            raise net.LabError(f"fleet promote {name} --to {scope}: {words}")

    def status(self):
        """The code of `fleet status`, and what it says."""
        code, words = self.command("status", "--json")
        try:
            return code, json.loads(words)
        except ValueError:
            return code, None

    def registered(self):
        prefix = f"{etcd.PREFIX}{NAME}/nodes/"
        return {key.rpartition("/")[2] for key in self.cluster.keys(prefix)}

    def wait_until_registered(self, nodes=None):
        names = {node.name for node in nodes or self.nodes}
        etcd.wait_for(lambda: names <= self.registered(), READY_SECONDS, "nodes do not register")

    # What machines see

    def machine(self):
        """An address that no machine has had."""
        number = next(self.machines)
        return f"127.{number >> 16}.{number >> 8 & 255}.{number & 255}"

    def seconds_until_served(self, name, since, nodes=None, most=READY_SECONDS):
        """When the last of the nodes gave a newcomer the set; infinite if not within `most`."""
        waiting = list(self.nodes if nodes is None else nodes)
        while waiting:
            waiting = [node for node in waiting if node.serving() != name]
            if waiting and time.monotonic() - since > most:
                return float("inf")
            time.sleep(0.005)
        return time.monotonic() - since


def finish(process):
    try:
        output, errors = process.communicate(timeout=COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise net.LabError(f"{process.args[-1]}: not done after {COMMAND_SECONDS} s") from None
    return process.returncode, (output + errors).strip()


class Node:
    def __init__(self, fleet, number, hall, rack, members):
        self.fleet, self.hall, self.rack = fleet, hall, rack
        self.name = f"node-{number}"
        self.address = ("127.0.0.1", FIRST_PORT + number)
        self.root = fleet.path(self.name)
        self.url = f"etcd://{','.join(members)}/{NAME}"
        self.process = None

    def publish(self, source, name):
        """Served at once only where nothing is yet."""
        stage = ["--stage"] if os.path.isdir(self.root) else []
        os.makedirs(self.root, exist_ok=True)
        subprocess.run(
            [self.fleet.program, "publish", source, "--to", self.root, "--name", name, *stage],
            check=True, capture_output=True)

    def start(self, nice=NODE_NICE):
        self.process = self.fleet.host.start(
            self.name, *nice, self.fleet.program, "serve", self.root, "--snapshots",
            "--listen", f"127.0.0.1:{self.address[1]}", "--shards", 1, "--drain", 0, "--cache", "64M",
            "--fleet", self.url, "--hall", self.hall, "--rack", self.rack, "--fleet-node", self.name,
            "--fleet-auth", self.fleet.credentials("node"), "--log-level", "notice")

    def serving(self):
        """The set that a machine gets which begins to boot now, or None."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as machine:
            machine.bind((self.fleet.machine(), 0))
            machine.settimeout(ASK_SECONDS)
            try:
                machine.sendto(b"\0\1kernel\0octet\0", self.address)
                packet, source = machine.recvfrom(1024)
            except OSError:
                return None
            if packet[:4] != b"\0\3\0\1":
                return None
            machine.sendto(b"\0\4\0\1", source)
            return packet[4:68].decode().strip()

    def restart_seconds(self):
        """Ends it at once, starts it again, and returns how long it takes to answer."""
        self.process.kill()
        began = time.monotonic()
        self.start(nice=())
        etcd.wait_for(self.serving, READY_SECONDS, f"{self.name} does not answer")
        return time.monotonic() - began


class Boots:
    """Machines that boot in the background, one after the other: three files, with pauses."""

    THREADS = 8

    def __init__(self, fleet):
        self.fleet = fleet
        self.count, self.mixed, self.failed = 0, [], []
        self.ends = threading.Event()
        self.lock = threading.Lock()

    def __enter__(self):
        self.threads = [threading.Thread(target=self.run) for _ in range(self.THREADS)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        for thread in self.threads:
            thread.join()

    def run(self):
        while not self.ends.is_set():
            node, machine = random.choice(self.fleet.nodes), self.fleet.machine()
            found = []
            try:
                for name in (b"kernel", b"initrd", b"modules"):
                    content = boot.fetch(node.address, name, machine)
                    found.append(content[:64].decode().strip())
                    time.sleep(random.uniform(0.01, 0.2))
            except Exception as error:  # Whatever it is, this boot has failed.
                self.failed.append(f"{node.name}: {error}")
            with self.lock:
                self.count += 1
                if len(set(found)) > 1:
                    self.mixed.append(f"{node.name}: {found}")

    def judge(self, verdict, what):
        wrong = (self.mixed + self.failed)[:1]
        verdict.note(
            not wrong and self.count > 0, what, "0 with files of two sets, 0 failed",
            f"{len(self.mixed)} and {len(self.failed)} of {self.count}{''.join(f' ({each})' for each in wrong)}")


class Storm:
    """Clients at all nodes that fetch the image again and again, for some seconds; or, with
    `is_spread`, once each, so that the cores of this one machine have a rest.
    """

    def __init__(self, fleet, seconds, is_spread=False):
        self.seconds = seconds
        self.began = time.monotonic()
        self.parts = []
        nodes = fleet.nodes
        for index, node in enumerate(nodes):
            clients = (fleet.settings.clients + index) // len(nodes)
            path = fleet.path(f"storm-{node.name}.json")
            length = (["--transfers", max(clients, 1), "--ramp", seconds * RAMP_SHARE] if is_spread else
                      ["--seconds", seconds])
            process = fleet.host.start(
                f"storm-{node.name}", *CLIENTS_NICE, fleet.program, "bench",
                f"tftp://127.0.0.1:{node.address[1]}/image", "--clients", max(clients, 1),
                *length, "--verify", fleet.image, "--windowsize", 16, "--blksize", 1468,
                "--timeout", 1, "--json", path)
            self.parts.append((node, process, path))

    def elapsed(self):
        return time.monotonic() - self.began

    def end(self, verdict, what, fault_at, but=()):
        """Waits for the end, and judges the clients of all nodes but those.

        `fault_at`: after how many seconds something was done to the fleet.
        """
        transfers, failures, before, after = 0, {}, 0, 0
        for node, process, path in self.parts:
            if not process.wait(self.seconds + READY_SECONDS):
                process.kill()
            if node in but:
                continue
            try:
                with open(path, encoding="utf-8") as file:
                    report = json.load(file)
            except (OSError, ValueError):
                failures[f"{node.name}: {last_line(process.log())}"] = 1
                continue
            transfers += report["transfers"]
            for cause, count in report["failures"].items():
                failures[cause] = failures.get(cause, 0) + count
            before += sum(part["bytes"] for part in report["timeline"] if part["seconds"] <= fault_at)
            after += sum(part["bytes"] for part in report["timeline"] if part["seconds"] > fault_at)
        rates = [before / fault_at / 1e6, after / (self.seconds - fault_at) / 1e6]
        words = ", ".join(f"{count} {cause}" for cause, count in failures.items())
        verdict.note(
            not failures and after > 0, what, "0 failed, and it goes on",
            f"{sum(failures.values())} failed of {transfers}, {rates[0]:.0f} MB/s before and "
            f"{rates[1]:.0f} MB/s after{f' ({words})' if words else ''}")
