"""Forged and malformed datagrams: what they are, and how they get onto the cable."""

import random
import socket
import struct
import time

OPTIONS = [b"blksize", b"windowsize", b"timeout", b"tsize", b"offset", b"length", b"seal", b"multicast", b"x"]
VALUES = [b"0", b"1", b"8", b"512", b"1468", b"65464", b"65535", b"4294967296", b"18446744073709551616", b"-1", b"",
          b"9" * 60]
UDP = 17


def request(opcode, name, *options, mode=b"octet"):
    packet = struct.pack("!H", opcode) + name + b"\0" + mode + b"\0"
    for option in options:
        packet += option + b"\0"
    return packet


def kinds(draw, name):
    """One datagram of each kind, by its name in the report."""
    block = struct.pack("!H", draw.choice([0, 1, 2, 65535]))
    options = [word for _ in range(draw.randrange(1, 6)) for word in (draw.choice(OPTIONS), draw.choice(VALUES))]
    return {
        "RRQ": request(1, name),
        "RRQ of large blocks": request(1, name, b"blksize", b"65464", b"windowsize", b"64", b"tsize", b"0"),
        "RRQ of odd options": request(1, name, *options),
        "RRQ of 60 options": request(1, name, *[b"x%d" % n for n in range(120)]),
        "RRQ of no file": request(1, b"no%d" % draw.randrange(100000)),
        "RRQ of no name": request(1, b""),
        "RRQ of a long name": request(1, b"n" * draw.choice([255, 256, 400, 1000])),
        "RRQ that climbs": request(1, b"../" * draw.randrange(1, 20) + b"etc/passwd"),
        "RRQ sealed, replayed": request(1, name, b"seal", b"k1." + b"A" * 64),
        "WRQ": request(2, b"u%d" % draw.randrange(1000), b"blksize", b"1468"),
        "DATA": b"\0\3" + block + bytes(draw.choice([0, 1, 512, 1400])),
        "ACK": b"\0\4" + block,
        "ERROR": b"\0\5" + block + draw.choice([b"", b"no\0", b"Wrong block\0"]),
        "ERROR malformed": draw.choice([b"\0\5", b"\0\5\0", b"\0\5\0\1", b"\0\5\0\0no end"]),
        "OACK": b"\0\6blksize\0" + b"512\0",
        "empty": b"",
        "short": draw.choice([b"\0", b"\0\1", b"\0\1f", b"\0\1f\0", b"\0\1f\0octet", b"\1\0f\0octet\0"]),
        "noise": draw.randbytes(draw.randrange(1, 1200)),
    }


class Forger:
    """Sends datagrams of addresses that are not ours, at a steady rate."""

    TEMPLATES = 4000

    def __init__(self, target, port, name, sources, seed, only=()):
        draw = random.Random(seed)
        self.target = (target, port)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        addresses = [self.address(draw) for _ in range(sources)]
        self.packets = []
        self.source_count = sources
        self.templates = [
            [packet for kind, packet in kinds(draw, name).items() if not only or kind in only]
            for _ in range(self.TEMPLATES // 18)]
        destination = socket.inet_aton(target)
        for index in range(max(sources, self.TEMPLATES)):
            payload = draw.choice(draw.choice(self.templates))
            self.packets.append(self.packet(addresses[index % sources], destination, port, payload, draw))
        draw.shuffle(self.packets)
        self.sent_count = self.sent_bytes = 0

    @staticmethod
    def address(draw):
        # One in a hundred is an address to which nothing may be sent: broadcast, multicast, ours.
        special = draw.random()
        if special < 0.004:
            return socket.inet_aton(draw.choice(["255.255.255.255", "10.255.255.255", "224.0.0.1", "0.0.0.0",
                                                 "10.64.255.255", "127.0.0.1"]))
        return struct.pack("!I", (10 << 24) + (1 << 23) + draw.randrange(1 << 8, (1 << 23) - 256))

    @staticmethod
    def packet(source, destination, port, payload, draw):
        sender = 0 if draw.random() < 0.01 else draw.choice([69, port, draw.randrange(1024, 65536)])
        length = 28 + len(payload)
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, length, 0, 0, 64, UDP, 0, source, destination)
        # No checksum of UDP is no wrong one (RFC 768).
        return header + struct.pack("!HHHH", sender, port, 8 + len(payload), 0) + payload

    def run(self, count, seconds):
        """Sends `count` datagrams evenly over `seconds`; the packets take turns."""
        began = time.monotonic()
        send, target, packets = self.socket.sendto, self.target, self.packets
        while self.sent_count < count:
            due = min(count, int(count * min(1.0, (time.monotonic() - began) / seconds)))
            if due <= self.sent_count:
                time.sleep(0.002)
                continue
            for index in range(self.sent_count, due):
                packet = packets[index % len(packets)]
                try:
                    send(packet, target)
                    self.sent_bytes += len(packet)
                except OSError:
                    # A full queue: it is counted as not sent.
                    pass
            self.sent_count = due
        return time.monotonic() - began
