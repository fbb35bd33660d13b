"""Compares imported configurations with the servers that they were written for.

Each configuration runs twice: by the real server, and imported by Bootstorm. Both get the same
tree, and for each name and direction it is compared which file was served or written, or that the
request was refused.
"""

import argparse
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time

import configurations
import differ
from processes import Process, free_port, is_bound_within, read
from serving import Serving

USER = "nobody"
ANSWER_SECONDS = 3
# For a server that says nothing to what it refuses.
SILENCE_SECONDS = 0.5


class Site:
    """A folder with the tree, the configuration and what the tree was like."""

    def __init__(self, case, folder):
        self.case = case
        self.root = os.path.join(folder, "srv")
        self.folder = folder
        for name in case.tree:
            self.put(name)
        for name, text in case.files.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(self.filled(text))
        for path, _, _ in os.walk(folder):
            os.chmod(path, 0o777 if case.open_folders and path.startswith(self.root) else 0o755)
        self.before = self.state()

    def filled(self, text):
        return text.replace("ROOT", self.root).replace("FOLDER", self.folder)

    @property
    def configuration(self):
        return os.path.join(self.folder, next(iter(self.case.files)))

    def put(self, name):
        """A file whose content is its name; or a link, where the tree names a target."""
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        mode = self.case.tree[name]
        if isinstance(mode, str):
            os.symlink(self.filled(mode), path)
            return
        with open(path, "w", encoding="utf-8") as file:
            file.write(name)
        os.chmod(path, mode)

    def state(self):
        contents = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                if stat.S_ISREG(os.lstat(path).st_mode):
                    with open(path, encoding="utf-8") as file:
                        contents[os.path.relpath(path, self.root)] = file.read()
        return contents

    def written(self):
        """The files that are not as they were; they are put back."""
        now = self.state()
        changed = sorted(name for name in now if now[name] != self.before.get(name))
        for name in changed:
            path = os.path.join(self.root, name)
            os.remove(path)
            if name in self.before:
                self.put(name)
        return changed

    def outcome(self, address, opcode, name):
        result = differ.ask(address, opcode, name, self.patience)
        if result == "silence" and self.case.server == "tftpd-hpa":
            # It starts a process for each request, and loses one now and then.
            result = differ.ask(address, opcode, name, self.patience)
        if result == "silence":
            result = "refused"
        if opcode == differ.WRQ:
            # What is received is written a moment later by some.
            deadline = time.monotonic() + (ANSWER_SECONDS if result == "written" else 0)
            changed = self.written()
            while not changed and time.monotonic() < deadline:
                time.sleep(0.01)
                changed = self.written()
            result += "".join(f" {name}" for name in changed)
        return result

    patience = ANSWER_SECONDS


def real_command(site, program, port):
    """How the real server is started with the configuration, at a port of the test's own."""
    if site.case.server == "dnsmasq":
        return [program, "--keep-in-foreground", f"--conf-file={site.configuration}", "--pid-file=",
                "--log-facility=-", f"--user={USER}", "--group=", "--port=0",
                f"--dhcp-leasefile={site.folder}/leases"]
    words = [site.filled(word) for word in site.case.command]
    if not words:
        names = configurations.VARIABLES[site.case.server]
        script = f". {shlex.quote(site.configuration)}; printf '%s\\n' {names}"
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        words = done.stdout.split("\n")[:-1]
    if site.case.server == "tftpd-hpa":
        own = ["--foreground", "--address", f"127.0.0.1:{port}", "--user", USER]
    else:
        own = ["--daemon", "--no-fork", "--bind-address", "127.0.0.1", "--port", str(port),
               "--user", USER, "--group", "nogroup", "--logfile", "-"]
    # Of a flag that is given twice, the last value counts.
    return [program, *words[:-1], *own, words[-1]] if site.case.server == "atftpd" else [
        program, *[word for word in words if word not in ("-l", "--listen")], *own]


class Real(Process):
    def __init__(self, site, program, libraries):
        self.port = 69 if site.case.server == "dnsmasq" else free_port()
        self.address = ("127.0.0.1", self.port)
        log = os.path.join(site.folder, "real.log")
        with open(log, "w", encoding="utf-8") as file:
            super().__init__(real_command(site, program, self.port), output=file, errors=file,
                             environment=differ.environment(libraries))
        if not is_bound_within(differ.START_SECONDS, self.port, self):
            self.kill()
            raise SystemExit(f"differ: {site.case.title}: the real server does not start: {read(log)}")


class Imported(Serving):
    def __init__(self, site, program):
        case = site.case
        path = os.path.join(site.folder, "bootstorm.yaml")
        done = subprocess.run([program, "import", case.server, site.configuration],
                              capture_output=True, text=True, check=True)
        self.notes = done.stderr
        lines = [line for line in done.stdout.splitlines()
                 if not line.startswith(("user:", "group:"))]
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        subprocess.run([program, "check", path], check=True, stdout=subprocess.DEVNULL)
        super().__init__(program, "--config", path, "--listen", "127.0.0.1:0", "--shards", "1",
                         "--user", USER, log=os.path.join(site.folder, "log"))


def names_of(site):
    """Names as clients write them, for each file of the tree."""
    for name in site.case.tree:
        yield from (name, f"/{name}", f"//{name}", f"./{name}", f"{site.root}/{name}", name.upper(),
                    name.capitalize(), name + "x", name[:-1], f"../srv/{name}", f"x/../{name}",
                    os.path.dirname(name) or "/")
    yield from ("missing", "/missing", "..", "../secret", "/etc/hostname", f"{site.folder}/secret", "", "/", ".")
    yield from map(site.filled, site.case.names)


def is_meant(site, opcode, name, theirs, mine):
    """The differences in docs/guide: more names, uploads that climb, paths in a second folder."""
    if theirs == "refused":
        return site.case.serves_more or name.startswith(site.root)
    if theirs == "file ":
        # A folder, which atftpd sends as an empty file.
        return mine == "refused"
    unknown = site.filled(site.case.refused_here)
    if unknown and name.startswith(unknown):
        return mine == "refused"
    return opcode == differ.WRQ and ".." in name.split("/") and mine == "refused"


def compare(case, bootstorm, peers, folder, tally):
    site = Site(case, folder)
    if case.server == "dnsmasq":
        site.patience = SILENCE_SECONDS
    real = Real(site, *peers[case.server])
    try:
        imported = Imported(site, bootstorm)
        try:
            found = []
            for name in dict.fromkeys(names_of(site)):
                # dnsmasq takes no uploads at all.
                for opcode in (differ.RRQ, differ.WRQ)[:1 if case.server == "dnsmasq" else 2]:
                    theirs = site.outcome(real.address, opcode, name.encode("latin1"))
                    mine = site.outcome(imported.address, opcode, name.encode("latin1"))
                    tally[theirs.split()[0]] = tally.get(theirs.split()[0], 0) + 1
                    if mine != theirs and not is_meant(site, opcode, name, theirs, mine):
                        found.append(f"{'RRQ' if opcode == differ.RRQ else 'WRQ'} {name!r}: "
                                     f"{theirs} by {case.server}, {mine} here")
        finally:
            imported.kill()
    finally:
        real.kill()
    if found:
        print(f"{case.title}:\n{imported.notes}", end="")
        for line in found:
            print("   " + line, flush=True)
    return len(found)


def main():
    parser = argparse.ArgumentParser(prog="tools/differ import", description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="configurations with these words in the title")
    parser.add_argument("--bootstorm", required=True)
    parser.add_argument("--peers", required=True, help="the folder that tools/dev peers has filled")
    arguments = parser.parse_args(sys.argv[1:])
    if os.geteuid() != 0:
        print("differ: skipped: the other servers change their root, which takes root")
        return 77
    peers, differences, tally = {}, 0, {}
    cases = [case for case in configurations.ALL if (arguments.only or "") in case.title]
    for server in sorted({case.server for case in cases}):
        program, detail = differ.peer(arguments.peers, server)
        if program:
            peers[server] = (program, detail)
        else:
            print(f"differ: {server} is left out: {detail}")
    done = [case for case in cases if case.server in peers]
    if not done:
        print("differ: skipped: none of the other servers is here")
        return 77
    for case in done:
        folder = tempfile.mkdtemp(prefix="differ-")
        try:
            differences += compare(case, arguments.bootstorm, peers, folder, tally)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"differ: {len(done)} configurations, " + ", ".join(
        f"{count} {what}" for what, count in sorted(tally.items())) + f": {differences} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
