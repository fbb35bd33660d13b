"""What a server's process takes up."""

import os


class Watched:
    """A server whose `process` runs."""

    def memory(self):
        """KiB that are the process's own: what it has of files may go at any time."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))
