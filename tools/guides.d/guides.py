"""Runs the ```sh blocks of README.md and docs/guide/*.md, each page in namespaces of its own.

The blocks of a page are one shell session. A line that ends with & and starts a server is followed
by waiting until the server has printed `listening on`. What a page expects to fail, it says itself:
`! command`, or `command || true`.
"""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

SECONDS_MAX = 60

# Runs before each page, inside its namespaces: folders that pages may use, and a network of one
# host.
PREPARE = """
set -eu
ip link set lo up
mount -t tmpfs tmpfs /srv
mount -t tmpfs tmpfs /run
mkdir -p /srv/tftp /etc/bootstorm
mount -t tmpfs tmpfs /etc/bootstorm
chmod 755 /srv/tftp
mount -t proc proc /proc
"""

# Defined for each page: servers in the background are waited for, and ended with the page.
SESSION = """
set -euo pipefail
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
await_listening() {
    for _ in $(seq 600); do
        grep -q "listening on" "$1" && return
        kill -0 "$2" 2>/dev/null || { cat "$1" >&2; echo "guides: the server has ended" >&2; return 1; }
        sleep 0.1
    done
    cat "$1" >&2
    echo "guides: the server does not listen" >&2
    return 1
}
"""

SERVER = re.compile(r"\b(bootstorm (serve|relay)|tools/relay)\b.*&\s*$")


def blocks(text):
    """The lines of all blocks whose language is sh."""
    return "\n".join(
        match[1] for match in re.finditer(r"^ *```sh *\n(.*?)^ *```", text, re.M | re.S))


def joined(script):
    """Lines; a backslash continues one, and a here-document is kept whole."""
    lines, pending, end = [], "", None
    for line in script.splitlines():
        if end is not None:
            lines[-1] += "\n" + line
            if line == end:
                end = None
            continue
        pending += line
        if pending.endswith("\\"):
            pending = pending[:-1]
            continue
        lines.append(pending)
        found = re.search(r"<<-?\s*['\"]?(\w+)", pending)
        end = found[1] if found else None
        pending = ""
    return lines


def session(script, scratch):
    """The script of a page, with a wait behind each line that starts a server."""
    out, count = [SESSION], 0
    for line in joined(script):
        if SERVER.search(line) and "\n" not in line:
            count += 1
            log = f"{scratch}/server-{count}.log"
            command = line.rstrip().removesuffix("&").rstrip()
            # A page that reads the server's log has it elsewhere.
            errors = "" if "2>" in command else " 2>&1"
            out.append(f"{command} >{log}{errors} &\nawait_listening {log} $!")
        else:
            out.append(line)
    return "\n".join(out) + "\n"


def run(page, root):
    """Runs one page; returns what went wrong, or None."""
    script = blocks(page.read_text())
    if not script.strip():
        return None
    with tempfile.TemporaryDirectory(prefix="guides-") as scratch:
        bin_folder = pathlib.Path(scratch, "bin")
        bin_folder.mkdir()
        (bin_folder / "bootstorm").symlink_to(os.environ["BOOTSTORM"])
        work = pathlib.Path(scratch, "work")
        work.mkdir()
        os.chmod(scratch, 0o755)
        (work / "tools").symlink_to(root / "tools")
        text = session(script, scratch)
        pathlib.Path(scratch, "prepare.sh").write_text(PREPARE)
        pathlib.Path(scratch, "page.sh").write_text(text)
        environment = dict(os.environ, PATH=f"{bin_folder}:{os.environ['PATH']}", HOME=str(work))
        inner = (f"sh {shlex.quote(scratch)}/prepare.sh && "
                 f"exec bash -x {shlex.quote(scratch)}/page.sh")
        with open(f"{scratch}/out", "w+") as out:
            try:
                status = subprocess.run(
                    ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", inner],
                    cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=out,
                    stderr=subprocess.STDOUT, timeout=SECONDS_MAX).returncode
            except subprocess.TimeoutExpired:
                status = f"no end within {SECONDS_MAX} s"
            out.seek(0)
            printed = out.read()
        if status == 0:
            return None
        return f"status {status}; its last lines:\n" + "\n".join(printed.splitlines()[-15:])


def main():
    root = pathlib.Path(sys.argv[1])
    pages = [root / "README.md", *sorted((root / "docs/guide").glob("*.md"))]
    if sys.argv[2:]:
        unknown = sorted(set(sys.argv[2:]) - {page.stem for page in pages})
        if unknown:
            print(f"guides: no page has this name: {', '.join(unknown)}", file=sys.stderr)
            return 1
        pages = [page for page in pages if page.stem in sys.argv[2:]]
    failed = 0
    for page in pages:
        trouble = run(page, root)
        print(f"guides: {page.relative_to(root)}: {trouble or 'ok'}", flush=True)
        failed += trouble is not None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
