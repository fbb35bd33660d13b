"""Names that no node of a group has: what they cost in datagrams and in time."""

import hashlib
import itertools
import math
import os
import shutil
import socket
import time

import net
from verdict import Verdict

ADDRESSES = "10.0.0"
CLIENT = "10.0.1.1"
SETTLE_SECONDS = 5
# So long a node believes what another one has said of its names.
STATE_SECONDS = 2
# An idle group asks in rounds: for each node so many more may fall into the time of a trial.
IDLE_UNEVEN = 3
IDLE_SECONDS = 4
ANSWER_SECONDS = 5
INDEX_P99_SECONDS_MAX = 0.002
# What a busy machine, and no node, adds to one request in a hundred.
SLOWNESS = 3


class Group(net.Lab):
    """Nodes on one host, each with an address of its own."""

    def __enter__(self):
        super().__enter__()
        self.host = self.network.host("group")
        self.host.ip("address", "add", f"{CLIENT}/32", "dev", "lo")
        self.addresses = [f"{ADDRESSES}.{number}" for number in range(1, self.settings.nodes + 1)]
        for address in self.addresses:
            self.host.ip("address", "add", f"{address}/32", "dev", "lo")
        return self

    def start(self, prepare, *flags):
        peers = [word for address in self.addresses for word in ("--peer", f"tftp://{address}")]
        self.nodes = []
        for number, address in enumerate(self.addresses):
            root = os.path.join(self.folder, f"node-{number}")
            os.makedirs(root)
            prepare(root, number)
            self.nodes.append(self.host.start(
                f"node-{number}", self.program, "serve", root, "--listen", f"{address}:69", "--shards", 1,
                "--cache", "32M", "--drain", 0, "--log-level", "warning", *peers, *flags))
        for node in self.nodes:
            node.wait_until_listening()

    def stop(self):
        net.end_all(self.nodes)
        for number in range(len(self.nodes)):
            shutil.rmtree(os.path.join(self.folder, f"node-{number}"))

    def datagrams(self):
        """All that were sent on this host until now."""
        with self.host.inside():
            with open("/proc/thread-self/net/snmp", encoding="ascii") as file:
                rows = [line.split() for line in file if line.startswith("Udp:")]
            with open("/proc/thread-self/net/snmp6", encoding="ascii") as file:
                more = sum(int(line.split()[1]) for line in file if line.startswith("Udp6OutDatagrams"))
        return int(dict(zip(rows[0], rows[1]))["OutDatagrams"]) + more

    def ask(self, addresses, prefix, count):
        """One name after the other, each at the next of the addresses; the times, sorted."""
        times = []
        with self.host.inside():
            for number, address in zip(range(count), itertools.cycle(addresses)):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                    client.bind((CLIENT, 0))
                    client.settimeout(ANSWER_SECONDS)
                    began = time.monotonic()
                    client.sendto(b"\0\1" + f"{prefix}-{number}".encode() + b"\0octet\0", (address, 69))
                    answer = client.recv(1024)
                    times.append(time.monotonic() - began)
                    if answer[:4] != b"\0\5\0\1":
                        raise net.LabError(f"{address} answers {answer[:40]}")
        return sorted(times)


def run(settings):
    verdict = Verdict()
    with Group(settings) as group:
        without_index(group, verdict)
        with_index(group, verdict)
    return verdict.exit_code


def file_of_its_own(root, number):
    with open(os.path.join(root, f"file-{number}"), "wb") as file:
        file.write(b"content\n")


def without_index(group, verdict):
    """The nodes learn each other's names by a query each."""
    count, names = len(group.addresses), group.settings.names
    group.start(file_of_its_own)
    time.sleep(SETTLE_SECONDS)
    idle = idle_rate(group)
    judge(group, verdict, f"{names} names at one of {count} nodes", group.addresses[:1], "one", idle,
          lambda _: 2 * names + count * count)
    # Each node has to know of each other one what it has: a query is three packets.
    judge(group, verdict, f"{names} names, in turn at each of {count} nodes", group.addresses, "all", idle,
          lambda seconds: 2 * names + 3 * count * (count - 1) * math.ceil(seconds / STATE_SECONDS))
    group.stop()


def with_index(group, verdict):
    """A snapshot whose index names all its files."""
    names = group.settings.names
    group.start(snapshot_with_index, "--snapshots")
    time.sleep(SETTLE_SECONDS)
    idle = idle_rate(group)
    judge(group, verdict, f"{names} names in turn, with an index", group.addresses, "index", idle,
          lambda _: 2 * names, INDEX_P99_SECONDS_MAX)
    group.stop()


def snapshot_with_index(root, _):
    folder = os.path.join(root, "sets", "one")
    os.makedirs(folder)
    content = b"content\n"
    with open(os.path.join(folder, "file"), "wb") as file:
        file.write(content)
    with open(os.path.join(folder, ".bootstorm-index"), "w", encoding="ascii") as file:
        file.write(f"bootstorm index 1\nset one\nfile {len(content)} {hashlib.sha256(content).hexdigest()} file\n")
    os.symlink("sets/one", os.path.join(root, "current"))


def idle_rate(group):
    before = group.datagrams()
    time.sleep(IDLE_SECONDS)
    return (group.datagrams() - before) / IDLE_SECONDS


def judge(group, verdict, what, addresses, prefix, idle, most_after, p99_max=None):
    """`most_after`: how many datagrams the names may cost in so many seconds."""
    if p99_max:
        # A node reads its index when it is first asked.
        group.ask(addresses, "first", len(addresses))
    before, began = group.datagrams(), time.monotonic()
    times = group.ask(addresses, prefix, group.settings.names)
    seconds = time.monotonic() - began
    sent = group.datagrams() - before
    own = max(0, round(sent - idle * seconds))
    most = most_after(seconds)
    p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
    judges_time = p99_max and not group.settings.quick
    holds = own <= most + IDLE_UNEVEN * len(group.addresses) and not (judges_time and p99 > p99_max * SLOWNESS)
    wanted = f"at most {most} datagrams" + (f", p99 at most {p99_max * 1e3:g} ms" if p99_max else "")
    verdict.note(
        holds, what, wanted, f"{own} ({sent} with the {idle:.0f} a second of an idle group), "
        f"p50 {p50 * 1e3:.2f}, p99 {p99 * 1e3:.2f}, max {times[-1] * 1e3:.1f} ms")
