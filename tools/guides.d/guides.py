"""Runs the ```sh blocks of README.md and docs/guide/*.md, each page in namespaces of its own.

The blocks of a page are one shell session, run as a reader pastes them: nothing is added. So a page
waits for each server that it starts, works in /tmp alone, and ends what it has started. What a page
expects to fail, it says itself: `! command`, or `command || true`.
"""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

SECONDS_MAX = 120

# Runs before each page, inside its namespaces: a network of one host, an empty /tmp, and folders
# that a page which would write there does not have.
PREPARE = """
set -eu
ip link set lo up
mount --bind "$BOOTSTORM" "$1/bin/bootstorm"
for folder in /tmp /srv /run; do mount -t tmpfs tmpfs $folder; done
mount -t proc proc /proc
"""

BEGIN = """
set -euo pipefail
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
"""

# A page ends its servers; they may finish what they do (--drain: 30 s).
END = """
for _ in $(seq 400); do
    [ -n "$(jobs -pr)" ] || break
    sleep 0.1
done
[ -z "$(jobs -pr)" ] || { echo "guides: the page leaves these running:"; jobs -l; exit 1; }
for left in /srv/* /tmp/*; do
    [ ! -e "$left" ] || { echo "guides: the page leaves $left"; exit 1; }
done
"""

SERVER = re.compile(r"\b(bootstorm (serve|relay)|tools/relay)\b.*&\s*$")
WAIT = re.compile(r"(until|while) ")


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


def unawaited(script):
    """The first line that starts a server and is not followed by one that waits for it."""
    lines = joined(script)
    for line, following in zip(lines, [*lines[1:], ""]):
        if SERVER.search(line) and "\n" not in line and not WAIT.match(following):
            return line
    return None


def run(page, root):
    """Runs one page; returns what went wrong, or None."""
    script = blocks(page.read_text())
    if not script.strip():
        return None
    line = unawaited(script)
    if line is not None:
        return f"does not wait until this server listens: {line}"
    # Not in /tmp, which each page has for itself.
    with tempfile.TemporaryDirectory(prefix="guides-", dir="/var/tmp") as scratch:
        os.chmod(scratch, 0o755)
        bin_folder = pathlib.Path(scratch, "bin")
        bin_folder.mkdir()
        (bin_folder / "bootstorm").touch()
        work = pathlib.Path(scratch, "work")
        work.mkdir()
        (work / "tools").symlink_to(root / "tools")
        pathlib.Path(scratch, "prepare.sh").write_text(PREPARE)
        pathlib.Path(scratch, "page.sh").write_text(BEGIN + script + END)
        environment = dict(os.environ, PATH=f"{bin_folder}:{os.environ['PATH']}", HOME=str(work))
        folder = shlex.quote(scratch)
        inner = f"sh {folder}/prepare.sh {folder} && exec bash -x {folder}/page.sh"
        with open(f"{scratch}/out", "w+") as out:
            try:
                status = subprocess.run(
                    ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child",
                     "sh", "-c", inner],
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
