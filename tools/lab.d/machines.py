"""The machines of `tools/lab firmware`: what QEMU boots, and how it tells the digest of what it got."""

import hashlib
import os
import random
import re
import select
import shutil
import socket
import time
import zlib

import net

HERE = os.path.dirname(os.path.abspath(__file__))
IMAGE = "image"
SIZE_OFFSET = 32
SERVER = "10.0.0.1"
ROMS = "/usr/lib/ipxe/qemu"
MEMORY_MIB = 512
START_SECONDS = 20


def make_image(folder, byte_count):
    """The file that all clients fetch: a program for iPXE, and random bytes."""
    made = os.path.join(folder, "digest.o"), os.path.join(folder, "digest.bin")
    net.run("as", "--32", "-o", made[0], os.path.join(HERE, "digest.S"))
    net.run("objcopy", "--output-target=binary", "--only-section=.text", *made)
    with open(made[1], "rb") as file:
        content = bytearray(file.read())
    content += random.Random(byte_count).randbytes(byte_count - len(content))
    content[SIZE_OFFSET:SIZE_OFFSET + 4] = byte_count.to_bytes(4, "little")
    return bytes(content)


class Machine:
    """A client under QEMU. Subclasses say what it boots and what it prints."""

    title = ""
    # Its number on the network, and in the names of files.
    number = 0
    tag = ""
    # What is fetched besides the image and shown in a row of its own: (title, name).
    others = ()
    packages = ()
    architecture = "x86_64"
    # The file that DHCP names.
    boot_name = ""
    # How long until it asks for the image, on a slow computer.
    boot_seconds = 120

    @property
    def mac(self):
        return f"52:54:00:00:00:{self.number:02x}"

    @property
    def address(self):
        return f"10.0.0.{100 + self.number}"

    def card(self, model, rom=""):
        return ["-device", f"{model},netdev=lan,mac={self.mac},romfile={rom}"]

    def prepare(self, folder, image):
        """Puts what the machine boots into the folder that is served."""

    def arguments(self, scratch):
        """For QEMU, besides the network and the serial port."""
        raise NotImplementedError

    def converse(self, serial):
        """Says at the serial port what is needed to fetch the image."""

    def digest(self, image):
        """A pattern that only the right file brings to the serial port."""
        return hashlib.sha256(image).hexdigest()

    # What the machine prints when it has failed.
    failure = "(?!)"

    def missing(self):
        """The first program or file that is not here, or None."""
        for path in self.needs():
            if not (os.path.exists(path) or shutil.which(path)):
                return f"there is no {path} (Debian: {', '.join(self.packages)})"
        return None

    def needs(self):
        return [f"qemu-system-{self.architecture}"]


class IPXE(Machine):
    title = "iPXE (BIOS)"
    number, tag = 1, "ipxe"
    packages = ("qemu-system-x86", "ipxe-qemu", "binutils")
    boot_name = "boot.ipxe"
    failure = "failed to fetch|Nothing to boot|No bootable device"

    def needs(self):
        return [*super().needs(), f"{ROMS}/pxe-e1000.rom", "as", "objcopy"]

    def prepare(self, folder, image):
        with open(os.path.join(folder, self.boot_name), "w", encoding="ascii") as file:
            file.write(f"#!ipxe\nkernel tftp://{SERVER}/{IMAGE} && boot ||\necho failed to fetch\n")

    def arguments(self, scratch):
        return [*bios_arguments(), *self.card("e1000", f"{ROMS}/pxe-e1000.rom")]

    def digest(self, image):
        return f"crc32 {zlib.crc32(image):08x}"


def bios_arguments():
    # SeaBIOS shows its screen on the serial port where the machine has no graphics.
    return ["-machine", "pc,graphics=off", "-vga", "none", "-boot", "order=n"]


MACHINES = {machine.tag: machine for machine in (IPXE,)}


class Serial:
    """The serial port of a machine, a socket of QEMU."""

    def __init__(self, path, process):
        self.process = process
        self.text = ""
        deadline = time.monotonic() + START_SECONDS
        self.socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if process.has_ended() or time.monotonic() > deadline:
                    raise net.LabError(f"QEMU does not start: {process.log().strip()}") from None
                time.sleep(0.02)

    def say(self, line):
        self.socket.sendall(line.encode() + b"\n")

    def wait(self, pattern, seconds, start=0):
        """Waits for a pattern behind `start`; returns the match, or None when the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            match = re.compile(pattern).search(self.text, start)
            if match:
                return match
            left = deadline - time.monotonic()
            if left <= 0 or not self.read(min(left, 1)):
                return None

    def read(self, seconds):
        """False when QEMU has closed the port."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return True
        packet = self.socket.recv(65_536)
        self.text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", packet.decode("latin1"))
        return bool(packet)

    def close(self):
        self.socket.close()


def qemu(machine, tap, scratch, serial):
    """The command that runs a machine."""
    return [
        f"qemu-system-{machine.architecture}", "-accel", "tcg", "-m", str(MEMORY_MIB), "-nodefaults",
        "-no-reboot", "-display", "none", "-monitor", "none",
        "-netdev", f"tap,id=lan,ifname={tap},script=no,downscript=no",
        "-chardev", f"socket,id=serial,path={serial},server=on,wait=off", "-serial", "chardev:serial",
        *machine.arguments(scratch)]
