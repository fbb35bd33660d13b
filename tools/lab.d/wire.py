"""What goes over a cable of the lab: each TFTP transfer, read from its packets."""

import socket
import struct
import threading
import time

BUFFER_BYTES = 64 << 20
PACKET_OUTGOING = 4
# Packets that go out are shown to sockets for all protocols only.
ETH_P_ALL, ETH_P_IP = 3, 0x0800
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_RCVBUFFORCE = 33
RRQ, DATA, ACK, ERROR, OACK = 1, 3, 4, 5, 6
TFTP_PORT = 69


class Transfer:
    """One read request and what came of it."""

    def __init__(self, name, asked):
        self.name = name
        self.asked = asked
        self.granted = {}
        self.error = None
        self.requests = 1
        self.acks = 0
        self.blocks_sent = 0
        self.blocks = set()
        self.highest = 0
        self.byte_count = 0
        self.first_at = None
        self.last_at = None

    @property
    def blksize(self):
        return int(self.granted.get("blksize", 512))

    @property
    def blocks_again(self):
        return self.blocks_sent - len(self.blocks)

    @property
    def seconds(self):
        return (self.last_at - self.first_at) if self.blocks else 0

    @property
    def rate(self):
        """Megabytes a second."""
        return self.byte_count / self.seconds / 1e6 if self.seconds else 0

    def data(self, payload, now):
        """What a server sent: one DATA, or several that the kernel has not yet cut up."""
        step = 4 + self.blksize
        for start in range(0, len(payload), step):
            wire = struct.unpack_from("!H", payload, start + 2)[0]
            self.block(wire, min(step, len(payload) - start) - 4, now)

    def block(self, wire, byte_count, now):
        # The block of this number that is nearest to the highest one.
        block = self.highest + (wire - self.highest + 32_768) % 65_536 - 32_768
        self.blocks_sent += 1
        if block not in self.blocks:
            self.first_at = self.first_at or now
            self.last_at = now
            self.blocks.add(block)
            self.highest = max(self.highest, block)
            self.byte_count += byte_count


class Wire(threading.Thread):
    """Reads the packets of an interface of `host` until `close`."""

    def __init__(self, host, interface):
        super().__init__(daemon=True)
        self.transfers = []
        self.by_client = {}
        self.is_closed = False
        # A loopback device shows each packet twice.
        self.only_outgoing = interface == "lo"
        with host.inside():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        self.socket.bind((interface, ETH_P_ALL))
        self.socket.settimeout(0.1)
        self.start()

    def close(self):
        """Returns how many packets were missed."""
        self.is_closed = True
        self.join()
        counts = self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        self.socket.close()
        return struct.unpack("II", counts)[1]

    def of(self, name):
        """The transfer that sent the most blocks of the file `name`, or None."""
        those = [transfer for transfer in self.transfers if transfer.name == name]
        return max(those, key=lambda transfer: len(transfer.blocks), default=None)

    def run(self):
        while True:
            try:
                frame, (_, _, direction, *_) = self.socket.recvfrom(70_000)
            except TimeoutError:
                if self.is_closed:
                    return
                continue
            except OSError:
                # The host is gone.
                return
            if direction == PACKET_OUTGOING or not self.only_outgoing:
                self.frame(frame, time.monotonic())

    def frame(self, frame, now):
        if len(frame) < 42 or struct.unpack_from("!H", frame, 12)[0] != ETH_P_IP:
            return
        start = 14 + (frame[14] & 15) * 4
        is_later_fragment = struct.unpack_from("!H", frame, 20)[0] & 0x1FFF
        if frame[23] != socket.IPPROTO_UDP or is_later_fragment or len(frame) < start + 12:
            return
        source_port, port, length = struct.unpack_from("!HHH", frame, start)
        source, target = (frame[26:30], source_port), (frame[30:34], port)
        payload = frame[start + 8:start + length]
        opcode = struct.unpack_from("!H", payload)[0]
        if port == TFTP_PORT and opcode == RRQ:
            self.request(source, payload)
        elif target in self.by_client:
            self.answer(self.by_client[target], opcode, payload, now)
        elif source in self.by_client and opcode == ACK:
            self.by_client[source].acks += 1
        elif source in self.by_client and opcode == ERROR:
            self.by_client[source].error = message(payload)

    def request(self, client, payload):
        words = payload[2:].split(b"\0")
        name, *options = [word.decode("latin1") for word in words if word]
        options = options[1:]
        asked = dict(zip(options[::2], options[1::2]))
        name = name.lstrip("/")
        last = self.by_client.get(client)
        if last and last.name == name and last.asked == asked and not last.acks:
            last.requests += 1
            return
        self.by_client[client] = Transfer(name, asked)
        self.transfers.append(self.by_client[client])

    @staticmethod
    def answer(transfer, opcode, payload, now):
        if opcode == OACK:
            words = [word.decode("latin1") for word in payload[2:].split(b"\0")]
            transfer.granted = dict(zip(words[::2], words[1::2]))
        elif opcode == DATA:
            transfer.data(payload, now)
        elif opcode == ERROR:
            transfer.error = message(payload)


def message(payload):
    code = struct.unpack_from("!H", payload, 2)[0]
    return f"ERROR {code} {payload[4:].rstrip(bytes(1)).decode('latin1')}"
