"""Reloads under running transfers: all change the configuration, one in a hundred is refused.

The transfers begin before the first reload and end after the last one: a client acknowledges as far
as reloads have got. Exit code 0: every reload did what it should, every transfer has the right
bytes, and from the first tenth to the end the server's memory and descriptors stay level (from the
hundredth reload, where a tenth is less).
"""

import argparse
import os
import random
import selectors
import socket
import struct
import threading
import time

import boot
import trial
from serving import Serving

BLKSIZE = 512
BLOCKS = 400
REPEAT_SECONDS = 0.5
# A busy machine needs longer than this for nothing.
SILENCE_SECONDS = 30
REFUSED_EVERY = 100
FETCH_EVERY = 50
# What a server allocates once, it has allocated after this many reloads.
SETTLED_MIN = 100
# Reloads between two requests to the scheduler for the clients' thread.
PAUSE_SECONDS = 0.0005


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reloads", nargs="?", type=int, default=10_000)
    parser.add_argument("--transfers", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


class Server(Serving):
    def __init__(self, program, folder):
        self.folder = folder
        self.root = os.path.join(folder, "root")
        self.configure(0)
        super().__init__(
            program, self.root, "--listen", "127.0.0.1:0", "--config", self.path("bootstorm.yaml"),
            "--log-level", "error", log=trial.log_path(folder), control=self.path("control.sock"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name + ".new"), "w", encoding="utf8") as file:
            file.write(text)
        os.replace(self.path(name + ".new"), self.path(name))

    def configure(self, number, is_wrong=False):
        """Another configuration for each number; `is_wrong`: one that has to be refused."""
        rules = "".join(
            f"- match: '^old{number % 7}-{index}/'\n  rewrite: 'new-{index}/'\n" for index in range(20))
        self.write("rules.yaml", rules + f"- match: '^moved-{number}$'\n  try: ['small']\n")
        self.write("hosts.csv", "name,mac,ip\n" + "".join(
            f"node{index},52:54:00:00:{number % 256:02x}:{index:02x},10.0.{number % 256}.{index}\n"
            for index in range(20)))
        self.write("bootstorm.yaml", "\n".join([
            f"map: {self.path('rules.yaml')}",
            f"hosts: {self.path('hosts.csv')}",
            f"blksize-max: {1000 + number % 400}",
            f"windowsize-max: {8 + number % 8}",
            "policies:",
            f"  - network: 10.{number % 256}.0.0/16",
            "    read: false",
            "nonsense: 1" if is_wrong else "",
        ]) + "\n")


class Client:
    """A lockstep client that goes no further than it may."""

    def __init__(self, number, address, content):
        self.number, self.content = number, content
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.peer, self.block, self.is_held, self.is_done = address, 0, False, False
        self.heard = time.monotonic()
        self.send(b"\0\1large\0octet\0blksize\0%d\0" % BLKSIZE)

    def send(self, packet):
        self.packet, self.sent = packet, time.monotonic()
        self.socket.sendto(packet, self.peer)

    def acknowledge(self):
        self.is_held = False
        self.send(struct.pack("!HH", 4, self.block & 0xFFFF))

    def receive(self):
        packet, self.peer = self.socket.recvfrom(2048)
        opcode, number = struct.unpack("!HH", packet[:4])
        self.heard = time.monotonic()
        if opcode == 5:
            raise RuntimeError(f"client {self.number} got ERROR {number} at block {self.block}")
        if opcode == 6:
            self.acknowledge()
        elif opcode == 3 and number == self.block + 1:
            begin = self.block * BLKSIZE
            if packet[4:] != self.content[begin:begin + BLKSIZE]:
                raise RuntimeError(f"client {self.number} got other bytes in block {number}")
            self.block += 1
            self.is_held = True
            if len(packet) < 4 + BLKSIZE:
                self.acknowledge()
                self.is_done = True

    def go_on(self, block_max):
        """Acknowledges what is held, as far as that is allowed, and repeats what may be lost."""
        now = time.monotonic()
        if self.is_held and self.block < block_max:
            self.acknowledge()
        elif not self.is_held and now - self.sent > REPEAT_SECONDS:
            self.send(self.packet)
        if now - self.heard > SILENCE_SECONDS:
            raise RuntimeError(f"client {self.number} hears nothing after block {self.block}")


class Transfers:
    """Clients on a thread of their own."""

    def __init__(self, count, address, content):
        self.clients = [Client(number, address, content) for number in range(count)]
        self.share, self.failure = 0.0, None
        self.begun = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            self.drive()
        except (RuntimeError, OSError) as error:
            self.failure = str(error)
            self.begun.set()

    def drive(self):
        selector = selectors.EpollSelector()
        for client in self.clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        left = set(self.clients)
        looked = 0
        while left:
            for key, _ in selector.select(0.02):
                key.data.receive()
                if key.data.is_done:
                    left.discard(key.data)
                    selector.unregister(key.data.socket)
            now = time.monotonic()
            if now - looked > 0.02:
                looked = now
                # Block 1 is what every transfer waits at for the first reload.
                block_max = BLOCKS + 2 if self.share >= 1 else max(1, int(self.share * BLOCKS))
                for client in left:
                    client.go_on(block_max)
                if all(client.block > 0 for client in left):
                    self.begun.set()

    def running_count(self):
        return sum(not client.is_done for client in self.clients)


class Reloads:
    def __init__(self, arguments, server):
        self.arguments, self.server = arguments, server
        self.failures = []
        self.refused = 0
        draw = random.Random(arguments.seed)
        content = draw.randbytes(BLKSIZE * BLOCKS + 77)
        self.small = boot.sealed_by_digest(draw.randbytes(5000))
        for name, body in (("large", content), ("small", self.small)):
            with open(os.path.join(server.root, name), "wb") as file:
                file.write(body)
            os.chmod(os.path.join(server.root, name), 0o644)
        self.transfers = Transfers(arguments.transfers, server.address, content)

    def reload(self, number):
        is_wrong = number % REFUSED_EVERY == 0
        self.server.configure(number, is_wrong)
        answer = self.server.reload()
        self.refused += is_wrong
        if is_wrong != ("error" in answer):
            self.failures.append(f"reload {number}: {answer}")
        if not is_wrong and number % FETCH_EVERY == 1:
            # The rules of this reload are in force, and those of the one before are not.
            fetched = boot.fetch(self.server.address, b"moved-%d" % number)
            if fetched != self.small or boot.fetch(self.server.address, b"moved-%d" % (number - 1)) is not None:
                self.failures.append(f"reload {number}: the rules are not those of its file")

    def run(self):
        """The usage after the first tenth, and at the end with all transfers running."""
        self.transfers.begun.wait()
        count, first = self.arguments.reloads, None
        settled = min(count, max(SETTLED_MIN, count // 10))
        began = time.monotonic()
        for number in range(1, count + 1):
            self.reload(number)
            self.transfers.share = min(number / count, 0.99)
            if number == settled:
                first = trial.Usage.of(self.server)
            if self.transfers.failure or self.server.process.poll() is not None:
                break
            time.sleep(PAUSE_SECONDS)
        self.seconds = time.monotonic() - began
        last = trial.Usage.of(self.server)
        self.running = self.transfers.running_count()
        self.transfers.share = 1
        self.transfers.thread.join()
        if self.transfers.failure:
            self.failures.append(self.transfers.failure)
        if self.server.process.poll() is not None:
            self.failures.append(f"the server has ended: {self.server.process.returncode}")
        return first or last, last


def judge(arguments, program, folder, verdict):
    with Server(program, folder) as server:
        reloads = Reloads(arguments, server)
        first, last = reloads.run()
    print(f"{arguments.reloads:,} reloads in {reloads.seconds:.1f} s, {reloads.refused} of them refused")
    verdict.check(reloads.running == arguments.transfers,
                  f"{reloads.running} of {arguments.transfers} transfers ran until the last reload")
    verdict.check(not reloads.failures, f"nothing failed: {len(reloads.failures)} did {reloads.failures[:3]}")
    trial.judge_growth(verdict, first, last)


def main():
    arguments = parse()
    trial.run("reloads", lambda *place: judge(arguments, *place))


main()
