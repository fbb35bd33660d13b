"""The machines of `tools/lab firmware`: what QEMU boots, and how it tells what it got."""

import hashlib
import io
import os
import random
import re
import select
import shutil
import socket
import tarfile
import tempfile
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

    def card(self, model, rom="", more=""):
        return ["-device", f"{model},netdev=lan,mac={self.mac},romfile={rom}{more}"]

    def prepare(self, folder, image):
        """Puts what the machine boots into the folder that is served."""

    def arguments(self, scratch):
        """For QEMU, besides the network and the serial port."""
        raise NotImplementedError

    def converse(self, serial, seconds):
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


class GRUB(Machine):
    """GRUB checks the file by itself; subclasses say from what it is booted."""

    platform = ""
    # Besides those that the check needs.
    modules = ()
    failure = "error: |Nothing to boot|No bootable device|Start PXE over IPv6"

    def needs(self):
        return [*super().needs(), "grub-mkimage", f"/usr/lib/grub/{self.folder}/hashsum.mod"]

    @property
    def folder(self):
        return self.platform.removesuffix("-pxe")

    def prepare(self, folder, image):
        with tempfile.TemporaryDirectory() as scratch:
            script = os.path.join(scratch, "early.cfg")
            with open(script, "w", encoding="ascii") as file:
                file.write("serial\nterminal_output serial\n" + self.script())
            net.run("grub-mkimage", "--format", self.platform, "--prefix", "/", "--config", script,
                    "--output", os.path.join(folder, self.boot_name), *self.extra(scratch, image),
                    "tftp", "serial", "terminal", "hashsum", "gcry_sha256", "echo", *self.modules)

    def script(self):
        return f"sha256sum (tftp,{SERVER})/{IMAGE}\n"

    def extra(self, scratch, image):
        return []


class GRUBBIOS(GRUB):
    title = "GRUB (BIOS)"
    number, tag = 2, "grub"
    packages = ("qemu-system-x86", "ipxe-qemu", "grub-common", "grub-pc-bin", "binutils")
    platform = "i386-pc-pxe"
    modules = ("pxe",)
    boot_name = "core.0"

    def arguments(self, scratch):
        return [*bios_arguments(), *self.card("e1000", f"{ROMS}/pxe-e1000.rom")]


class GRUBEFI(GRUB):
    """EDK II fetches GRUB with a copy of the image in it, and GRUB checks both."""

    title = "GRUB (EFI)"
    number, tag = 3, "edk2"
    packages = ("qemu-system-x86", "ovmf", "grub-common", "grub-efi-amd64-bin", "binutils")
    platform = "x86_64-efi"
    modules = ("efinet", "memdisk", "tar")
    boot_name = "grubx64.efi"
    others = (("EDK II", boot_name),)
    variables = "/usr/share/OVMF/OVMF_VARS_4M.fd"
    code = "/usr/share/OVMF/OVMF_CODE_4M.fd"

    def needs(self):
        return [*super().needs(), self.code, self.variables]

    def script(self):
        return f"sha256sum (memdisk)/{IMAGE}\n" + super().script()

    def extra(self, scratch, image):
        disk = os.path.join(scratch, "disk.tar")
        with tarfile.open(disk, "w") as archive:
            entry = tarfile.TarInfo(IMAGE)
            entry.size = len(image)
            archive.addfile(entry, io.BytesIO(image))
        return ["--memdisk", disk]

    def arguments(self, scratch):
        variables = os.path.join(scratch, "variables.fd")
        shutil.copyfile(self.variables, variables)
        flash = "if=pflash,format=raw"
        return ["-machine", "q35", "-drive", f"{flash},unit=0,readonly=on,file={self.code}",
                "-drive", f"{flash},unit=1,file={variables}",
                *self.card("virtio-net-pci", more=",bootindex=1")]

    def digest(self, image):
        right = super().digest(image)
        return rf"{right}\s+\(memdisk\)(.|\n)*{right}\s+\(tftp"


class UBoot(Machine):
    title = "U-Boot"
    number, tag = 4, "uboot"
    packages = ("qemu-system-x86", "u-boot-qemu", "binutils")
    architecture = "i386"
    rom = "/usr/lib/u-boot/qemu-x86/u-boot.rom"
    windowsize = 1
    place = 0x4000000
    failure = "Retry count exceeded|TFTP error|Unknown command"

    def needs(self):
        return [*super().needs(), self.rom]

    def arguments(self, scratch):
        return ["-machine", "pc", "-bios", self.rom, *self.card("e1000")]

    def converse(self, serial, seconds):
        commands = [
            "setenv autoload no", "dhcp", f"setenv serverip {SERVER}",
            f"setenv tftpwindowsize {self.windowsize}",
            f"tftpboot {self.place:x} {IMAGE} && crc32 {self.place:x} ${{filesize}}"]
        serial.wait("Hit any key", seconds)
        serial.say("")
        start = 0
        for command in commands:
            prompt = serial.wait("=> $", seconds, start)
            if not prompt:
                return
            start = prompt.end()
            serial.say(command)

    def digest(self, image):
        return f"==> {zlib.crc32(image):08x}"


class UBootWindow(UBoot):
    title = "U-Boot, window 16"
    number, tag = 5, "uboot16"
    windowsize = 16


MACHINES = {machine.tag: machine for machine in (IPXE, GRUBBIOS, GRUBEFI, UBoot, UBootWindow)}


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
