"""Nodes that find each other by announcements, IPv4 and IPv6, on a link that comes late.

The links that the host had before may have gone.
"""

import os
import subprocess
import time

import net
from verdict import Verdict

# A node announces itself every five seconds; an IPv6 address is not used before it is known to be
# the only one.
FOUND_SECONDS = 30
GET_SECONDS = 30
# A socket may be in so many groups (igmp_max_memberships), and is in one for each link.
HEARD_LINKS = 20
GONE_LINKS = 25
GROUP = "239.255.69.69"
NAME = "image"
CONTENT = os.urandom(1 << 20)
# What the nodes listen on, where a client of the second one finds it, and their addresses.
TRIALS = [
    ("IPv4, every address", [":69", ":69"], "127.0.0.1", ["10.0.0.1/24", "10.0.0.2/24"]),
    ("IPv6, every address", ["[::]:69", "[::]:69"], "[::1]", ["fd69::1/64", "fd69::2/64"]),
    ("IPv6, link-local alone", ["[::]:69", "[::]:69"], "[::1]", []),
    ("IPv6, one address", ["[fd69::1]:69", "[fd69::2]:69"], "[fd69::2]", ["fd69::1/64", "fd69::2/64"]),
    # The first node is announced by IPv4 alone.
    (f"IPv4, after {GONE_LINKS} links that went", ["10.0.0.1:69", ":69"], "127.0.0.1",
     ["10.0.0.1/24", "10.0.0.2/24"], True),
]


class Pair(net.Lab):
    """Two hosts and a cable, whose second end is not plugged in yet."""

    def build(self, addresses):
        self.hosts = [self.network.host(name) for name in ("holder", "asker")]
        self.hosts[0].cable("lan", self.hosts[1], "lan")
        self.hosts[1].ip("link", "set", "lan", "down")
        for host, address in zip(self.hosts, addresses):
            host.ip("address", "add", address, "dev", "lan")
        self.plug_in = lambda: [
            self.hosts[1].ip("link", "set", "lan", "up"),
            # A link that goes down loses its IPv6 addresses.
            *(self.hosts[1].ip("address", "replace", address, "dev", "lan") for address in addresses[1:])]

    def build_after_others(self, addresses):
        """The same, but the cable comes when GONE_LINKS of the second host's links have gone."""
        self.hosts = [self.network.host(name) for name in ("holder", "asker")]
        asker = self.hosts[1]
        links = [f"gone{number}" for number in range(GONE_LINKS)]
        for number, link in enumerate(links):
            asker.ip("link", "add", link, "type", "veth", "peer", "name", f"{link}-end")
            asker.ip("address", "add", f"10.1.{number}.1/24", "dev", link)
            asker.ip("link", "set", link, "up")

        def plug_in():
            # As many links as the kernel allows are heard; then all of them go.
            wait_for(lambda: self.heard_count(asker) >= HEARD_LINKS)
            for link in links:
                asker.ip("link", "delete", link)
            self.hosts[0].cable("lan", asker, "lan")
            for host, address in zip(self.hosts, addresses):
                host.ip("address", "add", address, "dev", "lan")
        self.plug_in = plug_in

    def heard_count(self, host):
        """How many of the host's links are in the group of announcements."""
        shown = subprocess.run(
            ["ip", "-netns", host.namespace, "-4", "maddress", "show"],
            capture_output=True, text=True, check=True)
        return shown.stdout.count(GROUP)

    def start(self, number, listen):
        root = os.path.join(self.folder, f"root-{number}")
        os.mkdir(root)
        if number == 0:
            with open(os.path.join(root, NAME), "wb") as file:
                file.write(CONTENT)
        node = self.hosts[number].start(
            f"node-{number}", self.program, "serve", root, "--listen", listen, "--shards", 1,
            "--cache", "32M", "--drain", 0, "--announce")
        node.wait_until_listening()
        return node

    def is_found(self, node):
        deadline = time.monotonic() + FOUND_SECONDS
        while "has announced itself" not in node.log():
            if node.has_ended() or time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def fetch(self, address):
        """None, or why the file is not what it has to be."""
        target = os.path.join(self.folder, "fetched")
        done = subprocess.run(
            ["ip", "netns", "exec", self.hosts[1].namespace, self.program, "get", f"tftp://{address}/{NAME}",
             "--output", target], capture_output=True, text=True, timeout=GET_SECONDS, check=False)
        if done.returncode != 0:
            return net.last_line(done.stderr)
        with open(target, "rb") as file:
            return None if file.read() == CONTENT else "another content"


def wait_for(condition):
    deadline = time.monotonic() + FOUND_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise net.LabError(f"the links were not joined within {FOUND_SECONDS} s")
        time.sleep(0.05)


def run(settings):
    verdict = Verdict()
    for trial in TRIALS:
        attempt(settings, verdict, *trial)
    return verdict.exit_code


def attempt(settings, verdict, what, listen, address, addresses, comes_after_others=False):
    with Pair(settings) as pair:
        build = pair.build_after_others if comes_after_others else pair.build
        build(addresses)
        nodes = [pair.start(number, text) for number, text in enumerate(listen)]
        pair.plug_in()
        began = time.monotonic()
        problem = pair.fetch(address) if pair.is_found(nodes[1]) else f"not found within {FOUND_SECONDS} s"
        seconds = time.monotonic() - began
    verdict.check(problem is None, f"{what}: a file of the node that announced itself, "
                  f"{problem or f'fetched {seconds:.1f} s after the link came'}")
