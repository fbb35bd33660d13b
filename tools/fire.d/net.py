"""The two networks of a fire: honest clients on one cable, forged senders on the other.

The server's machine is a network namespace; so is the outside, which holds every address of both networks (a local
route), so that a kernel answers for the forged addresses as real machines would: with ICMP port unreachable.
"""

import ctypes
import os
import subprocess

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x4000_0000
HONEST = "10.64.0.0/16"
HONEST_SERVER = "10.64.0.1"
HONEST_CLIENT = "10.64.0.2"
FORGED = "10.128.0.0/9"
FORGED_SERVER = "10.128.0.1"
ETHERNET_BYTES = 14


def run(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


class Network:
    """Both namespaces; `with` removes them."""

    def __init__(self):
        self.server = f"bootstorm-fire-{os.getpid()}-server"
        self.outside = f"bootstorm-fire-{os.getpid()}-outside"

    def __enter__(self):
        for name in (self.server, self.outside):
            run("ip", "netns", "add", name)
            run("ip", "-netns", name, "link", "set", "lo", "up")
        self.cable("honest", HONEST_SERVER, HONEST)
        self.cable("forged", FORGED_SERVER, FORGED)
        # Addresses that do not exist outside of this would be no test of a server.
        for word in ("all", "default", "honest", "forged"):
            self.sysctl(self.server, f"net/ipv4/conf/{word}/rp_filter", "0")
        return self

    def __exit__(self, *_):
        for name in (self.server, self.outside):
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL, check=False)

    def cable(self, name, address, network):
        length = network.split("/")[1]
        run("ip", "-netns", self.server, "link", "add", name, "type", "veth",
            "peer", "name", name, "netns", self.outside)
        run("ip", "-netns", self.server, "address", "add", f"{address}/{length}", "dev", name)
        for side in (self.server, self.outside):
            run("ip", "-netns", side, "link", "set", name, "up")
        run("ip", "-netns", self.outside, "route", "add", "local", network, "dev", "lo")
        run("ip", "-netns", self.outside, "route", "add", f"{address}/32", "dev", name,
            "src", HONEST_CLIENT if name == "honest" else "10.128.0.2")
        # One machine answers for all addresses there: no ARP for ten thousand of them.
        for side, other, whom in ((self.server, self.outside, "gateway"), (self.outside, self.server, "server")):
            hardware = self.hardware(other, name)
            if whom == "server":
                run("ip", "-netns", side, "neigh", "replace", address, "lladdr", hardware, "dev", name)
            else:
                gateway = address.rsplit(".", 1)[0] + ".254"
                run("ip", "-netns", side, "neigh", "replace", gateway, "lladdr", hardware, "dev", name)
                run("ip", "-netns", side, "route", "replace", network, "via", gateway, "dev", name, "onlink",
                    "src", address)

    def hardware(self, side, name):
        words = subprocess.run(["ip", "-netns", side, "link", "show", "dev", name], check=True,
                               capture_output=True, text=True).stdout.split()
        return words[words.index("link/ether") + 1]

    def sysctl(self, side, key, value):
        run("ip", "netns", "exec", side, "sh", "-c", f"echo {value} >/proc/sys/{key}")

    def command(self, side, *words):
        return ["ip", "netns", "exec", side, *words]

    def enter_outside(self):
        """This process is outside from now on."""
        with open(f"/run/netns/{self.outside}", "rb") as file:
            if LIBC.setns(file.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def sent_to_forged(self):
        """Datagrams and IP bytes that the server's machine has sent to the forged network."""
        text = subprocess.run(
            self.command(self.server, "cat", "/proc/net/dev"), check=True, capture_output=True, text=True).stdout
        for line in text.splitlines():
            if line.strip().startswith("forged:"):
                words = line.split(":")[1].split()
                return int(words[9]), int(words[8]) - ETHERNET_BYTES * int(words[9])
        raise RuntimeError("no counters of the forged network")
