"""`bootstorm serve` as the trials start it."""

import json
import socket
import subprocess

from processes import Process, end_with_parent

RELOAD_SECONDS = 60
# A server that is told to end lets its transfers end first.
DRAIN_SECONDS = 40


class Serving(Process):
    """Listens once this is made, and ends with the tool. `log`: a path for its messages."""

    def __init__(self, program, *words, log, control=None, prepare=lambda: None):
        def begin():
            prepare()
            end_with_parent()

        self.log, self.control = log, control
        controlled = ["--control", control] if control else []
        with open(log, "w", encoding="utf8") as errors:
            super().__init__([program, "serve", *words, *controlled], output=subprocess.PIPE,
                             errors=errors, prepare=begin)
        self.address = self.listening(log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end(DRAIN_SECONDS)

    def reload(self):
        """What the server answers, as JSON has it."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(RELOAD_SECONDS)
            control.connect(self.control)
            control.sendall(b'{"verb":"reload"}\n')
            return json.loads(control.makefile().readline())
