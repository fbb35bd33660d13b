"""Processes that the tools start: pinned to cores, in a session of their own, ended as a group."""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import time

# How long a process may take to end when it is told to.
STOP_SECONDS = 2

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


class Process:
    """A process in a session of its own, so that a Ctrl-C is for the tool alone."""

    def __init__(self, command, *, cores=None, output=subprocess.DEVNULL, errors=None,
                 environment=None, prepare=lambda: None, pass_fds=()):
        def begin():
            if cores:
                os.sched_setaffinity(0, cores)
            raise_file_limit()
            prepare()

        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
            text=True, env=environment, preexec_fn=begin, start_new_session=True, pass_fds=pass_fds)
        self.pid = self.process.pid

    def has_ended(self):
        """Looks without reaping: while the leader is a zombie, its group cannot be reused."""
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        if self.process.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.pid, flags) is not None

    def wait(self, seconds):
        """Waits for the end; returns whether it has come."""
        deadline = time.monotonic() + seconds
        while not self.has_ended() and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.has_ended()

    def signal(self, number):
        """Signals the process and its children."""
        if self.process.returncode is not None:
            return
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            # A server that has become another user's may not be ours to signal: its leader is.
            send_signal(self.pid, number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def end(self, seconds=STOP_SECONDS):
        self.signal(signal.SIGTERM)
        self.wait(seconds)
        self.kill()

    def listening(self, log=None):
        """Waits until `bootstorm serve` listens; returns its address and port.

        Needs a pipe as output. `log`: the file that says why it does not.
        """
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            raise SystemExit("bootstorm does not start" + (f": {read(log)}" if log else ""))
        address, _, port = line.split()[-1].rpartition(":")
        return address, int(port)


def end_with_parent():
    # If the tool is killed, no other process would end this one.
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def send_signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def raise_file_limit():
    """A socket for each of 10,000 transfers must not fail for want of descriptors."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(hard, 65_536) if os.geteuid() == 0 else hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    except (OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def last_line(text):
    lines = (text or "").strip().splitlines()
    return lines[-1] if lines else "it prints nothing"


def read(path):
    """The content, or nothing where the process has ended meanwhile."""
    try:
        with open(path, encoding="utf8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        return udp.getsockname()[1]


def is_bound_within(seconds, port, process):
    """Whether a UDP socket is bound to the port before the time is over or the process ends."""
    deadline = time.monotonic() + seconds
    while f":{port:04X} " not in read("/proc/net/udp"):
        if process.has_ended() or time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True
