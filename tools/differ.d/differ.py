"""Compares what map files of tftpd-hpa and pattern files of atftpd mean there and here.

Seeded rule files, names and directions. Both servers get the same tree, in which a file's content
is its own path, and for each request it is compared which file was served or written, or that it
was refused. Bootstorm runs once and gets each rule file by a reload; the other server is started
for each rule file, because it ends over some.
"""

import argparse
import os
import random
import resource
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

from processes import Process, free_port, is_bound_within, read
from serving import Serving

FILES = """
a c ab abc boot.cfg Boot.CFG linux linux.0 pxelinux.0 pxelinux.cfg/default pxelinux.cfg/01-aa-bb-cc-dd-ee-ff
pxelinux.cfg/7F000001 boot/a boot/grub/grub.cfg boot/x86/linux.0 Boot/BCD tftpboot/a tftpboot/linux images/a.img
images/b.img images/127.0.0.1/a 7F000001/a x/a x/b x/y/a aa aaa a.b a-b A LINUX.0 b/a upper/LOWER
""".split()
WRITABLE = {"a", "ab", "boot.cfg", "boot/a", "x/y/a", "images/b.img", "A"}

RRQ, WRQ = 1, 2
START_SECONDS = 10
NOBODY = 65534


class Tree:
    """The files that are served; each that a request has written is put back."""

    def __init__(self, root):
        self.root = root
        for name in FILES:
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self.put(name)
        for folder, _, _ in os.walk(root):
            os.chmod(folder, 0o755)

    def put(self, name):
        path = os.path.join(self.root, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(name)
        os.chmod(path, 0o666 if name in WRITABLE else 0o644)

    def written(self):
        """The file whose content is not its own path any more; it is put back."""
        changed = None
        for name in sorted(WRITABLE):
            with open(os.path.join(self.root, name), "rb") as file:
                if file.read() != name.encode():
                    changed = name
                    self.put(name)
        return changed


# MARK: Requests


def ask(address, opcode, name, timeout):
    """`file NAME`, `written`, `refused`, or `silence`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(timeout)
        udp.sendto(struct.pack("!H", opcode) + name + b"\0octet\0", address)
        wanted = 3 if opcode == RRQ else 4
        try:
            packet, peer = udp.recvfrom(2000)
            # The port may have been another transfer's, whose last packet is repeated.
            while packet[1] not in (5, wanted):
                packet, peer = udp.recvfrom(2000)
            kind = packet[1]
            if kind == 5:
                return "refused"
            if opcode == RRQ and kind == 3:
                udp.sendto(b"\0\4\0\1", peer)
                return "file " + packet[4:].decode("ascii", "replace")
            if opcode == WRQ and kind == 4:
                udp.sendto(b"\0\3\0\1!", peer)
                last, _ = udp.recvfrom(2000)
                return "written" if last[1] == 4 else "refused"
        except TimeoutError:
            return "silence"


def outcome(tree, address, opcode, name, timeout):
    result = ask(address, opcode, name, timeout)
    if opcode == WRQ and result != "refused":
        # A server that was killed in the middle has emptied the file all the same.
        return f"{result} {tree.written()}"
    return result


# MARK: The servers


class Reference(Process):
    """in.tftpd or atftpd with one rule file."""

    def __init__(self, kind, program, libraries, root, rules):
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        if kind == "hpa":
            arguments = ["--foreground", "--ipv4", "--address", f"127.0.0.1:{self.port}", "--user", "root",
                         "--map-file", rules, "--secure", root]
        else:
            arguments = ["--daemon", "--no-fork", "--bind-address", "127.0.0.1", "--port", str(self.port),
                         "--user", "root", "--group", "root", "--logfile", "/dev/null", "--pcre", rules, root]
        # Some rules never end: the processor's time is limited, for the server and for each
        # request's process.
        super().__init__(
            [program, *arguments], errors=subprocess.DEVNULL, environment=environment(libraries),
            prepare=lambda: resource.setrlimit(resource.RLIMIT_CPU, (2, 2)))

    def starts(self):
        """False where it has refused the rule file."""
        return is_bound_within(START_SECONDS, self.port, self)


def environment(libraries):
    return dict(os.environ, LD_LIBRARY_PATH=libraries, LC_ALL="C")


class Bootstorm(Serving):
    """`bootstorm serve`, which gets rule files by reloads."""

    def __init__(self, program, kind, root, folder):
        self.rules = os.path.join(folder, "rules")
        # Of the user that the server runs as.
        own = os.path.join(folder, "own")
        os.mkdir(own)
        os.chown(own, NOBODY, NOBODY)
        open(self.rules, "w").close()
        flag = "--map-hpa" if kind == "hpa" else "--pcre"
        super().__init__(
            program, root, "--listen", "127.0.0.1:0", "--shards", "1", "--upload", "overwrite",
            "--log-level", "warning", flag, self.rules, log=os.path.join(folder, "log"),
            control=os.path.join(own, "control.sock"), prepare=become_nobody)

    def load(self, text):
        """False where the rule file is refused."""
        with open(self.rules, "wb") as file:
            file.write(text)
        try:
            return "error" not in self.reload()
        except (OSError, ValueError) as error:
            raise SystemExit(f"differ: the server does not reload: {error}; {read(self.log)}") from None


def become_nobody():
    """This user may write files of mode 0666 and create none, like in.tftpd without --create."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


# MARK: Seeded cases

LITERALS = r"a b A boot linux \. / x pxelinux 0 cfg img - tftpboot \\\\ images".split()
CLASSES = ". [a-z] [^/] [A-Z] [0-9a-f] [[:upper:]] [[:digit:]] []a] [^]/] [a-]".split()
HPA_PARTS = [*r"a b boot/ \0 \1 \2 / x/ \U\0 \L\0 \U\1\E \i \x images/ \\ \q".split(), "",
             *r"\E tftpboot/ .img \L \# linux".split()]
PCRE_PARTS = "a b boot/ $0 $1 ${1} $2 / x/ $n ${n} $$ images/ linux .0 $".split()
OPERATIONS = "r r r rg ri rgi re rs e a i s ~ ~a ~e rgs ra ai ~i rge rie".split()


def expression(random, depth=0):
    """A POSIX extended expression, as an operator might write it or by mistake."""
    parts = []
    for _ in range(random.randint(1, 4)):
        choice = random.random()
        if choice < 0.45 or depth > 2:
            part = random.choice(LITERALS)
        elif choice < 0.55:
            part = random.choice(CLASSES)
        elif choice < 0.75:
            part = "(" + expression(random, depth + 1) + ")"
        elif choice < 0.85:
            part = "(" + expression(random, depth + 1) + "|" + expression(random, depth + 1) + ")"
        else:
            part = random.choice([".", "[^/]", "a", "/", "(a|b)", "(a|ab)(c|bcd)"])
        if random.random() < 0.3:
            part += random.choice(["*", "+", "?", "{2}", "{0,2}", "{1,}", "*?"])
        parts.append(part)
    text = "".join(parts)
    if random.random() < 0.35:
        text = "^" + text
    if random.random() < 0.25:
        text += "$"
    return text


def hpa_rules(random):
    lines = []
    for _ in range(random.randint(1, 7)):
        if random.random() < 0.05:
            lines.append("# a comment")
            continue
        operations = random.choice(OPERATIONS)
        if random.random() < 0.2:
            operations += random.choice(["G", "P", "4", "6", "GP"])
        replacement = "".join(
            random.choice(HPA_PARTS)
            for _ in range(random.randint(0, 3)))
        tail = random.choice(["", "", "", " ", "\t# why", " more"])
        lines.append(f"{operations}{random.choice([' ', chr(9), '  '])}{expression(random)} {replacement}{tail}")
    return "\n".join(lines).encode() + (b"\n" if random.random() < 0.9 else b"")


def pcre_expression(random):
    text = expression(random).replace("[]a]", "[ab]").replace("[^]/]", "[^/]")
    if random.random() < 0.3:
        text = random.choice(["(?i)" + text, "(?:" + text + ")", text + "(?=a)", "(?<n>" + text + ")", "\\b" + text,
                              text + "\\w*", "(?!a)" + text, "^" + text + ".*?$", text + "\\d+", "\\A" + text])
    return text


def pcre_rules(random):
    lines = []
    for _ in range(random.randint(1, 5)):
        replacement = "".join(
            random.choice(PCRE_PARTS)
            for _ in range(random.randint(1, 3)))
        lines.append(f"{pcre_expression(random)} {replacement}")
    return "\n".join(lines).encode() + b"\n"


def names(random, count):
    chosen = []
    for _ in range(count):
        name = random.choice(FILES)
        choice = random.random()
        if choice < 0.25:
            name = "/" + name
        elif choice < 0.35:
            name = name.upper() if random.random() < 0.5 else name.lower()
        elif choice < 0.45:
            name = name.replace("/", "\\")
        elif choice < 0.55:
            name = random.choice(["tftpboot/", "/tftpboot/", "boot/", "x/", "./", "//", "a"]) + name
        elif choice < 0.65:
            name = name[:random.randint(1, len(name))]
        elif choice < 0.7:
            name += random.choice(["a", ".0", "/", "b", "0", "abcd"])
        elif choice < 0.73:
            name = random.choice(["../a", "/../a", "x/../a", "x/../../a", "boot/..", "..", ".", "/", "x"])
        chosen.append(name.encode())
    return chosen


def run(arguments, program, libraries, folder):
    root = os.path.join(folder, "tree")
    os.makedirs(root)
    os.chmod(folder, 0o755)
    tree = Tree(root)
    # in.tftpd resolves its address only where the machine has one besides those of loopback.
    rules = os.path.join(folder, "reference")
    with open(rules, "w", encoding="ascii") as file:
        file.write("r ^none$ none\n" if arguments.kind == "hpa" else "^none$ none\n")
    probe = Reference(arguments.kind, program, libraries, root, rules)
    starts = probe.starts()
    probe.kill()
    if not starts:
        print(f"differ: skipped: {program} does not start; has the machine an address besides 127.0.0.1?")
        return 77
    ours = Bootstorm(arguments.bootstorm, arguments.kind, root, folder)
    tally = dict.fromkeys(
        ["files", "refused files", "requests", "served", "refused", "written", "without an end"], 0)
    differences = 0
    try:
        for seed in range(arguments.seed, arguments.seed + arguments.count):
            rng = random.Random(f"{arguments.kind} {seed}")
            text = hpa_rules(rng) if arguments.kind == "hpa" else pcre_rules(rng)
            differences += compare(arguments, program, libraries, folder, tree, ours, rng, seed, text, tally)
    finally:
        ours.kill()
    print("differ: " + ", ".join(f"{count} {what}" for what, count in tally.items()) + f": {differences} differences")
    return 1 if differences else 0


def compare(arguments, program, libraries, folder, tree, ours, rng, seed, text, tally):
    tally["files"] += 1
    rules = os.path.join(folder, "reference")
    with open(rules, "wb") as file:
        file.write(text)
    reference = Reference(arguments.kind, program, libraries, tree.root, rules)
    found = []
    try:
        starts = reference.starts()
        loads = ours.load(text)
        # atftpd runs without rules where it cannot read them; Bootstorm refuses the file.
        if not loads or not starts:
            tally["refused files"] += 1
            if arguments.kind == "hpa" and loads != starts:
                theirs, mine = ("read" if is_read else "refused" for is_read in (starts, loads))
                found.append(f"the file: {theirs} by the other, {mine} here")
        else:
            directions = [RRQ, WRQ] if arguments.kind == "hpa" else [RRQ]
            for name in names(rng, arguments.names):
                for opcode in list(directions):
                    theirs = outcome(tree, reference.address, opcode, name, 0.7)
                    if theirs.startswith("silence"):
                        # The rules go on for ever, and would for many names.
                        tally["without an end"] += 1
                        directions.remove(opcode)
                        continue
                    mine = outcome(tree, ours.address, opcode, name, 5)
                    tally["requests"] += 1
                    if theirs == "file ":
                        # A folder, which atftpd sends as an empty file.
                        theirs = "refused"
                    what = {"f": "served", "r": "refused", "w": "written"}.get(theirs[0])
                    tally[what] = tally.get(what, 0) + 1
                    if mine != theirs:
                        direction = "RRQ" if opcode == RRQ else "WRQ"
                        found.append(f"{direction} {name!r}: {theirs} by the other, {mine} here")
    finally:
        reference.kill()
    if found:
        print(f"seed {seed}:\n" + text.decode("utf8", "replace"))
        for line in found:
            print("   " + line, flush=True)
    return len(found)


def peer(folder, name):
    """The program and the folders of its libraries; or nothing, and why."""
    try:
        with open(f"{folder}/peers.tsv", encoding="utf-8") as table:
            lines = dict((line.split("\t")[0], line.rstrip("\n").split("\t")[1:]) for line in table)
    except OSError:
        lines = {}
    return lines.get(name, ("", "tools/dev peers fetches it"))


def main():
    parser = argparse.ArgumentParser(prog="tools/differ", description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["hpa", "pcre"])
    parser.add_argument("count", type=int, nargs="?", default=100, help="rule files")
    parser.add_argument("--seed", type=int, default=1, help="of the first rule file")
    parser.add_argument("--names", type=int, default=8, help="names for each rule file")
    parser.add_argument("--bootstorm", required=True)
    parser.add_argument("--peers", required=True, help="the folder that tools/dev peers has filled")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("differ: skipped: the other servers change their root, which takes root")
        return 77
    wanted = {"hpa": "tftpd-hpa", "pcre": "atftpd"}[arguments.kind]
    program, detail = peer(arguments.peers, wanted)
    if not program:
        print(f"differ: skipped: {wanted} is not here: {detail}")
        return 77
    folder = tempfile.mkdtemp(prefix="differ-")
    try:
        return run(arguments, program, detail, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
