"""Nodes as etcd sees them: a lease, a key below it, four watches and a probe."""

import asyncio
import contextlib
import json
import time

import etcd
import fleet as fleets
import net

# As EtcdFleet has them.
KEEP_SECONDS = 5
HALL_SIZE = 40
# How long after its lease a node may stay on the list.
EXPIRY_SECONDS_MAX = 8
JOIN_SECONDS_MAX = 10
SEEN_SECONDS_MAX = 2
CPU_MAX = 0.3
MEMORY_MAX = 300 << 20
SILENT_SHARE = 0.2
POLL_SECONDS = 0.2
# Far more than a slow machine takes.
JOIN_SECONDS = 120


async def run(fleet, verdict):
    settings, cluster = fleet.settings, fleet.cluster
    lease_seconds = settings.lease_seconds
    nodes = [SimulatedNode(cluster, number, lease_seconds) for number in range(settings.simulated)]
    began = time.monotonic()
    try:
        await asyncio.wait_for(asyncio.gather(*(node.join() for node in nodes)), JOIN_SECONDS)
    except asyncio.TimeoutError:
        raise net.LabError(f"the simulated nodes have not joined within {JOIN_SECONDS} s") from None
    verdict.at_most(f"{len(nodes)} simulated nodes have joined: leases, keys, {4 * len(nodes)} watches",
                    time.monotonic() - began, JOIN_SECONDS_MAX)
    try:
        await steady(cluster, verdict, settings.steady_seconds)
        await change(cluster, verdict, nodes)
        await silence(cluster, verdict, nodes, lease_seconds)
    finally:
        for node in nodes:
            await node.leave()


async def steady(cluster, verdict, seconds):
    """What the members use while nothing happens."""
    before = [member.cpu_seconds() for member in cluster.members]
    await asyncio.sleep(seconds)
    shares = [(member.cpu_seconds() - start) / seconds for member, start in zip(cluster.members, before)]
    memory = [member.memory_bytes() for member in cluster.members]
    verdict.note(max(shares) <= CPU_MAX, "CPU of each member of etcd then",
                 f"at most {CPU_MAX:.0%} of a core", ", ".join(f"{share:.1%}" for share in shares))
    verdict.note(max(memory) <= MEMORY_MAX, "and its memory", f"at most {MEMORY_MAX >> 20} MiB",
                 ", ".join(f"{each / (1 << 20):.0f}" for each in memory) + " MiB")


async def change(cluster, verdict, nodes):
    """A word for a scope that no real node has."""
    for node in nodes:
        node.seen_at = None
    began = time.monotonic()
    await asyncio.to_thread(
        cluster.put, f"{etcd.PREFIX}{fleets.NAME}/current/hall/sim", '{"at":1,"by":"lab","set":"sim"}')
    deadline = began + SEEN_SECONDS_MAX
    while any(node.seen_at is None for node in nodes) and time.monotonic() < deadline:
        await asyncio.sleep(0.005)
    seen = sorted(node.seen_at - began if node.seen_at else float("inf") for node in nodes)
    verdict.note(seen[-1] <= SEEN_SECONDS_MAX, "a change is seen by all of them",
                 f"at most {SEEN_SECONDS_MAX} s",
                 f"p50 {seen[len(seen) // 2] * 1e3:.0f} ms, max {seen[-1] * 1e3:.0f} ms")


async def silence(cluster, verdict, nodes, lease_seconds):
    silent = nodes[:max(1, int(len(nodes) * SILENT_SHARE))]
    began = time.monotonic()
    for node in silent:
        await node.leave()
    prefix = f"{etcd.PREFIX}{fleets.NAME}/nodes/sim"
    most = lease_seconds + EXPIRY_SECONDS_MAX
    count = len(nodes)
    while count > len(nodes) - len(silent) and time.monotonic() - began < most + 1:
        await asyncio.sleep(POLL_SECONDS)
        count = len(await asyncio.to_thread(cluster.keys, prefix))
    verdict.at_most(f"{len(silent)} of them fall silent: gone from the list, of the others none",
                    time.monotonic() - began if count == len(nodes) - len(silent) else float("inf"), most)


class SimulatedNode:
    def __init__(self, cluster, number, lease_seconds):
        self.cluster, self.number, self.lease_seconds = cluster, number, lease_seconds
        self.member = cluster.members[number % len(cluster.members)]
        self.hall = f"sim{number // HALL_SIZE}"
        self.name = f"sim-{number}"
        self.seen_at = None
        self.tasks = []

    def key(self, *words):
        return etcd.encode(f"{etcd.PREFIX}{fleets.NAME}/{'/'.join(words)}")

    async def join(self):
        self.connection = Connection(self.member, self.cluster.token)
        answer = await self.connection.call("/v3/lease/grant", {"TTL": self.lease_seconds})
        self.lease = answer["ID"]
        report = json.dumps({"address": ":69", "isDraining": False, "ready": [], "serving": "first", "version": ""})
        await self.connection.call("/v3/kv/put", {
            "key": self.key("nodes", self.hall, "r", self.name), "value": etcd.encode(report),
            "lease": self.lease})
        started = []
        for prefix in ("current/", "stage/", f"order/{self.name}", f"nodes/{self.hall}/"):
            is_there = asyncio.get_running_loop().create_future()
            started.append(is_there)
            self.tasks.append(asyncio.create_task(self.watch(prefix, is_there)))
        await asyncio.gather(*started)
        self.tasks.append(asyncio.create_task(self.keep()))

    async def watch(self, prefix, is_there):
        prefix = f"{etcd.PREFIX}{fleets.NAME}/{prefix}"
        async with Connection(self.member, self.cluster.token) as connection:
            question = {"create_request": {
                "key": etcd.encode(prefix), "range_end": etcd.encode(etcd.end_of(prefix))}}
            async for answer in connection.stream("/v3/watch", question):
                if not is_there.done():
                    is_there.set_result(True)
                if answer["result"].get("events") and "/current/" in prefix:
                    self.seen_at = time.monotonic()

    async def keep(self):
        # Not all at once.
        await asyncio.sleep(KEEP_SECONDS * (self.number % 50) / 50)
        while True:
            await self.connection.call("/v3/lease/keepalive", {"ID": self.lease})
            await self.connection.call("/v3/kv/range", {"key": self.key("."), "serializable": True})
            await asyncio.sleep(min(KEEP_SECONDS, self.lease_seconds / 3))

    async def leave(self):
        for task in self.tasks:
            task.cancel()
        for task in self.tasks:
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await task
        self.tasks = []
        await self.connection.close()


class Connection:
    """One connection to a member's gateway, for one call after the other."""

    def __init__(self, member, token):
        self.member, self.token = member, token
        self.writer = None

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def close(self):
        if self.writer:
            self.writer.close()
            self.writer = None

    async def call(self, path, question):
        lines = [line async for line in self.stream(path, question)]
        return lines[-1]

    async def stream(self, path, question):
        """The lines of an answer, each of which is JSON."""
        if not self.writer:
            self.reader, self.writer = await asyncio.open_connection(self.member.address, etcd.CLIENT_PORT)
        body = json.dumps(question).encode()
        self.writer.write(
            f"POST {path} HTTP/1.1\r\nHost: {self.member.endpoint}\r\nAuthorization: {self.token}\r\n"
            f"Grpc-Metadata-hasleader: true\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        if " 200 " not in head.splitlines()[0]:
            raise etcd.Refused(head.splitlines()[0])
        if "transfer-encoding: chunked" not in head:
            length = int(head.split("content-length:")[1].split()[0])
            yield json.loads(await self.reader.readexactly(length))
            return
        text = b""
        while length := int(await self.reader.readline(), 16):
            text += (await self.reader.readexactly(length + 2))[:-2]
            *lines, text = text.split(b"\n")
            for line in lines:
                yield json.loads(line)
        await self.reader.readline()
        if text.strip():
            yield json.loads(text)
