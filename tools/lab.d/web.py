"""How fast a node serves what it gets from web servers, compared with curl.

The origin is a host of its own behind a cable of 1 Gbit/s: without one, copying in memory on these
few cores would be all that is measured. A second round has no such limit and is not judged.
"""

import hashlib
import os
import subprocess
import sys
import time

import bed
import etcd
import net
import origins
import peers
from verdict import Verdict

ORIGIN, NODE = "10.0.0.2", "10.0.0.1"
PORT, DELAY_PORT = 8080, 8081
FOLDERS = os.path.dirname(os.path.abspath(__file__))
RATIO_MIN = 0.8
# What the machine does besides counts in a short trial.
QUICK_RATIO_MIN = 0.25
START_SECONDS = 20
TRANSFER_SECONDS = 300
BUCKET = "images"
APACHE = """\
ServerRoot {scratch}
ServerName lab
Listen {address}:{port}
PidFile {scratch}/apache.pid
ErrorLog /dev/stderr
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
DocumentRoot {folder}
User nobody
Group nogroup
"""


class Origin:
    """A web server with one file, its URL for curl, and what a node is given for it."""

    def __init__(self, lab, kind):
        self.lab, self.kind = lab, kind
        self.name = lab.digest if kind == "oci" else "image"
        self.file_name = f"sha256:{lab.digest}" if kind == "oci" else self.name

    def command(self):
        """The command, and its environment."""
        lab = self.lab
        return {"nginx": self.nginx, "apache": self.apache, "s3": self.moto,
                "python": lambda: ([sys.executable, "-m", "http.server", "--bind", ORIGIN, "--directory",
                                    lab.files, PORT], None),
                "oci": lambda: ([sys.executable, "-B", f"{FOLDERS}/oci.py", ORIGIN, PORT, lab.files], None),
                }[self.kind]()

    def nginx(self):
        kind = origins.NginxOrigin(peers.unpacked("nginx", origins.CACHE), ORIGIN)
        command = kind.command(self.lab.files, self.lab.folder)
        path = os.path.join(self.lab.folder, "nginx.conf")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("listen 80;", f"listen {PORT};"))
        return command, kind.environment()

    def apache(self):
        prefix = peers.unpacked("apache2-bin", origins.CACHE)
        server = peers.Server("apache2", "", f"{prefix}/usr/sbin/apache2", ORIGIN, PORT,
                              peers.library_folders(prefix))
        path = os.path.join(self.lab.folder, "apache.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(APACHE.format(scratch=self.lab.folder, address=ORIGIN, port=PORT,
                                     modules=f"{prefix}/usr/lib/apache2/modules", folder=self.lab.files))
        return [server.binary, "-X", "-f", path], server.environment()

    def moto(self):
        folder = os.path.join(origins.CACHE, "moto")
        if not os.path.isdir(os.path.join(folder, "moto")):
            bed.say("Fetching moto")
            done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", folder,
                                   "moto[server,s3]"], check=False, capture_output=True, text=True)
            if done.returncode != 0:
                raise peers.NotAvailable(f"pip could not fetch moto: {done.stderr.strip().splitlines()[-1:]}")
        return ([sys.executable, "-m", "moto.server", "-H", ORIGIN, "-p", PORT],
                {**os.environ, "PYTHONPATH": folder})

    @property
    def curl_flags(self):
        return ["--aws-sigv4", "aws:amz:us-east-1:s3", "--user", "lab:lab"] if self.kind == "s3" else []

    def fill(self):
        if self.kind != "s3":
            return
        for url, body in ((f"/{BUCKET}", []), (f"/{BUCKET}/image", ["-T", self.lab.image])):
            subprocess.run(["curl", "--silent", "--fail", "-X", "PUT", *self.curl_flags, *body,
                            f"http://{ORIGIN}:{PORT}{url}"], check=True)

    def base(self, port):
        folder = {"s3": f"/{BUCKET}", "oci": "/v2/boot/image/blobs"}.get(self.kind, "")
        return f"http://{ORIGIN}:{port}{folder}/"

    def url(self, port):
        return self.base(port) + self.file_name

    def flags(self, port):
        if self.kind != "s3":
            return ["--origin", self.base(port)]
        return ["--origin", f"s3://{BUCKET}/", "--origin-s3-endpoint", f"http://{ORIGIN}:{port}",
                "--origin-auth", self.lab.credentials]


class Lab(net.Lab):
    memory_needed = 0

    def __init__(self, settings):
        super().__init__(settings)
        self.verdict = Verdict()

    def __enter__(self):
        super().__enter__()
        self.node_host = self.network.host("node")
        self.origin_host = self.network.host("origin")
        self.node_host.cable("spine", self.origin_host, "spine", f"{NODE}/24")
        self.origin_host.ip("address", "add", f"{ORIGIN}/24", "dev", "spine")
        self.files = os.path.join(self.folder, "files")
        os.makedirs(self.files)
        self.image = os.path.join(self.files, "image")
        digest = hashlib.sha256()
        with open(self.image, "wb") as file:
            for _ in range(self.settings.image_size // bed.MIB):
                piece = os.urandom(bed.MIB)
                digest.update(piece)
                file.write(piece)
        self.digest = digest.hexdigest()
        os.link(self.image, os.path.join(self.files, self.digest))
        self.credentials = os.path.join(self.folder, "credentials")
        with open(os.open(self.credentials, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as file:
            file.write(f"s3://{BUCKET}/ key lab lab\n")
        return self

    def limit(self, is_limited):
        """The cable has 1 Gbit/s from now on, or what the cores can copy."""
        change = ["add", "dev", "spine", "root", "tbf", "rate", "1gbit", "burst", "256kb", "latency", "50ms"]
        with self.origin_host.inside():
            done = subprocess.run(["tc", "qdisc", *(change if is_limited else ["del", "dev", "spine", "root"])],
                                  check=False, capture_output=True, text=True)
        return done.returncode == 0

    def measure(self, origin, port):
        """Bytes a second of curl and of a cold node, the better of two each, in turn."""
        rates = {"curl": 0, "node": 0}
        with self.node_host.inside():
            for _ in range(self.settings.rounds):
                rates["curl"] = max(rates["curl"], self.timed(
                    ["curl", "--silent", "--fail", "--output", "/dev/null", *origin.curl_flags, origin.url(port)]))
                rates["node"] = max(rates["node"], self.node(origin, port))
        return rates

    def node(self, origin, port):
        root = os.path.join(self.folder, "root")
        os.makedirs(root, exist_ok=True)
        node = self.node_host.start(
            "node", self.program, "serve", root, "--listen", f"{NODE}:69", "--shards", 1, "--drain", 0,
            "--cache", max(1 << 28, 4 * self.settings.image_size), "--log-level", "notice", *origin.flags(port))
        node.wait_until_listening()
        name = origin.file_name if origin.kind == "oci" else origin.name
        rate = self.timed([
            self.program, "get", f"{NODE}/{name}", "-o", "/dev/null", "--blksize", "1468", "--windowsize", "64",
            "--sha256", self.digest, "--patience", "60"])
        node.end()
        return rate

    def timed(self, command):
        began = time.monotonic()
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TRANSFER_SECONDS)
        if done.returncode != 0:
            bed.say(f"{' '.join(command)}: {done.stderr.strip()}")
            return 0
        return self.settings.image_size / (time.monotonic() - began)

    def note(self, what, rates, is_judged):
        ratio = rates["node"] / rates["curl"] if rates["curl"] else 0
        least = QUICK_RATIO_MIN if self.settings.quick else RATIO_MIN
        wanted = f"{least} x curl{'' if is_judged else ' (not judged)'}"
        seen = f"{ratio:.2f} x, {rates['node'] / 1e6:.0f} of {rates['curl'] / 1e6:.0f} MB/s"
        if is_judged:
            self.verdict.note(ratio >= least, what, wanted, seen)
        else:
            print(f"       {what}: wanted {wanted}, seen {seen}", flush=True)


def run(settings):
    with Lab(settings) as lab:
        for kind in settings.kinds:
            try:
                trial(lab, Origin(lab, kind))
            except peers.NotAvailable as reason:
                bed.say(f"{kind} is left out: {reason}")
    return lab.verdict.exit_code


def trial(lab, origin):
    command, environment = origin.command()
    server = lab.origin_host.start(origin.kind, *command, environment=environment)
    with lab.node_host.inside():
        etcd.wait_for(lambda: subprocess.run(
            ["curl", "--silent", "--output", "/dev/null", f"http://{ORIGIN}:{PORT}/"], check=False).returncode == 0,
            START_SECONDS, f"{origin.kind} does not answer")
        origin.fill()
    is_limited = lab.limit(True)
    for delay in (0, 20, 250):
        port, proxy = PORT, None
        if delay:
            port = DELAY_PORT
            proxy = lab.origin_host.start(
                "delay", sys.executable, "-B", f"{FOLDERS}/delay.py", ORIGIN, port, PORT, delay)
            with lab.node_host.inside():
                etcd.wait_for(lambda: subprocess.run(
                    ["curl", "--silent", "--output", "/dev/null", f"http://{ORIGIN}:{DELAY_PORT}/"],
                    check=False).returncode == 0, START_SECONDS, "the delay does not answer")
        lab.note(f"{origin.kind}, first byte after {delay} ms" + (", 1 Gbit/s" if is_limited else ""),
                 lab.measure(origin, port), is_limited)
        if proxy:
            proxy.end()
    if is_limited:
        lab.limit(False)
        lab.note(f"{origin.kind}, no limit", lab.measure(origin, PORT), False)
    server.end()
