"""Runs the labs: `racks N`, a hall of N racks with a node and clients each, `firmware`, `fleet`,
`misses`, `announcements`, `origins`.
"""

import argparse
import os
import signal
import sys

import announcements
import bed
import firmware
import fleet_trials
import machines
import misses
import net
import origins
import trials
import web

UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
RACKS_MAX = 200
WEB_SERVERS = ["nginx", "apache", "python", "s3", "oci"]


def main():
    settings = parse()
    if settings.check:
        print(*settings.packages)
        return 0
    for number in net.ENDING_SIGNALS:
        signal.signal(number, end)
    try:
        return settings.run(settings)
    except net.LabError as error:
        bed.say(f"tools/lab: {error}")
        return 1


def run_racks(settings):
    verdict = trials.Verdict()
    chosen = [function for name, (function, _) in trials.TRIALS.items()
              if getattr(settings, name.replace("-", "_"))]
    for trial in chosen or [trials.cold]:
        trial(settings, verdict)
    return 0 if verdict.show() else 1


def end(number, _):
    sys.exit(128 + number)


def parse():
    parser = Parser(
        prog="tools/lab", description="A lab of network namespaces on this machine.")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    commands = parser.add_subparsers(
        required=True, metavar="racks N | firmware | fleet | misses | announcements | origins")
    add_racks(commands)
    add_firmware(commands)
    add_fleet(commands)
    add_misses(commands)
    add_announcements(commands)
    add_origins(commands)
    words, node_flags = sys.argv[1:], []
    if "--" in words:
        words, node_flags = words[:words.index("--")], words[words.index("--") + 1:]
    settings = parser.parse_args(words)
    settings.node_flags = node_flags
    settings.complete(settings)
    if settings.logs:
        os.makedirs(settings.logs, exist_ok=True)
    return settings


def add_racks(commands):
    racks = commands.add_parser(
        "racks", description="N racks, a node and clients in each; all ask at once for one cold image.",
        epilog="What stands behind -- goes to each node's bootstorm serve, for instance -- --shards 2.")
    racks.add_argument("racks", metavar="N", type=count(RACKS_MAX), help="how many racks")
    for name, (_, text) in trials.TRIALS.items():
        racks.add_argument(f"--{name}", action="store_true", help=text)
    racks.add_argument("--clients", type=count(10_000), help="clients a rack; default 40")
    racks.add_argument("--image-size", type=size, help="of the file; default 256M")
    racks.add_argument("--quick", action="store_true", help="4 clients a rack, 32M, and times are not judged")
    racks.add_argument("--origin-kind", choices=origins.KINDS, default="bootstorm",
                       help="what the origin is; default bootstorm")
    racks.add_argument("--client", metavar="KIND",
                       help="what the clients imitate (bootstorm bench --list-clients); default plain")
    racks.add_argument("--blksize", type=count(65464), default=1468, help="of plain clients; default 1468")
    racks.add_argument("--windowsize", type=count(65535), default=64, help="of plain clients; default 64")
    racks.add_argument("--logs", metavar="FOLDER", help="keep the logs of all processes there")
    racks.set_defaults(run=run_racks, complete=complete_racks, packages=[])


def complete_racks(settings):
    settings.clients = settings.clients or (4 if settings.quick else 40)
    settings.image_size = settings.image_size or (32 if settings.quick else 256) << 20


def add_firmware(commands):
    boots = commands.add_parser(
        "firmware", description="Boots real firmware under QEMU from this server and from others.")
    boots.add_argument("--client", action="append", choices=machines.MACHINES, help="only this one; repeatable")
    boots.add_argument("--server", action="append", choices=firmware.SERVERS, help="only this one; repeatable")
    boots.add_argument("--loss", action="append", metavar="PERCENT",
                       help="lost in both directions; 0 for none; repeatable; default 0 and 0.1%%")
    boots.add_argument("--image-size", type=size, help="of the file; default 40M")
    boots.add_argument("--seconds", type=count(3600), help="for a transfer; default 300")
    boots.add_argument("--seed", type=count(1 << 31), default=1, help="of the losses; default 1")
    boots.add_argument("--quick", action="store_true", help="one client, 4M, only this server, with losses")
    boots.add_argument("--logs", metavar="FOLDER", help="keep the logs of all processes there")
    boots.set_defaults(run=firmware.run, complete=complete_firmware)


def complete_firmware(settings):
    settings.image_size = settings.image_size or (4 if settings.quick else 40) << 20
    settings.seconds = settings.seconds or (60 if settings.quick else 300)
    settings.client = settings.client or (["uboot16"] if settings.quick else list(machines.MACHINES))
    settings.server = settings.server or (["bootstorm"] if settings.quick else firmware.SERVERS)
    losses = settings.loss or (["1%"] if settings.quick else ["0", "0.1%"])
    settings.loss = [loss if loss.rstrip("%") != "0" else None for loss in losses]
    packages = {name for tag in settings.client for name in machines.MACHINES[tag].packages}
    settings.packages = sorted(packages)


def add_fleet(commands):
    fleet = commands.add_parser(
        "fleet", description="Nodes that follow three members of etcd, which are killed, stopped and cut off.")
    fleet.add_argument("--quick", action="store_true", help="4 nodes, 100 clients, 20 simulated nodes")
    fleet.add_argument("--nodes", type=count(100), help="how many nodes; default 12")
    fleet.add_argument("--clients", type=count(10_000), help="clients of a storm; default 1000")
    fleet.add_argument("--simulated", type=count(2_000), help="simulated nodes; default 200")
    fleet.add_argument("--logs", metavar="FOLDER", help="keep the logs of all processes there")
    fleet.set_defaults(run=fleet_trials.run, complete=complete_fleet, packages=["etcd-server"])


def complete_fleet(settings):
    quick = settings.quick
    settings.nodes = settings.nodes or (4 if quick else 12)
    settings.clients = settings.clients or (100 if quick else 1000)
    settings.simulated = settings.simulated or (20 if quick else 200)
    settings.switches = 1 if quick else 5
    settings.races = 1 if quick else 5
    settings.storm_seconds = 4 if quick else 12
    settings.steady_seconds = 2 if quick else 10
    settings.lease_seconds = 3 if quick else 15


def add_misses(commands):
    parser = commands.add_parser(
        "misses", description="A group of nodes, and names that none of them has: datagrams and times.")
    parser.add_argument("--quick", action="store_true", help="6 nodes, 100 names, and times are not judged")
    parser.add_argument("--nodes", type=count(200), help="how many nodes; default 40")
    parser.add_argument("--names", type=count(100_000), help="how many names; default 1000")
    parser.add_argument("--logs", metavar="FOLDER", help="keep the logs of all processes there")
    parser.set_defaults(run=misses.run, complete=complete_misses, packages=[])


def complete_misses(settings):
    settings.nodes = settings.nodes or (6 if settings.quick else 40)
    settings.names = settings.names or (100 if settings.quick else 1000)


def add_announcements(commands):
    parser = commands.add_parser(
        "announcements", description="Two nodes that find each other by multicast, on a link that comes late.")
    parser.add_argument("--logs", metavar="FOLDER", help="keep the logs of all processes there")
    parser.set_defaults(run=announcements.run, complete=lambda settings: None, packages=[])


def add_origins(commands):
    parser = commands.add_parser(
        "origins", description="What a node serves of a file that web servers have, compared with curl.")
    parser.add_argument("--kind", dest="kinds", action="append", choices=WEB_SERVERS, help="only this one; repeatable")
    parser.add_argument("--image-size", type=size, help="of the file; default 1G")
    parser.add_argument("--quick", action="store_true", help="python and oci, 64M, once each")
    parser.add_argument("--logs", metavar="FOLDER", help="keep the logs of all processes there")
    parser.set_defaults(run=web.run, complete=complete_origins, packages=["curl"])


def complete_origins(settings):
    settings.kinds = settings.kinds or (["python", "oci"] if settings.quick else WEB_SERVERS)
    settings.image_size = settings.image_size or (64 << 20 if settings.quick else 1 << 30)
    settings.rounds = 1 if settings.quick else 2


class Parser(argparse.ArgumentParser):
    """Ends with the code that all tools have for wrong usage."""

    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(64, f"{self.prog}: {message}\n")


def count(most):
    def parse_count(text):
        if not (text.isdecimal() and 1 <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 to {most}")
        return int(text)

    return parse_count


def size(text):
    digits, unit = (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "")
    if not digits.isdecimal() or int(digits) == 0 or unit not in {"", *UNITS}:
        raise argparse.ArgumentTypeError(f"'{text}' is no size, for instance 256M")
    return int(digits) * UNITS.get(unit, 1)


if __name__ == "__main__":
    sys.exit(main())
