"""What may stand as an origin: bootstorm itself, nginx, in.tftpd, dnsmasq.

The others are Debian's packages, unpacked into a folder and never installed; see
tools/shared/peers.py.
"""

import os
import socket

import bed
import net
import peers

CACHE = os.path.join(bed.ROOT, ".build-peers")
KINDS = ["bootstorm", "nginx", "tftpd-hpa", "dnsmasq"]


class TFTPOrigin:
    """One of the servers that tools/compare knows."""

    def __init__(self, server, address):
        self.server = server
        self.server.address, self.server.port = address, 69
        self.url = f"tftp://{address}/"

    def command(self, folder, _):
        # By default tftpd-hpa wants whole paths, and dnsmasq becomes a user that may not be known
        # here.
        if self.server.name == "tftpd-hpa":
            return [self.server.binary, "--foreground", "--ipv4", "--secure",
                    "--address", f"{self.server.address}:69", folder]
        if self.server.name == "dnsmasq":
            return [*self.server.command(folder), "--user=root", "--group="]
        return self.server.command(folder)

    def environment(self):
        return self.server.environment()

    def answers(self, host):
        """Whether it says anything to a request for what it does not have."""
        with host.inside():
            probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with probe:
            probe.settimeout(0.1)
            try:
                probe.sendto(b"\0\1is-there-anybody\0octet\0", (self.server.address, 69))
                return bool(probe.recv(1024))
            except OSError:
                return False


class NginxOrigin:
    """An HTTP server with ranges and ETags."""

    CONFIGURATION = """\
daemon off; master_process off; pid {scratch}/nginx.pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off; sendfile on;
    client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi; uwsgi_temp_path {scratch}/uwsgi; scgi_temp_path {scratch}/scgi;
    server {{ listen 80; root {folder}; }}
}}
"""

    def __init__(self, prefix, address):
        self.server = peers.Server(
            "nginx", "", f"{prefix}/usr/sbin/nginx", address, 80, peers.library_folders(prefix))
        self.address = address
        self.url = f"http://{address}/"

    def command(self, folder, scratch):
        path = os.path.join(scratch, "nginx.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.CONFIGURATION.format(scratch=scratch, folder=folder))
        return [self.server.binary, "-p", scratch, "-c", path, "-e", "stderr"]

    def environment(self):
        return self.server.environment()

    def answers(self, host):
        with host.inside():
            probe = socket.socket()
        with probe:
            return probe.connect_ex((self.address, 80)) == 0


def find(kind, program, address):
    """The origin of that kind, fetched if need be."""
    try:
        if kind == "nginx":
            return NginxOrigin(peers.unpacked("nginx", CACHE), address)
        server = (peers.find(kind, program, CACHE) if kind != "bootstorm" else
                  peers.Server(kind, "", program, address, 69))
        return TFTPOrigin(server, address)
    except peers.NotAvailable as reason:
        raise net.LabError(f"there is no {kind} here: {reason}") from reason
