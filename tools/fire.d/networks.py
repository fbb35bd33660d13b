"""The two networks of a fire: honest clients on one cable, forged senders on the other.

The server's machine is a network namespace; so is the outside, which holds every address of both
networks (a local route), so that a kernel answers for the forged addresses as real machines would:
with ICMP port unreachable.
"""

import net

HONEST = "10.64.0.0/16"
HONEST_SERVER = "10.64.0.1"
HONEST_CLIENT = "10.64.0.2"
FORGED = "10.128.0.0/9"
FORGED_SERVER = "10.128.0.1"
FORGED_CLIENT = "10.128.0.2"
ETHERNET_BYTES = 14
SERVER_MAC = "02:00:00:00:00:01"
OUTSIDE_MAC = "02:00:00:00:00:02"


class Networks(net.Network):
    def build(self):
        self.server, self.outside = self.host("server"), self.host("outside")
        self.connect("honest", HONEST_SERVER, HONEST, HONEST_CLIENT)
        self.connect("forged", FORGED_SERVER, FORGED, FORGED_CLIENT)
        # Addresses that do not exist outside of this would be no test of a server.
        with self.server.inside():
            for word in ("all", "default", "honest", "forged"):
                with open(f"/proc/sys/net/ipv4/conf/{word}/rp_filter", "w", encoding="ascii") as file:
                    file.write("0")

    def connect(self, name, server, network, client):
        self.server.cable(name, self.outside, name, f"{server}/{network.split('/')[1]}")
        self.outside.ip("route", "add", "local", network, "dev", "lo")
        self.outside.ip("route", "add", f"{server}/32", "dev", name, "src", client)
        # One machine answers for all addresses there: no ARP for ten thousand of them.
        gateway = server.rsplit(".", 1)[0] + ".254"
        for host, own, other, address in ((self.server, SERVER_MAC, OUTSIDE_MAC, gateway),
                                          (self.outside, OUTSIDE_MAC, SERVER_MAC, server)):
            host.ip("link", "set", "dev", name, "address", own)
            host.ip("neigh", "replace", address, "lladdr", other, "dev", name)
        self.server.ip("route", "replace", network, "via", gateway, "dev", name, "onlink", "src", server)

    def sent_to_forged(self):
        """Datagrams and IP bytes that the server's machine has sent to the forged network."""
        traffic = self.server.traffic("forged")
        return traffic.sent_packets, traffic.sent_bytes - ETHERNET_BYTES * traffic.sent_packets
