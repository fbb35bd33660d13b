"""Three members of etcd on hosts of a lab, their JSON gateway, and a proxy that changes requests.

A member talks to the other members by one cable and to its clients by another, so that it can be
cut off from the others and still be asked.
"""

import base64
import http.client
import json
import os
import signal
import socket
import threading
import time

import measure
import net

MEMBERS = 3
CLIENT_NETWORK, MEMBER_NETWORK = "10.0.0", "10.0.1"
CLIENT_PORT, MEMBER_PORT = 2379, 2380
CALL_SECONDS = 1
READY_SECONDS = 60
PREFIX = "/bootstorm/1/"


class Refused(Exception):
    """A member has answered, and not with 200."""


def encode(text):
    return base64.b64encode(text.encode()).decode()


def end_of(prefix):
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


class Member:
    def __init__(self, network, switch, number, folder):
        self.name = f"etcd-{number}"
        self.address = f"{CLIENT_NETWORK}.{10 + number}"
        self.member_address = f"{MEMBER_NETWORK}.{10 + number}"
        self.folder = os.path.join(folder, self.name)
        self.host = network.host(self.name)
        self.host.cable("clients", switch, f"clients-{number}", f"{self.address}/24")
        self.host.cable("members", switch, f"members-{number}", f"{self.member_address}/24")
        switch.ip("link", "set", f"clients-{number}", "master", "clients")
        switch.ip("link", "set", f"members-{number}", "master", "members")

    @property
    def endpoint(self):
        return f"{self.address}:{CLIENT_PORT}"

    def start(self, cluster):
        client_url = f"http://{self.endpoint}"
        member_url = f"http://{self.member_address}:{MEMBER_PORT}"
        self.process = self.host.start(
            self.name, "etcd", "--name", self.name, "--data-dir", self.folder, "--pre-vote",
            "--listen-client-urls", client_url, "--advertise-client-urls", client_url,
            "--listen-peer-urls", member_url, "--initial-advertise-peer-urls", member_url,
            "--initial-cluster", ",".join(
                f"{member.name}=http://{member.member_address}:{MEMBER_PORT}" for member in cluster),
            "--initial-cluster-state", "new", "--logger", "zap", "--log-level", "warn",
            # Passwords of a lab need no protection from being tried.
            "--bcrypt-cost", "4")

    def cut(self):
        self.host.ip("link", "set", "members", "down")

    def heal(self):
        self.host.ip("link", "set", "members", "up")

    def cpu_seconds(self):
        return measure.tree_cpu_seconds(self.process.pid)

    def memory_bytes(self):
        return measure.kilobytes(measure.read(f"/proc/{self.process.pid}/status"), "VmRSS:") * 1024


class Cluster:
    """All members. What calls one of them must be on a host that has a cable to it."""

    def __init__(self, network, switch, folder):
        for name in ("clients", "members"):
            switch.ip("link", "add", name, "type", "bridge")
            switch.ip("link", "set", name, "up")
        self.members = [Member(network, switch, number, folder) for number in range(1, MEMBERS + 1)]
        self.user = None
        self.token = None

    def start(self):
        for member in self.members:
            member.start(self.members)
        self.wait_until_writable()

    def url(self, fleet, members=None):
        return f"etcd://{','.join(member.endpoint for member in members or self.members)}/{fleet}"

    # Calls

    def call(self, path, question, member=None):
        """What a member answers; without `member`, the first that does."""
        failure = None
        for each in [member] if member else self.members:
            try:
                return self.call_one(path, question, each)
            except (OSError, http.client.HTTPException, Refused) as error:
                failure = error
        raise failure

    def call_one(self, path, question, member):
        for _ in range(2):
            head = {"Authorization": self.token_of(member)} if self.user else {}
            status, body = post(member.endpoint, path, question, head)
            if status == 200:
                return json.loads(body)
            # Tokens are lost with a restart.
            self.token = None
        raise Refused(f"{status} {body.decode(errors='replace').strip()}")

    def token_of(self, member):
        if not self.token:
            name, password = self.user
            status, body = post(
                member.endpoint, "/v3/auth/authenticate", {"name": name, "password": password}, {})
            if status != 200:
                raise Refused(body.decode(errors="replace").strip())
            self.token = json.loads(body)["token"]
        return self.token

    def put(self, key, value, member=None, **more):
        question = {"key": encode(key), "value": encode(value), **more}
        return self.call("/v3/kv/put", question, member)

    def keys(self, prefix):
        answer = self.call("/v3/kv/range", {
            "key": encode(prefix), "range_end": encode(end_of(prefix)), "keys_only": True})
        return [base64.b64decode(pair["key"]).decode() for pair in answer.get("kvs", [])]

    # State

    def leader(self):
        """The member that leads, or None while none does."""
        for member in self.members:
            try:
                status = self.call("/v3/maintenance/status", {}, member)
            except (OSError, http.client.HTTPException, Refused):
                continue
            if status.get("leader") == status["header"]["member_id"]:
                return member
        return None

    def wait_for_leader(self):
        return wait_for(self.leader, READY_SECONDS, "no member of etcd leads")

    def wait_until_writable(self):
        """Returns how long it took."""
        began = time.monotonic()
        wait_for(self.is_writable, READY_SECONDS, "etcd takes no writes")
        return time.monotonic() - began

    def is_writable(self):
        try:
            self.put("/lab", "writable")
            return True
        except (OSError, http.client.HTTPException, Refused):
            return False

    def all_signal(self, number):
        for member in self.members:
            member.process.signal(number)

    def stop_all(self):
        self.all_signal(signal.SIGSTOP)

    def kill_all(self):
        for member in self.members:
            member.process.kill()

    # Users

    def enable_users(self, fleet, users):
        """`users`: (name, password, [(right, prefix)]). root may do all."""
        fleet = f"{PREFIX}{fleet}/"
        self.call("/v3/auth/user/add", {"name": "root", "password": "root"})
        self.call("/v3/auth/role/add", {"name": "root"})
        self.call("/v3/auth/user/grant", {"user": "root", "role": "root"})
        for name, password, rights in users:
            self.call("/v3/auth/user/add", {"name": name, "password": password})
            self.call("/v3/auth/role/add", {"name": name})
            self.call("/v3/auth/user/grant", {"user": name, "role": name})
            for right, prefix in rights:
                self.call("/v3/auth/role/grant", {"name": name, "perm": {
                    "permType": right, "key": encode(fleet + prefix),
                    "range_end": encode(end_of(fleet + prefix))}})
        self.call("/v3/auth/enable", {})
        self.user = ("root", "root")


def post(endpoint, path, question, head):
    connection = http.client.HTTPConnection(endpoint, timeout=CALL_SECONDS)
    try:
        connection.request("POST", path, json.dumps(question), head)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def wait_for(condition, seconds, words):
    """What `condition` returns, once that is true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise net.LabError(words)
        time.sleep(0.02)
    return value


class Proxy:
    """Between a program and one member, on 127.0.0.1 of the host that makes it.

    `dropped_field` names a field of the head that does not reach the member. `gate` is called
    before a transaction is passed on.
    """

    def __init__(self, member, dropped_field=None, gate=None):
        self.member = (member.address, CLIENT_PORT)
        self.dropped_field = dropped_field.lower().encode() if dropped_field else None
        self.gate = gate
        self.watch_count = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            with client, socket.create_connection(self.member) as server:
                back = threading.Thread(target=pump, args=(server, client), daemon=True)
                back.start()
                with client.makefile("rb") as requests:
                    while request := self.request(requests):
                        server.sendall(request)
                server.shutdown(socket.SHUT_RDWR)
                back.join()
        except OSError:
            pass

    def request(self, stream):
        """The next request, as it goes on."""
        lines, length = [], 0
        while (line := stream.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            if name.lower() != self.dropped_field:
                lines.append(line)
        if not lines:
            return b""
        body = stream.read(length)
        path = lines[0].split()[1]
        if path == b"/v3/watch":
            self.watch_count += 1
        if path == b"/v3/kv/txn" and self.gate:
            self.gate()
        return b"".join(lines) + b"\r\n" + body


def pump(source, target):
    """Passes on what comes until it ends, and ends the other side then."""
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
    except OSError:
        pass
    try:
        target.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
