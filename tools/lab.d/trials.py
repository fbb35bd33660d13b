"""What is done to a group of racks, and what must hold then."""

import contextlib
import math
import mmap
import os
import time

import bed
import hall as halls

# Of a cold image, for each eight nodes: what the origin may send, headers and all.
ORIGIN_RATIO_MAX = 1.1
GROUP_SIZE = 8
SLOWEST_RATIO_MAX = 1.5
FIRST_DATA_SECONDS_MAX = 0.3
# Where in a file it is the middle.
MIDDLE = 0.25
# How long the cable between the halves is cut: where both have an origin, and where one has to
# wait.
LONG_CUT_SECONDS = 5
SHORT_CUT_SECONDS = 1
# How long a node may take to read a file that it holds.
CATALOGUE_SECONDS = 30


class Verdict:
    """What held and what did not."""

    def __init__(self):
        self.held = []
        self.failed = []

    def note(self, is_so, what):
        (self.held if is_so else self.failed).append(what)

    def complete(self, course, who):
        """Every client of the course has got the file, and every byte was right."""
        racks = course.failed_racks()
        self.note(not racks, f"{who} completed{but(racks)}")
        self.right(course)

    def right(self, course):
        racks = course.wrong_racks()
        if racks:
            self.note(False, f"every byte was right{but(racks)}")

    def frugal(self, course, settings, what, lost_ratio=0):
        """`lost_ratio` of the file has to be sent once more."""
        ratio = course.origin_ratio / math.ceil(settings.racks / GROUP_SIZE)
        most = ORIGIN_RATIO_MAX + lost_ratio
        self.note(ratio <= most, f"{what} {ratio:.3f} x the file (at most {most:.3g})")

    def show(self):
        parts = []
        if self.held:
            parts.append("held: " + "; ".join(self.held))
        if self.failed:
            parts.append("DID NOT HOLD: " + "; ".join(self.failed))
        print("\n" + ". ".join(parts), flush=True)
        return not self.failed


def but(racks):
    return f" (not so in rack {', '.join(map(str, racks))})" if racks else ""


@contextlib.contextmanager
def running(settings, prepare, origin_sides=("left",)):
    """A hall that serves, and the result of `prepare`, which puts the files into it."""
    with halls.Hall(settings) as hall:
        hall.build(origin_sides)
        prepared = prepare(hall)
        hall.start()
        yield hall, prepared


class Middle:
    """Does something once, as soon as a client has had a quarter of the file.

    `meters` are pairs: a function that says how many bytes have passed by now, and the one they
    passed. `lost_ratio` is what the origins had sent then, which may have been lost.
    """

    def __init__(self, hall, image, meters, act):
        self.meters = [(meter, meter(), who) for meter, who in meters]
        self.threshold = MIDDLE * image.byte_count
        self.act = act
        self.who = None
        self.lost_ratio = 0
        self.began_at = hall.origin_bytes()
        self.hall = hall
        self.image = image

    def __call__(self, storms):
        if self.who:
            return
        for meter, before, who in self.meters:
            if meter() - before > self.threshold:
                self.who = who
                self.lost_ratio = (self.hall.origin_bytes() - self.began_at) / self.image.byte_count
                self.act(who, storms)
                return

    def judge(self, verdict, course, what, who):
        if self.who:
            verdict.complete(course, f"{what} in mid-file, and {who}")
        else:
            verdict.note(False, f"{what} in mid-file (no client had a quarter of it when all had ended)")


# All at once for one cold image


def cold(settings, verdict):
    def prepare(hall):
        image = hall.image("image")
        for rack in hall.racks:
            image.put(rack.folder, "local")
        return image, hall.image("first")

    with running(settings, prepare) as (hall, (image, first)):
        # A node that has just been started reads its files, on the same few cores as all others.
        for rack in hall.racks:
            rack.wait_for_catalogue("local", CATALOGUE_SECONDS)
        first_data = hall.first_data_seconds(first)
        course = hall.storm(image)
        course.show(f"A cold image of {image.byte_count / bed.MIB:g} MiB: {settings.racks} racks, "
                    f"{settings.clients} clients each, one origin ({settings.origin_kind})")
        image.name = "local"
        hall.storm(image, clients=1)
        warm = hall.storm(image)
        warm.show("A warm image in the node's own folder")
    verdict.complete(course, "all clients of the cold image")
    verdict.frugal(course, settings, "the origin sent")
    judge_times(settings, verdict, course.slowest_seconds / max(warm.slowest_seconds, 1e-3), first_data)


def judge_times(settings, verdict, ratio, first_data):
    middle, last = (halls.milliseconds(first_data[index]) for index in (len(first_data) // 2, -1))
    print(f"\nOf {len(first_data)} clients that requested another cold image at once, half had their first "
          f"DATA after {middle} ms, all after {last} ms.")
    if settings.quick:
        print(f"The slowest client took {ratio:.2f} x a warm image's. With --quick times are not judged.")
        return
    verdict.note(ratio <= SLOWEST_RATIO_MAX,
                 f"the slowest client took {ratio:.2f} x a warm image's (at most {SLOWEST_RATIO_MAX})")
    verdict.note(first_data[-1] <= FIRST_DATA_SECONDS_MAX,
                 f"first DATA after {last} ms (at most {FIRST_DATA_SECONDS_MAX * 1e3:.0f})")


# A source ends in mid-file


def kill_source(settings, verdict):
    kill_holder(settings, verdict)
    kill_fetcher(settings, verdict)
    kill_origin(settings, verdict)


def kill_node(rack, storms):
    rack.node.kill()
    # Its own clients have no node to query any more.
    for storm in storms:
        if storm.rack is rack:
            storm.interrupt()


def kill_holder(settings, verdict):
    """One node has the file in its folder and signs it, and the origin has it; the node is killed.

    Signed, because a node with origins takes an unsigned file from a peer only if the origin's is
    known to be the same.
    """
    def prepare(hall):
        image = hall.image("image")
        image.put(hall.racks[0].folder)
        hall.sign(hall.racks[0])
        return image

    with running(settings, prepare) as (hall, image):
        holder, others = hall.racks[0], hall.racks[1:]
        # Before its digest is known, the others ask the origin.
        holder.wait_for_catalogue(image.name, CATALOGUE_SECONDS)
        middle = Middle(hall, image, [(holder.sent, holder)], kill_node)
        course = hall.storm(image, others, middle)
        course.show("A node that holds the file is killed; the origin has it as well")
    middle.judge(verdict, course, "a holder was killed", "all clients of the other racks")
    verdict.frugal(course, settings, "the origin sent")


def kill_fetcher(settings, verdict):
    """The node that gets the file from the origin for the others is killed."""
    with running(settings, lambda hall: hall.image("image")) as (hall, image):
        middle = Middle(hall, image, [(rack.sent, rack) for rack in hall.racks], kill_node)
        course = hall.storm(image, watch=middle)
        course.reports = [report for report in course.reports if report.rack is not middle.who]
        course.show("The node that fetches from the origin for the others is killed")
    middle.judge(verdict, course, "the fetching node was killed", "all clients of the other racks")
    verdict.frugal(course, settings, "the origin sent", middle.lost_ratio)


def kill_origin(settings, verdict):
    """There are two origins; the one that sends is killed."""
    with running(settings, lambda hall: hall.image("image"), ("left", "right")) as (hall, image):
        middle = Middle(hall, image, [(origin.sent, origin) for origin in hall.origins.values()],
                        lambda origin, _: origin.process.kill())
        course = hall.storm(image, watch=middle)
        course.show("One of two origins is killed")
    middle.judge(verdict, course, "an origin was killed", "all clients")
    verdict.frugal(course, settings, "the origins sent", middle.lost_ratio)


# The network falls apart


class Cut(Middle):
    """Cuts the cable between the halves in mid-file, and heals it."""

    def __init__(self, hall, image, seconds):
        meters = [(rack.received, rack) for rack in hall.racks if rack.side == "right"]
        super().__init__(hall, image, meters, self.cut)
        self.seconds = seconds
        self.healed_at = None

    def cut(self, _, __):
        self.hall.cut()
        self.healed_at = time.monotonic() + self.seconds

    def __call__(self, storms):
        super().__call__(storms)
        if self.healed_at and time.monotonic() > self.healed_at:
            self.heal()

    def heal(self):
        self.hall.heal()
        self.healed_at = None


def split(settings, verdict):
    if settings.racks < 2:
        raise halls.net.LabError("--split needs 2 racks")
    split_for_long(settings, verdict)
    split_for_short(settings, verdict)


def split_for_long(settings, verdict):
    """Both halves have an origin, so every file stays within reach."""
    def prepare(hall):
        return hall.image("image"), hall.image("later")

    with running(settings, prepare, ("left", "right")) as (hall, (image, later)):
        cut = Cut(hall, image, LONG_CUT_SECONDS)
        course = hall.storm(image, watch=cut)
        course.show("The halves, each with an origin, are cut apart")
        cut.judge(verdict, course, "the halves, each with an origin, were cut apart", "all clients")
        cut.heal()
        for _ in range(2):
            hall.ask_in_vain()
        course = hall.storm(later)
        course.show("Healed, another cold image")
    verdict.complete(course, "after that all clients of another image")
    verdict.frugal(course, settings, "of that the origins sent")


def split_for_short(settings, verdict):
    """Only one half has the origin, and the other waits, for less than its clients' patience."""
    with running(settings, lambda hall: hall.image("image")) as (hall, image):
        cut = Cut(hall, image, SHORT_CUT_SECONDS)
        course = hall.storm(image, watch=cut)
        course.show(f"The half without an origin is cut off for {SHORT_CUT_SECONDS} s")
    cut.judge(verdict, course, f"half of the racks was cut off for {SHORT_CUT_SECONDS} s", "all clients")


# A disk changes what is on it


def corrupt(settings, verdict):
    """One node's copy changes after the node has read it; the origin has the right bytes."""
    if settings.racks < 2:
        raise halls.net.LabError("--corrupt needs 2 racks")

    def prepare(hall):
        image = hall.image("image")
        return image, Disk(image.copy(hall.racks[0].folder))

    with running(settings, prepare) as (hall, (image, disk)):
        holder, others = hall.racks[0], hall.racks[1:]
        if not holder.wait_for_catalogue(image.name, CATALOGUE_SECONDS):
            bed.say("The node has no digest of its file, so the corruption cannot be noticed.")
        disk.flip()
        course = hall.storm(image, others)
        course.show("The disk of rack 1, which holds the file, has changed")
        verdict.complete(course, "one disk changed, and all clients of the other racks")
        course = hall.storm(image, [holder])
        course.show("The clients of rack 1 itself")
        verdict.complete(course, "all clients of that rack itself")
        lines = [line for line in holder.node.log().splitlines()
                 if f'"{image.name}" has changed without a write' in line]
        for line in lines[:1]:
            print(f"\nIts node says: {line}")
        verdict.note(bool(lines), "its node names the file")


class Disk:
    """A file whose content can change without a word: no event, and on a file system in memory no
    other time either.
    """

    def __init__(self, path):
        # Open from now on, because closing it would wake the watcher.
        self.descriptor = os.open(path, os.O_RDWR)
        self.bytes = mmap.mmap(self.descriptor, 0)

    def flip(self):
        """Flips a bit in each half MiB."""
        for offset in range(1000, len(self.bytes), bed.MIB // 2):
            self.bytes[offset] ^= 0x10


TRIALS = {
    # name: (function, what it is)
    "cold": (cold, "all ask at once for one cold image (what is done where nothing else is asked for)"),
    "kill-source": (kill_source, "end a holder, the fetching node and an origin in mid-file"),
    "split": (split, "cut the network into halves in mid-file, and heal it"),
    "corrupt": (corrupt, "change a node's file behind its back"),
}
