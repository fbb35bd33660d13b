"""The servers: where they come from and how they are started.

The reference servers are Debian's packages, unpacked into a folder and never installed: they
conflict with each other, and installing one starts its service.
"""

import getpass
import glob
import grp
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field

from processes import last_line

PORT_FIRST = 47069
# Debian's dnsmasq answers TFTP on port 69 and on no other, so it gets an address of its own.
DNSMASQ_ADDRESS = "127.0.0.69"
# Peers that limit how many transfers they serve at once are allowed more than any scenario wants.
TRANSFERS_MAX = 16_384
# But atftpd aborts when a descriptor reaches 1024, and a transfer takes two.
ATFTPD_TRANSFERS_MAX = 500


class NotAvailable(Exception):
    """Why a server is left out, in one line."""


@dataclass
class Server:
    name: str
    version: str
    binary: str
    address: str
    port: int
    library_folders: list = field(default_factory=list)

    def environment(self):
        environment = dict(os.environ, LC_ALL="C")
        if self.library_folders:
            environment["LD_LIBRARY_PATH"] = ":".join(self.library_folders)
        return environment

    def command(self, folder):
        """What is run. All of them stay in the foreground and log as they do by default."""
        return [self.binary, *ARGUMENTS[self.name](self, folder)]

    def shown_command(self):
        command = self.command("FOLDER")
        return " ".join([os.path.basename(command[0]), *(word or "''" for word in command[1:])])

    def file_name(self, folder, name):
        """tftpd-hpa wants whole paths, because it is not told to change its root."""
        return f"{folder}/{name}" if self.name == "tftpd-hpa" else name


def bootstorm_arguments(server, folder):
    return ["serve", folder, "--listen", f"{server.address}:{server.port}", "--shards", "1"]


def hpa_arguments(server, folder):
    listen = ["--foreground", "--ipv4", "--address", f"{server.address}:{server.port}"]
    return [*listen, folder]


def atftpd_arguments(server, folder):
    listen = ["--daemon", "--no-fork", "--bind-address", server.address, "--port", str(server.port)]
    limit = ["--maxthread", str(ATFTPD_TRANSFERS_MAX)]
    return [*listen, *limit, "--logfile", "-", *own_user(), folder]


def dnsmasq_arguments(server, folder):
    tftp = ["--enable-tftp", f"--tftp-root={folder}", f"--tftp-max={TRANSFERS_MAX}"]
    listen = [f"--listen-address={server.address}", "--bind-interfaces", "--port=0"]
    alone = ["--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--log-facility=-"]
    return [*alone, *listen, *tftp]


ARGUMENTS = {
    "bootstorm": bootstorm_arguments,
    "tftpd-hpa": hpa_arguments,
    "atftpd": atftpd_arguments,
    "dnsmasq": dnsmasq_arguments,
}

PEERS = {
    # name: (package, binary)
    "tftpd-hpa": ("tftpd-hpa", "in.tftpd"),
    "atftpd": ("atftpd", "atftpd"),
    "dnsmasq": ("dnsmasq-base", "dnsmasq"),
}

NAMES = ["bootstorm", *PEERS]


def own_user():
    """As root, atftpd becomes its default user; another user's atftpd must keep its user."""
    if os.geteuid() == 0:
        return []
    return ["--user", getpass.getuser(), "--group", grp.getgrgid(os.getegid()).gr_name]


def find(name, bootstorm, cache):
    """The server of that name, fetched if need be."""
    port = PORT_FIRST + NAMES.index(name)
    if name == "bootstorm":
        version = run([bootstorm, "--version"]).strip()
        return Server(name, version, os.path.abspath(bootstorm), "127.0.0.1", port)
    if name == "dnsmasq":
        check_port_69()
    if name == "tftpd-hpa" and os.geteuid() != 0:
        raise NotAvailable("it becomes another user for each transfer: run this as root")
    package, binary = PEERS[name]
    address, port = (DNSMASQ_ADDRESS, 69) if name == "dnsmasq" else ("127.0.0.1", port)
    if not shutil.which("apt-get"):
        return find_installed(name, binary, address, port)
    prefix = unpacked(package, cache)
    with open(f"{prefix}/VERSION", encoding="utf-8") as file:
        version = file.read().strip()
    binary = f"{prefix}/usr/sbin/{binary}"
    return Server(name, version, binary, address, port, library_folders(prefix))


def find_installed(name, binary, address, port):
    path = shutil.which(binary, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise NotAvailable(f"there is no apt-get to fetch it with, and no {binary} in PATH")
    return Server(name, "as installed", path, address, port)


def check_port_69():
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
        first = int(file.read())
    if os.geteuid() != 0 and first > 69:
        raise NotAvailable("it answers on port 69 only, and that needs root: run this as root")


def unpacked(package, cache):
    """The folder with the package and the libraries that this system lacks."""
    prefix = os.path.join(cache, package)
    if os.path.exists(f"{prefix}/VERSION"):
        return prefix
    say(f"Fetching {package}")
    shutil.rmtree(prefix, ignore_errors=True)
    os.makedirs(f"{prefix}/debs")
    try:
        download([package, *missing_libraries(package)], f"{prefix}/debs")
    except subprocess.CalledProcessError:
        update_package_lists()
        try:
            download([package, *missing_libraries(package)], f"{prefix}/debs")
        except subprocess.CalledProcessError as error:
            raise NotAvailable(f"apt-get could not fetch it: {last_line(error.stderr)}") from error
    for archive in glob.glob(f"{prefix}/debs/*.deb"):
        run(["dpkg-deb", "--extract", archive, prefix])
    archive = glob.glob(f"{prefix}/debs/{package}_*.deb")[0]
    version = run(["dpkg-deb", "--field", archive, "Version"])
    # Written last: a folder without it is fetched again.
    with open(f"{prefix}/VERSION", "w", encoding="utf-8") as file:
        file.write(version)
    return prefix


def library_folders(prefix):
    libraries = glob.glob(f"{prefix}/**/*.so.*", recursive=True)
    return sorted({os.path.dirname(library) for library in libraries})


def missing_libraries(package):
    """What apt-get would newly install along with it.

    A line for an upgrade has the old version in brackets: what is installed will do.
    """
    plan = run(["apt-get", "--simulate", "--no-install-recommends", "install", package])
    names = []
    for line in plan.splitlines():
        words = line.split()
        if words[:1] == ["Inst"] and words[1].startswith("lib") and not words[2].startswith("["):
            names.append(words[1])
    return names


def download(packages, folder):
    run(["apt-get", "download", *packages], cwd=folder)


def update_package_lists():
    """A fresh container has no package lists, and old lists name versions that are gone."""
    command = ["apt-get", "update"]
    if os.geteuid() != 0:
        if not shutil.which("sudo"):
            raise NotAvailable("apt-get has no package lists: run apt-get update as root")
        command.insert(0, "sudo")
    subprocess.run(command, stdout=sys.stderr, check=False)


def run(command, cwd=None):
    environment = dict(os.environ, LC_ALL="C")
    done = subprocess.run(
        command, cwd=cwd, env=environment, text=True, capture_output=True, check=True
    )
    return done.stdout


def say(text):
    print(text, file=sys.stderr, flush=True)


def fbtftp(cache):
    """The folder with Facebook's Python library, of which a server is made in a few lines."""
    folder = os.path.join(cache, "fbtftp")
    if not os.path.exists(f"{folder}/fbtftp"):
        say("Fetching fbtftp")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, "fbtftp"]
        try:
            run(command)
        except (OSError, subprocess.CalledProcessError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            reason = last_line(getattr(error, "stderr", "") or str(error))
            raise NotAvailable(f"pip could not install it: {reason}") from error
    return folder


def main():
    """Fetches every peer into a folder and writes there what a test has to know of each.

    A line of peers.tsv: name, program, folders with its libraries; or name, nothing, why it is
    missing.
    """
    cache = os.path.abspath(sys.argv[1])
    os.makedirs(cache, exist_ok=True)
    lines = []
    for name in PEERS:
        try:
            server = find(name, "", cache)
            lines.append((name, server.binary, ":".join(server.library_folders)))
        except (NotAvailable, OSError, subprocess.CalledProcessError) as reason:
            lines.append((name, "", str(reason)))
    try:
        lines.append(("fbtftp", sys.executable, fbtftp(cache)))
    except NotAvailable as reason:
        lines.append(("fbtftp", "", str(reason)))
    with open(f"{cache}/peers.tsv", "w", encoding="utf-8") as file:
        file.writelines("\t".join(line) + "\n" for line in lines)


if __name__ == "__main__":
    main()
