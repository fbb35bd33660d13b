"""Restarts `bootstorm serve` under load, as a script, a holder of sockets and systemd do."""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import boot
from processes import Process, free_port

REQUEST_SECONDS = 1.0
# Seconds of silence after which a boot has failed: before the first answer, and later.
REQUESTS_MAX = 30
REPEATS_MAX = 15
WAITED_MAX = 2.0
SIZE = 400_000


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--boots", type=int, default=1000)
    parser.add_argument("--way", action="append", choices=["terminate", "sockets", "systemd"])
    parser.add_argument("--restarts", type=int, default=3)
    return parser.parse_args()


class Boot:
    """A lockstep client that sends its request again each second, as boot ROMs do."""

    def __init__(self, address, body):
        self.address, self.body = address, body
        self.waited, self.failure = 0.0, None

    def run(self):
        try:
            self.fetch()
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"

    def fetch(self):
        with boot.Transfer(
                self.address, b"f", b"\0\1f\0octet\0blksize\0" + b"1468\0", "127.0.0.1", REQUEST_SECONDS,
                REPEATS_MAX, REQUESTS_MAX) as transfer:
            try:
                content = transfer.receive(windowsize=1)
            finally:
                self.waited = transfer.waited
            if content != self.body:
                raise RuntimeError("other bytes")


class Load:
    """Boots that begin evenly over the time of the trial, at most 100 at once."""

    def __init__(self, address, body, count):
        self.boots = [Boot(address, body) for _ in range(count)]
        self.places = threading.Semaphore(100)
        self.done = 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        def one(boot):
            boot.run()
            self.done += 1
            self.places.release()

        threads = []
        for boot in self.boots:
            self.places.acquire()
            threads.append(threading.Thread(target=one, args=(boot,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def wait_for(self, share):
        while self.done < share * len(self.boots):
            time.sleep(0.01)


class Server(Process):
    """One process, as a supervisor sees it."""

    def __init__(self, program, root, *flags, environment=None, files=(), log=None):
        def adopt():
            for index, file in enumerate(files):
                os.dup2(file, 3 + index)

        command = [program, "serve", root, *flags]
        settings = dict(os.environ, **(environment or {}))
        if files:
            # LISTEN_PID has to name the process itself.
            command = ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *command]
            settings["LISTEN_FDS"] = str(len(files))
        super().__init__(
            command, output=subprocess.PIPE, errors=log, environment=settings, prepare=adopt,
            pass_fds=[3 + index for index in range(len(files))])

    def terminate(self):
        """Signals the main process alone, as supervisors do."""
        self.process.send_signal(signal.SIGTERM)


class Trial:
    def __init__(self, program, root, log):
        self.program, self.root, self.log = program, root, log
        self.address = ("127.0.0.1", free_port())
        self.listen = ["--listen", f"127.0.0.1:{self.address[1]}"]
        self.old = []

    def start(self, *flags, **settings):
        server = Server(self.program, self.root, *flags, log=self.log, **settings)
        self.old.append(server)
        return server

    def end(self):
        for server in self.old:
            if not server.has_ended():
                server.terminate()
        for server in self.old:
            server.process.wait(40)


class Terminate(Trial):
    """(a) SIGTERM, and a second process at once."""

    def begin(self):
        self.server = self.start(*self.listen)
        self.server.listening()

    def restart(self):
        self.server.terminate()
        self.server = self.start(*self.listen)
        self.server.listening()


class Sockets(Trial):
    """(b) a supervisor holds the socket and starts the next process at once."""

    def begin(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(self.address)
        self.server = self.start(files=[self.socket.fileno()])
        self.server.listening()

    def restart(self):
        self.server.terminate()
        self.server = self.start(files=[self.socket.fileno()])


class Systemd(Trial):
    """(c) systemd's plain restart: the next process starts when the main process has ended."""

    def begin(self):
        self.path = os.path.join(self.root, "..", "notify")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(self.path)
        self.launch()

    def launch(self):
        self.server = self.start(*self.listen, environment={"NOTIFY_SOCKET": os.path.abspath(self.path)})
        self.server.listening()

    def restart(self):
        began = time.monotonic()
        self.server.terminate()
        self.server.process.wait(40)
        print(f"   the main process ended after {time.monotonic() - began:.3f} s")
        self.launch()

    def end(self):
        super().end()
        self.notify.close()


WAYS = {"terminate": Terminate, "sockets": Sockets, "systemd": Systemd}


def run(way, arguments):
    folder = tempfile.mkdtemp(prefix="restart-")
    root = os.path.join(folder, "root")
    os.chmod(folder, 0o755)
    os.mkdir(root)
    body = os.urandom(SIZE)
    with open(os.path.join(root, "f"), "wb") as file:
        file.write(body)
    log = open(os.path.join(folder, "log"), "w")
    trial = WAYS[way](arguments.program, root, log)
    trial.begin()
    load = Load(trial.address, body, arguments.boots)
    for index in range(arguments.restarts):
        load.wait_for((index + 1) / (arguments.restarts + 1))
        trial.restart()
    load.thread.join()
    trial.end()
    failures = [boot.failure for boot in load.boots if boot.failure]
    waited = max(boot.waited for boot in load.boots)
    print(f"{way}: {len(load.boots)} boots, {arguments.restarts} restarts, {len(failures)} failed, "
          f"the longest wait for an answer {waited:.3f} s")
    for failure in sorted(set(failures))[:5]:
        print("  ", failures.count(failure), "x", failure)
    holds = not failures and waited <= WAITED_MAX
    if holds:
        shutil.rmtree(folder)
    else:
        print("   the log is", log.name)
    return holds


def main():
    arguments = parse()
    arguments.program = os.path.abspath(arguments.program)
    results = [run(way, arguments) for way in arguments.way or WAYS]
    sys.exit(0 if all(results) else 1)


main()
