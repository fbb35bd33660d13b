"""A server under everything that changes: boots, uploads, replaced files, misses, reloads.

In rounds; between two rounds nothing runs, and the memory of the server is read. Exit code 0:
nothing failed, no content was torn, and at the end the server has at most two percent more memory
than after the first tenth.
"""

import argparse
import os
import random
import signal
import subprocess
import threading
import time

import boot
import trial
from serving import Serving

ROUNDS = 20
SETTLE_SECONDS = 3
FILES = 12


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


class Server(Serving):
    def __init__(self, program, folder):
        self.root = os.path.join(folder, "root")
        self.settings = os.path.join(folder, "bootstorm.yaml")
        self.configure(65464)
        # The cache is small, so that it is full soon: what grows after that is no cache.
        super().__init__(
            program, self.root, "--listen", "127.0.0.1:0", "--config", self.settings, "--cache", "16M",
            "--upload", "overwrite", "--log-level", "warning", log=trial.log_path(folder))

    def configure(self, blksize):
        with open(self.settings + ".new", "w", encoding="utf8") as file:
            file.write(f"blksize-max: {blksize}\n")
        os.replace(self.settings + ".new", self.settings)

    def change(self, blksize):
        self.configure(blksize)
        self.process.send_signal(signal.SIGHUP)


class Soak:
    def __init__(self, server, program, seed):
        self.server, self.program = server, program
        self.draw = random.Random(seed)
        self.failures, self.counts = [], {}
        self.ends = 0.0
        for number in range(FILES):
            self.replace(number)
        with open(os.path.join(server.root, "vmlinuz"), "wb") as file:
            file.write(self.draw.randbytes(500_000))

    def replace(self, number):
        path = os.path.join(self.server.root, f"file{number}")
        with open(path + ".new", "wb") as file:
            file.write(boot.sealed_by_digest(self.draw.randbytes(self.draw.randrange(400_000))))
        os.chmod(path + ".new", 0o644)
        os.replace(path + ".new", path)

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def fetches(self):
        name = b"file%d" % self.draw.randrange(FILES)
        content = boot.fetch(self.server.address, name)
        if content is None or not boot.is_whole(content):
            raise RuntimeError(f"{name!r} is torn: {len(content or b'')} bytes")

    def uploads(self):
        name = b"up%d" % self.draw.randrange(50)
        content = boot.sealed_by_digest(self.draw.randbytes(self.draw.randrange(40_000)))
        boot.store(self.server.address, name, content)
        with open(os.path.join(self.server.root, name.decode()), "rb") as file:
            if not boot.is_whole(file.read()):
                raise RuntimeError(f"the upload {name!r} is torn")

    def misses(self):
        name = b"no/such/%x" % self.draw.getrandbits(64)
        if boot.fetch(self.server.address, name) is not None:
            raise RuntimeError(f"{name!r} is there")

    def replacements(self):
        self.replace(self.draw.randrange(FILES))
        time.sleep(0.05)

    def reloads(self):
        self.server.change(self.draw.choice([512, 1428, 65464]))
        time.sleep(0.5)

    def storms(self):
        done = subprocess.run(
            [self.program, "bench", "tftp://127.0.0.1:%d/vmlinuz" % self.server.address[1], "--clients", "50",
             "--client", "ipxe", "--client", "grub", "--client", "pxelinux"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError("a storm fails: " + done.stdout.strip()[-400:])

    def repeat(self, what):
        while time.monotonic() < self.ends:
            try:
                what()
                self.count(what.__name__)
            except (RuntimeError, OSError) as error:
                # A file may be replaced while it is read, and a client is told so; never silently.
                if isinstance(error, boot.Refused) and error.number == 0 and what == self.fetches:
                    self.count("fetches told of a change")
                else:
                    self.failures.append(f"{what.__name__}: {error}")

    def round(self, seconds):
        self.ends = time.monotonic() + seconds
        threads = [threading.Thread(target=self.repeat, args=(what,)) for what in (
            self.storms, self.fetches, self.fetches, self.uploads, self.misses, self.replacements, self.reloads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(SETTLE_SECONDS)
        return trial.Usage.of(self.server)


def judge(arguments, program, folder, verdict):
    with Server(program, folder) as server:
        soak = Soak(server, program, arguments.seed)
        samples = []
        for number in range(ROUNDS):
            samples.append(soak.round(max(1, 60 * arguments.minutes / ROUNDS - SETTLE_SECONDS)))
            memory, descriptors = samples[-1]
            print(f"round {number + 1} of {ROUNDS}: {memory:,} KiB, {descriptors} descriptors", flush=True)
            if server.process.poll() is not None:
                soak.failures.append(f"the server has ended: {server.process.returncode}")
                break
    print(", ".join(f"{count:,} {what}" for what, count in sorted(soak.counts.items())))
    verdict.check(not soak.failures, f"nothing failed: {len(soak.failures)} did {soak.failures[:3]}")
    trial.judge_growth(verdict, samples[max(0, len(samples) // 10 - 1)], samples[-1])


def main():
    arguments = parse()
    trial.run("soak", lambda *place: judge(arguments, *place), root_mode=0o777)


main()
