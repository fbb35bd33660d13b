"""What the trials share: their folder, what a server takes up, and how much that may grow."""

import os
import shutil
import sys
import tempfile
import typing

import measure
from verdict import Verdict

GROWTH_MAX = 1.02
DESCRIPTORS_MORE_MAX = 8


def run(name, judge, root_mode=0o755):
    """Ends with the exit code. `judge` gets the program, a folder with `root` in it, a verdict.

    The folder stays where something fails.
    """
    program = os.path.abspath(os.environ["BOOTSTORM"])
    folder = tempfile.mkdtemp(prefix=f"bootstorm-{name}-")
    root = os.path.join(folder, "root")
    os.mkdir(root)
    os.chmod(folder, 0o755)
    os.chmod(root, root_mode)
    verdict = Verdict()
    judge(program, folder, verdict)
    if verdict.failed_count:
        print(f"the log is {log_path(folder)}")
    else:
        shutil.rmtree(folder)
    sys.exit(verdict.exit_code)


def log_path(folder):
    """Of the server."""
    return os.path.join(folder, "server.log")


def kilobytes(server, key):
    return measure.kilobytes(measure.read(f"/proc/{server.pid}/status"), key)


class Usage(typing.NamedTuple):
    """What a server's process takes up."""

    # KiB that are the process's own: what it has of files may go at any time.
    memory: int
    descriptors: int

    @staticmethod
    def of(server):
        return Usage(kilobytes(server, "RssAnon:"), len(os.listdir(f"/proc/{server.pid}/fd")))


def judge_growth(verdict, first, last):
    """From the first tenth of a trial to its end."""
    verdict.check(
        last.memory <= GROWTH_MAX * first.memory,
        f"memory: {first.memory:,} KiB after the first tenth, {last.memory:,} KiB at the end: "
        f"{last.memory / first.memory:.3f} times")
    verdict.check(
        last.descriptors <= first.descriptors + DESCRIPTORS_MORE_MAX,
        f"descriptors: {first.descriptors} after the first tenth, {last.descriptors} at the end")
