"""What is asked of every server."""

from dataclasses import dataclass, replace

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True)
class Scenario:
    name: str
    file_bytes: int
    clients: int
    transfers: int
    # No bench run takes longer. What has not ended by then is counted as unfinished.
    limit_seconds: float
    blksize: int | None = 1468
    windowsize: int | None = None
    gro: bool = False
    impair: str | None = None
    # Which figure the picture shows: bytes are not what costs in a storm of tiny files.
    shows_transfers: bool = False

    def bench_arguments(self):
        arguments = ["--clients", str(self.clients), "--transfers", str(self.transfers)]
        if self.blksize:
            arguments += ["--blksize", str(self.blksize)]
        if self.windowsize:
            arguments += ["--windowsize", str(self.windowsize)]
        if self.gro:
            arguments.append("--gro")
        if self.impair:
            arguments += ["--impair", self.impair]
        return arguments

    @property
    def is_storm(self):
        """Each machine boots once, and all at once."""
        return self.transfers == self.clients and self.clients > 1000

    def shrunk(self):
        """The same question in a few seconds: fewer bytes, fewer transfers, storms of a tenth."""
        if self.is_storm:
            few = self.clients // 10
            size = self.file_bytes // 2
            return replace(self, clients=few, transfers=few, file_bytes=size, limit_seconds=3)
        transfers = max(self.clients, self.transfers // 10)
        size = max(512, self.file_bytes // 4)
        return replace(self, transfers=transfers, file_bytes=size, limit_seconds=3)

    def describe(self):
        text = f"{self.clients:,} clients, {self.transfers:,} transfers of {self.shown_size()}"
        text += f", blksize {self.blksize or 512}"
        if self.windowsize:
            text += f", windowsize {self.windowsize}"
        if self.gro:
            text += ", clients with GRO"
        if self.impair:
            text += f", --impair {self.impair}"
        return text

    def shown_size(self):
        for unit, name in ((MIB, "MiB"), (KIB, "KiB")):
            if self.file_bytes >= unit:
                return f"{self.file_bytes // unit} {name}"
        return f"{self.file_bytes} bytes"


ALL = [
    Scenario("lockstep-512", 1 * MIB, 100, 100, 20, blksize=None),
    Scenario("lockstep-1468", 1 * MIB, 100, 200, 20),
    Scenario("window-4", 2 * MIB, 100, 200, 20, windowsize=4),
    Scenario("window-16", 2 * MIB, 100, 200, 20, windowsize=16),
    Scenario("window-64", 2 * MIB, 100, 200, 20, windowsize=64),
    Scenario("window-64-gro", 2 * MIB, 100, 400, 20, windowsize=64, gro=True),
    Scenario("small", 512, 200, 20_000, 20, shows_transfers=True),
    Scenario("storm-2000", 1 * MIB, 2000, 2000, 35),
    Scenario("storm-10000", 100 * KIB, 10_000, 10_000, 35),
    Scenario("loss-1", 64 * KIB, 100, 400, 20, impair="loss=1%"),
]
