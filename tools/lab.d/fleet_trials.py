"""What is done to a fleet and its etcd, and what must hold then."""

import asyncio
import http.client
import signal
import threading
import time

import etcd
import fleet as fleets
import simulated
from verdict import Verdict

SWITCH_SECONDS_MAX = 2
RESTART_SECONDS_MAX = 1
# The leader's silence is noticed after a second, and an election takes another.
WRITABLE_SECONDS_MAX = 10
# Nodes that watched a member which is killed connect to the next one.
RECONNECTED_SECONDS_MAX = 6
# A member that freezes is noticed after six seconds, and the next attempt has its back-off.
NOTICED_SECONDS_MAX = 20
# etcd ends a watch without a leader after three of its own elections.
LEADERLESS_SECONDS_MAX = 20
# How long one looks whether nothing changes.
STILL_SECONDS = 1
# A promoter waits no longer for the other one.
GATE_SECONDS = 0.9


def run(settings):
    verdict = Verdict()
    with fleets.Fleet(settings) as fleet:
        fleet.build()
        # All that this process and its threads open from now on is on the hall's host.
        with fleet.host.inside():
            fleet.start()
            for trial in TRIALS:
                trial(fleet, verdict)
    print(f"{verdict.failed_count} of the above failed" if verdict.failed_count else "all of it holds")
    return verdict.exit_code


def switch(fleet, verdict):
    """Sets are promoted one after the other while machines boot."""
    fleet.wait_until_registered()
    seconds = []
    with fleets.Boots(fleet) as boots:
        for number in range(fleet.settings.switches):
            name = f"switch-{number}"
            fleet.publish(name)
            # Some have begun to boot by then, and some end afterwards.
            time.sleep(STILL_SECONDS)
            began = time.monotonic()
            fleet.promote(name)
            seconds.append(fleet.seconds_until_served(name, began))
            time.sleep(STILL_SECONDS)
    verdict.at_most(
        f"a promoted set is served by all {len(fleet.nodes)} nodes (slowest of {len(seconds)} switches)",
        max(seconds), SWITCH_SECONDS_MAX)
    boots.judge(verdict, "boots during the switches")
    status(fleet, verdict)


def status(fleet, verdict):
    names = {node.name for node in fleet.nodes}
    listed = etcd.wait_for(lambda: current_nodes(fleet), fleets.READY_SECONDS, "nodes stay behind")
    verdict.note(names <= listed, "fleet status lists the nodes, none behind",
                 len(names), len(names & listed))


def current_nodes(fleet):
    """The nodes that are listed, once each serves what it is to serve."""
    code, found = fleet.status()
    return {node["name"] for node in found["nodes"]} if code == 0 else None


def canary(fleet, verdict):
    """A rack, then its hall, then back."""
    fleet.publish("canary")
    old = fleet.nodes[0].serving()
    hall, rack = fleet.nodes[0].hall, fleet.nodes[0].rack
    in_hall = [node for node in fleet.nodes if node.hall == hall]
    in_rack = [node for node in in_hall if node.rack == rack]
    began = time.monotonic()
    fleet.promote("canary", f"rack/{hall}/{rack}")
    verdict.at_most(f"a canary rack ({len(in_rack)} nodes) serves its set",
                    fleet.seconds_until_served("canary", began, in_rack), SWITCH_SECONDS_MAX)
    time.sleep(STILL_SECONDS)
    still(fleet, verdict, "the others serve the old set", in_rack, old)
    began = time.monotonic()
    fleet.promote("canary", f"hall/{hall}")
    verdict.at_most(f"its hall ({len(in_hall)} nodes) follows",
                    fleet.seconds_until_served("canary", began, in_hall), SWITCH_SECONDS_MAX)
    still(fleet, verdict, "the other hall serves the old set", in_hall, old)
    began = time.monotonic()
    code, words = fleet.command("rollback", "canary", "--to", f"hall/{hall}")
    verdict.note(code == 0, "rollback of the hall", "code 0", f"code {code} {words if code else ''}".strip())
    verdict.at_most("the hall serves the set before it",
                    fleet.seconds_until_served(old, began, in_hall), SWITCH_SECONDS_MAX)


def still(fleet, verdict, what, but, name):
    others = [node for node in fleet.nodes if node not in but]
    found = {node.name: node.serving() for node in others}
    wrong = [node for node, serving in found.items() if serving != name]
    verdict.note(not wrong, what, f"{len(others)} nodes", f"{len(others) - len(wrong)} nodes")


def two_promoters(fleet, verdict):
    """Both have read the same before either of them writes."""
    outcomes, served = [], []
    for number in range(fleet.settings.races):
        names = [f"race-{number}-{side}" for side in ("left", "right")]
        for name in names:
            fleet.publish(name)
        barrier = threading.Barrier(2)

        def meet():
            try:
                barrier.wait(GATE_SECONDS)
            except threading.BrokenBarrierError:
                pass

        proxy = etcd.Proxy(fleet.cluster.members[0], gate=meet)
        began = time.monotonic()
        running = [fleet.begin("promote", name, url=f"etcd://{proxy.endpoint}/{fleets.NAME}") for name in names]
        results = [fleets.finish(process) for process in running]
        proxy.close()
        outcomes.append(sorted(code for code, _ in results) == [0, 1]
                        and any("another operator" in words for _, words in results))
        winner = names[[code for code, _ in results].index(0)] if outcomes[-1] else None
        served.append(fleet.seconds_until_served(winner, began) if winner else float("inf"))
    verdict.note(all(outcomes), "of two promoters at once one wins and the other is told",
                 f"{len(outcomes)} of {len(outcomes)} races", f"{sum(outcomes)}")
    verdict.at_most("all nodes serve the winner's set (slowest)", max(served), SWITCH_SECONDS_MAX)


def node_credentials(fleet, verdict):
    """What is stolen from a node cannot switch a hall: neither by the command nor by a put."""
    old = fleet.nodes[0].serving()
    scopes = ["fleet", f"hall/{fleet.nodes[0].hall}", f"node/{fleet.nodes[0].name}"]
    refused = [fleet.command("promote", "first", "--to", scope, user="node") for scope in scopes]
    member = fleet.cluster.members[0]
    for scope in scopes:
        refused.append(put_as_node(fleet, member, f"current/{scope}"))
        refused.append(put_as_node(fleet, member, f"stage/{scope}"))
    right = [code == 1 and "permission denied" in words for code, words in refused]
    wrong = next((words for (_, words), is_right in zip(refused, right) if not is_right), "")
    verdict.note(all(right), "a node's credentials cannot switch, stage or promote",
                 f"{len(right)} of {len(right)} refused", f"{sum(right)} {wrong}".strip())
    time.sleep(STILL_SECONDS)
    still(fleet, verdict, "all nodes serve the set as before", [], old)


def put_as_node(fleet, member, key):
    status, body = etcd.post(
        member.endpoint, "/v3/auth/authenticate", {"name": "node", "password": "node"}, {})
    token = etcd.json.loads(body)["token"] if status == 200 else ""
    value = '{"at":253402300000,"by":"thief","set":"first"}'
    status, body = etcd.post(
        member.endpoint, "/v3/kv/put",
        {"key": etcd.encode(f"{etcd.PREFIX}{fleets.NAME}/{key}"), "value": etcd.encode(value)},
        {"Authorization": token})
    return int(status != 200), body.decode(errors="replace")


def simulated_nodes(fleet, verdict):
    """Leases and watches as a node has them, without the nodes."""
    asyncio.run(simulated.run(fleet, verdict))


def cut_off(fleet, verdict):
    """A follower is cut off from the other members. Two nodes watch it by proxies, of which one
    takes away the field that has etcd end a watch without a leader.
    """
    leader = fleet.cluster.wait_for_leader()
    victim = next(member for member in fleet.cluster.members if member is not leader)
    others = [member for member in fleet.cluster.members if member is not victim]
    proxies = [etcd.Proxy(victim), etcd.Proxy(victim, dropped_field="Grpc-Metadata-hasleader")]
    count = len(fleet.nodes)
    nodes = [
        fleet.node(count + index, "edge", f"r{index}", [proxy.endpoint] + [each.endpoint for each in others])
        for index, proxy in enumerate(proxies)]
    for name in ("first", "edge"):
        fleet.publish(name, nodes)
    for node in nodes:
        node.start()
        node.process.wait_until_listening()
    fleet.wait_until_registered(nodes)
    # Four watches a node: the scopes, what is staged, its orders, its hall.
    etcd.wait_for(lambda: all(proxy.watch_count >= 4 for proxy in proxies), fleets.READY_SECONDS,
                  "a node does not watch the member that comes first")
    victim.cut()
    with_field, without = nodes
    url = fleet.cluster.url(fleets.NAME, others)
    began = time.monotonic()
    code, words = fleet.command("promote", "edge", "--to", "hall/edge", url=url)
    verdict.note(code == 0, "a promotion while a member is cut off", "code 0", f"code {code} {words}")
    noticed = fleet.seconds_until_served("edge", began, [with_field], LEADERLESS_SECONDS_MAX)
    verdict.at_most("a node at the member cut off notices it by `hasleader`, and switches",
                    noticed, LEADERLESS_SECONDS_MAX)
    time.sleep(min(noticed, LEADERLESS_SECONDS_MAX))
    hangs = without.serving() == "first"
    verdict.note(hangs, "without that field its watch hangs (or this trial shows nothing)",
                 f"the old set after {time.monotonic() - began:.1f} s", "the old set" if hangs else "the new set")
    victim.heal()
    healed = fleet.seconds_until_served("edge", time.monotonic(), nodes)
    verdict.at_most("healed, both serve the new set", healed, fleets.READY_SECONDS)
    for node in nodes:
        node.process.end()
    for proxy in proxies:
        proxy.close()


def leader_killed(fleet, verdict):
    lose_leader(fleet, verdict, "killed", lambda member: member.process.kill(),
                lambda member: member.start(fleet.cluster.members), RECONNECTED_SECONDS_MAX)


def leader_stopped(fleet, verdict):
    lose_leader(fleet, verdict, "stopped", lambda member: member.process.signal(signal.SIGSTOP),
                lambda member: member.process.signal(signal.SIGCONT), NOTICED_SECONDS_MAX)


def lose_leader(fleet, verdict, how, lose, bring_back, noticed_max):
    leader = fleet.cluster.wait_for_leader()
    name = f"leader-{how}"
    fleet.publish(name)
    storm = fleets.Storm(fleet, fleet.settings.storm_seconds)
    time.sleep(fleet.settings.storm_seconds / 4)
    fault_at = storm.elapsed()
    lose(leader)
    writable = fleet.cluster.wait_until_writable()
    verdict.at_most(f"etcd's leader is {how} in a storm of {fleet.settings.clients}: etcd takes writes again",
                    writable, WRITABLE_SECONDS_MAX)
    began = time.monotonic()
    fleet.promote(name)
    verdict.at_most("a set that is promoted then is served by all",
                    fleet.seconds_until_served(name, began), noticed_max)
    storm.end(verdict, "that storm", fault_at)
    bring_back(leader)
    etcd.wait_for(lambda: answers(fleet.cluster, leader), fleets.READY_SECONDS, f"{leader.name} does not return")


def answers(cluster, member):
    try:
        cluster.call("/v3/maintenance/status", {}, member)
        return True
    except (OSError, http.client.HTTPException, etcd.Refused):
        return False


def all_gone(fleet, verdict):
    """All members are stopped in a storm, and then killed; a node is restarted each time."""
    name = "all-gone"
    fleet.publish(name)
    fleet.promote(name)
    fleet.seconds_until_served(name, time.monotonic())
    seconds, clients = fleet.settings.storm_seconds, fleet.settings.clients
    storm = fleets.Storm(fleet, seconds)
    time.sleep(seconds / 4)
    fault_at = storm.elapsed()
    fleet.cluster.stop_all()
    storm.end(verdict, f"all members of etcd are stopped in a storm of {clients}", fault_at)
    nodes = fleet.nodes[:2]
    storm = fleets.Storm(fleet, seconds, is_spread=True)
    time.sleep(seconds / 4)
    fault_at = storm.elapsed()
    for node, how in zip(nodes, ("stopped", "killed")):
        if how == "killed":
            fleet.cluster.kill_all()
        seconds = node.restart_seconds()
        verdict.at_most(f"while all are {how}, a restarted node serves", seconds, RESTART_SECONDS_MAX)
        verdict.note(node.serving() == name, "and it serves what it was told last", name, node.serving())
    storm.end(verdict, f"meanwhile {clients} clients at the other nodes", fault_at, nodes)
    fleet.cluster.start()
    fleet.publish("back")
    began = time.monotonic()
    fleet.promote("back")
    verdict.at_most("etcd is back: all nodes follow a promotion",
                    fleet.seconds_until_served("back", began), NOTICED_SECONDS_MAX)
    status(fleet, verdict)


TRIALS = [switch, canary, two_promoters, node_credentials, simulated_nodes, cut_off, leader_killed,
          leader_stopped, all_gone]
