"""What the measurements share: a server on one core, storms on the other, and their figures."""

import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

import measure
import peers
from processes import Process, last_line

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MIB = 1 << 20
# No storm takes longer; what has not ended by then is interrupted and reports what it has.
LIMIT_SECONDS = 120


class Bed:
    """A folder of files and the program to serve and storm them with; cleaned up at the end."""

    def __init__(self):
        self.program = program()
        self.cores = sorted(os.sched_getaffinity(0))
        self.running = []

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="bootstorm-bench-")
        # Some servers drop root before they read.
        os.chmod(self.folder, 0o755)
        return self

    def __exit__(self, *_):
        for server in self.running:
            server.end()
        shutil.rmtree(self.folder)

    @property
    def server_core(self):
        return self.cores[0]

    @property
    def storm_core(self):
        return self.cores[-1]

    def file(self, name, byte_count):
        """A file of random bytes, the same in every run."""
        source = random.Random(name)
        with open(self.path(name), "wb") as file:
            for start in range(0, byte_count, MIB):
                file.write(source.randbytes(min(MIB, byte_count - start)))
        return name

    def path(self, name):
        return os.path.join(self.folder, name)

    def serve(self, *flags, shards=1, cores=None, log_level="warning"):
        arguments = ["--listen", "127.0.0.1:0", "--shards", str(shards), "--log-level", log_level]
        server = Served([self.program, "serve", self.folder, *arguments, *flags],
                        cores or {self.server_core})
        self.running.append(server)
        return server

    def peer(self, name):
        """A reference server (peers.py), or None where it is not to be had."""
        try:
            found = peers.find(name, self.program, os.path.join(ROOT, ".build-compare"))
        except peers.NotAvailable as reason:
            say(f"{name} is left out: {reason}")
            return None
        probe = found.file_name(self.folder, os.listdir(self.folder)[0])
        server = Served(found.command(self.folder), {self.server_core}, found, probe)
        self.running.append(server)
        return server

    def storm_command(self, server, name, *arguments):
        url = f"tftp://{server.address}:{server.port}/{name}"
        return [self.program, "bench", url, "--server-pid", str(server.pid), *arguments]

    def storm(self, server, name, *arguments, verify=True, cores=None):
        """What bench reports."""
        return self.begin_storm(
            server, name, *arguments, verify=verify, cores=cores).report()

    def begin_storm(self, server, name, *arguments, verify=True, cores=None):
        arguments = list(arguments)
        if verify:
            arguments += ["--verify", self.path(name)]
        return Storm(self.storm_command(server, name, *arguments), cores or {self.storm_core})

    def stop(self, server):
        server.end()
        self.running.remove(server)


class Served(Process):
    """A server of ours, until `end`."""

    def __init__(self, command, cores, known=None, probe=None):
        self.log = tempfile.TemporaryFile("w+")
        super().__init__(command, cores=cores, output=subprocess.PIPE, errors=self.log,
                         environment=known.environment() if known else None)
        if known:
            self.address, self.port = known.address, known.port
            self.wait_until_answering(known, probe)
        else:
            self.address, self.port = self.listening()

    def wait_until_answering(self, known, probe):
        for _ in range(20):
            if measure.granted_options(known, probe) is not None:
                return
        raise SystemExit(f"{known.name} does not answer")

    def cpu_seconds(self):
        return measure.tree_cpu_seconds(self.pid)

    def threads_cpu_seconds(self):
        """By thread name: {'shard-0': 1.2, …}."""
        seconds = {}
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            text = measure.read(f"/proc/{self.pid}/task/{thread}/stat")
            name = text[text.index("(") + 1:text.rindex(")")]
            fields = text.rpartition(")")[2].split()
            ticks = int(fields[11]) + int(fields[12])
            seconds[name] = seconds.get(name, 0) + ticks / measure.TICKS_PER_SECOND
        return seconds

    def memory_bytes(self, key="VmRSS:"):
        return measure.kilobytes(measure.read(f"/proc/{self.pid}/status"), key) * 1024

    def disk_read_bytes(self):
        for line in measure.read(f"/proc/{self.pid}/io").splitlines():
            if line.startswith("read_bytes:"):
                return int(line.split()[1])
        return 0

    def last_words(self):
        """The last line of its log, after `end`."""
        self.log.seek(0)
        return last_line(self.log.read())


class Storm(Process):
    """A storm under way."""

    def __init__(self, command, cores):
        handle, self.path = tempfile.mkstemp(suffix=".json")
        os.close(handle)
        super().__init__([*command, "--json", self.path], cores=cores, errors=subprocess.PIPE)

    def interrupt(self):
        self.signal(signal.SIGINT)

    def report(self, seconds=LIMIT_SECONDS):
        try:
            _, words = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.interrupt()
            _, words = self.process.communicate()
        text = measure.read(self.path)
        os.remove(self.path)
        if not text:
            raise SystemExit(f"the storm failed: {words.strip()}")
        return json.loads(text)


def program():
    """The release build, made if need be; BOOTSTORM=PATH names another one."""
    dev = os.path.join(ROOT, "tools", "dev")
    return subprocess.run([dev, "program"], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


def median(values):
    return statistics.median(values)


def say(text):
    print(text, file=sys.stderr, flush=True)


def table(heads, rows):
    """Prints a Markdown table."""
    print("| " + " | ".join(heads) + " |")
    print("|" + " --- |" * len(heads))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)
