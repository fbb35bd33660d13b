"""A client of few lines: what it fetches, it compares."""

import hashlib
import socket
import struct
import time

BLKSIZE = 1428
WINDOWSIZE = 8
SECONDS = 2
TRIES = 5
DIGEST_BYTES = 32

DATA, ACK, ERROR, OACK = 3, 4, 5, 6
NOT_FOUND = 1


def sealed_by_digest(body):
    """What a file holds whose every version is known as whole: its digest, and the rest."""
    return hashlib.sha256(body).digest() + body


def is_whole(content):
    return content[:DIGEST_BYTES] == hashlib.sha256(content[DIGEST_BYTES:]).digest()


class Refused(RuntimeError):
    def __init__(self, number, text, name):
        super().__init__(f"ERROR {number} for {name!r}: {text}")
        self.number = number


class Transfer:
    """A client's side of one transfer: it repeats its last packet, and hears one server alone.

    `seconds`: of silence before it repeats. `tries`: how many of them it endures; `first_tries`:
    before the first answer. `waited`: the seconds until that.
    """

    def __init__(self, address, name, request, source="", seconds=SECONDS, tries=TRIES, first_tries=None):
        self.name, self.tries, self.first_tries = name, tries, first_tries or tries
        self.peer, self.waited, self.block = None, 0.0, 0
        self.began = time.monotonic()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((source, 0))
        self.socket.settimeout(seconds)
        self.address = address
        self.send(request)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, packet):
        self.last = packet
        self.socket.sendto(packet, self.peer or self.address)

    def acknowledge(self):
        self.send(struct.pack("!HH", ACK, self.block & 0xFFFF))

    def packets(self):
        """Of each packet of the server the opcode, the block's number, and the packet."""
        silence_count = 0
        while True:
            try:
                packet, sender = self.socket.recvfrom(2048)
            except socket.timeout:
                silence_count += 1
                if silence_count == (self.tries if self.peer else self.first_tries):
                    raise RuntimeError(f"silence after block {self.block} of {self.name!r}") from None
                self.send(self.last)
                continue
            if self.peer is None:
                self.peer, self.waited = sender, time.monotonic() - self.began
            if sender != self.peer:
                self.socket.sendto(b"\0\5\0\5wrong TID\0", sender)
                continue
            silence_count = 0
            opcode, number = struct.unpack("!HH", packet[:4])
            if opcode == ERROR:
                raise Refused(number, packet[4:-1].decode("latin1"), self.name)
            yield opcode, number, packet

    def receive(self, windowsize):
        """The content of a file. The request has the option blksize."""
        parts, blksize = [], 512
        for opcode, number, packet in self.packets():
            if opcode == OACK:
                words = packet[2:].split(b"\0")
                blksize = int(dict(zip(words[0::2], words[1::2])).get(b"blksize", 512))
                self.acknowledge()
            elif opcode == DATA and number == (self.block + 1) & 0xFFFF:
                parts.append(packet[4:])
                self.block += 1
                is_last = len(packet) < 4 + blksize
                if is_last or self.block % windowsize == 0:
                    self.acknowledge()
                else:
                    self.last = struct.pack("!HH", ACK, self.block & 0xFFFF)
                if is_last:
                    return b"".join(parts)


def fetch(address, name, source=""):
    """The content, or None where there is no such file. `source`: the client's address."""
    request = b"\0\1" + name + b"\0octet\0blksize\0%d\0windowsize\0%d\0" % (BLKSIZE, WINDOWSIZE)
    with Transfer(address, name, request, source) as transfer:
        try:
            return transfer.receive(WINDOWSIZE)
        except Refused as refusal:
            if refusal.number == NOT_FOUND:
                return None
            raise


def store(address, name, content):
    """Uploads, with blocks of 512 bytes."""
    block_count = len(content) // 512 + 1
    with Transfer(address, name, b"\0\2" + name + b"\0octet\0") as transfer:
        for _, number, _ in transfer.packets():
            if number != transfer.block & 0xFFFF:
                continue
            if transfer.block == block_count:
                return
            begin = 512 * transfer.block
            transfer.block += 1
            transfer.send(struct.pack("!HH", DATA, transfer.block & 0xFFFF) + content[begin:begin + 512])
