"""Boots real firmware under QEMU, which fetches a file from Bootstorm and from other servers."""

import os
import time

import bed
import machines
import net
import origins
import wire

SERVERS = ["bootstorm", "dnsmasq", "atftpd"]
CANNOT_RUN = 77
HEADS = ["client", "server", "loss", "asked", "granted", "MB/s", "blocks", "sent again", "verdict"]


def run(settings):
    """The exit code."""
    able = list(able_machines(settings))
    reason = why_not(able)
    if reason:
        bed.say(f"firmware: skipped: {reason}")
        return CANNOT_RUN
    with Firmware(settings, able) as lab:
        held = lab.run()
    bed.table(HEADS, lab.rows)
    return 0 if held else 1


def able_machines(settings):
    for tag in settings.client:
        machine = machines.MACHINES[tag]()
        reason = machine.missing()
        if reason:
            bed.say(f"firmware: {machine.title} is left out: {reason}")
        else:
            yield machine


def why_not(able):
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "this process may not open /dev/net/tun"
    if not able:
        return "no client can run here"
    try:
        origins.find("dnsmasq", "", machines.SERVER)
    except net.LabError as error:
        return f"DHCP needs dnsmasq: {error}"
    return None


class Firmware(net.Lab):
    """A server, 10.0.0.1, and a client on a cable: a QEMU behind a bridge."""

    def __init__(self, settings, chosen):
        super().__init__(settings)
        self.machines = chosen
        self.rows = []
        self.held = True

    def run(self):
        self.build()
        for loss in self.settings.loss:
            for kind in self.settings.server:
                self.serve(kind, loss)
        return self.held

    def build(self):
        self.root = os.path.join(self.folder, "root")
        os.mkdir(self.root)
        self.image = machines.make_image(self.folder, self.settings.image_size)
        with open(os.path.join(self.root, machines.IMAGE), "wb") as file:
            file.write(self.image)
        for machine in self.machines:
            machine.prepare(self.root, self.image)
        self.server = self.network.host("server")
        self.client = self.network.host("client")
        self.client.ip("link", "add", "switch", "type", "bridge")
        self.server.cable("lan", self.client, "uplink", f"{machines.SERVER}/24")
        self.client.ip("tuntap", "add", "tap", "mode", "tap")
        for interface in ("uplink", "tap"):
            self.client.ip("link", "set", interface, "master", "switch")
            self.client.ip("link", "set", interface, "up")
        self.client.ip("link", "set", "switch", "up")
        self.start_dhcp()

    def start_dhcp(self):
        program = origins.find("dnsmasq", "", machines.SERVER).server
        hosts = [
            word for machine in self.machines for word in (
                f"--dhcp-host={machine.mac},{machine.address},set:{machine.tag}",
                f"--dhcp-boot=tag:{machine.tag},{machine.boot_name},,{machines.SERVER}")]
        dhcp = self.server.start(
            "dhcp", program.binary, "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=",
            "--log-facility=-", "--user=root", "--group=", "--port=0", "--interface=lan",
            "--dhcp-authoritative", "--dhcp-range=10.0.0.0,static",
            f"--dhcp-leasefile={self.folder}/leases", *hosts, environment=program.environment())
        dhcp.wait_for(lambda: "DHCP, static leases" in dhcp.log())

    def serve(self, kind, loss):
        """All machines against one server, on a path that loses so much in both directions."""
        address = "127.0.0.1" if loss else machines.SERVER
        try:
            server = origins.find(kind, self.program, address)
        except net.LabError as error:
            bed.say(f"firmware: {error}")
            return
        name = f"{kind}-{loss or 'whole'}"
        running = [self.server.start(
            name, *server.command(self.root, self.folder), environment=server.environment())]
        try:
            running[0].wait_for(lambda: server.answers(self.server))
            if loss:
                running.append(self.start_relay(loss))
            for machine in self.machines:
                self.boot(machine, kind, loss)
        finally:
            net.end_all(running)

    def start_relay(self, loss):
        relay = self.server.start(
            "relay", self.program, "relay", "--listen", f"{machines.SERVER}:69",
            "--server", "127.0.0.1:69", "--impair", f"loss={loss}", "--seed", str(self.settings.seed))
        relay.wait_until_listening()
        return relay

    def boot(self, machine, kind, loss):
        """Runs one machine until it has told the digest of what it has got, and adds its rows."""
        cable = wire.Wire(self.server, "lo" if loss else "lan")
        path = os.path.join(self.folder, "serial")
        process = self.client.start("qemu", *machines.qemu(machine, "tap", self.folder, path))
        started = time.monotonic()
        try:
            serial = machines.Serial(path, process)
            verdict = self.watch(machine, serial, started)
        finally:
            process.kill()
            missed = cable.close()
        self.keep(f"{machine.tag}-{kind}-{loss or 'whole'}", serial.text)
        serial.close()
        if verdict != "right" and kind == "bootstorm":
            self.held = False
            bed.say(f"{machine.title} printed:\n{serial.text[-2000:]}")
        seconds = time.monotonic() - started
        for title, name in ((machine.title, machines.IMAGE), *machine.others):
            self.rows.append(row(title, kind, loss, cable.of(name), verdict, missed))
        bed.say(f"{machine.title}, {kind}, loss {loss or 'none'}: {verdict} after {seconds:.0f} s")

    def watch(self, machine, serial, started):
        deadline = started + machine.boot_seconds + self.settings.seconds
        machine.converse(serial, machine.boot_seconds)
        found = serial.wait(
            f"(?P<right>{machine.digest(self.image)})|{machine.failure}", deadline - time.monotonic())
        if not found:
            return f"no digest after {time.monotonic() - started:.0f} s"
        return "right" if found["right"] else "failed"

    def keep(self, name, text):
        if self.settings.logs:
            with open(os.path.join(self.settings.logs, f"{name}.serial"), "w", encoding="latin1") as file:
                file.write(text)


def row(title, kind, loss, transfer, verdict, missed):
    if not transfer:
        return [title, kind, loss or "none", "", "", "", "", "", f"{verdict}; it did not ask"]
    again = f"{transfer.blocks_again}" + (f" (without {missed} packets not seen)" if missed else "")
    if transfer.error:
        verdict += f"; {transfer.error}"
    return [title, kind, loss or "none", words(transfer.asked), words(transfer.granted),
            f"{transfer.rate:.2f}", len(transfer.blocks), again, verdict]


def words(options):
    return " ".join(f"{name} {value}" for name, value in options.items()) or "nothing"
