"""Members of Twitter's server sets and nodes of Registrator, written and read with kazoo, line by line.

Members are as Finagle's documentation and sources have them, nodes as Registrator's sources make its calls. Neither of the
two systems is packaged by Debian.
"""
import json
import os
import sys
import threading
import traceback

import kazoo
from kazoo.client import KazooClient
from kazoo.exceptions import NodeExistsError, NoNodeError

SPEAKING = threading.Lock()


def say(line):
    with SPEAKING:
        print(line, flush=True)


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


class ServerSets:
    """A set is a directory; a member is an ephemeral, sequential leaf whose data never changes."""

    def __init__(self, client):
        self.client = client
        self.known = {}

    def join(self, path, member):
        self.client.ensure_path(path)
        return self.client.create(path + "/member_", compact(member), ephemeral=True, sequence=True)

    def read(self, path, names):
        """Each member once, as Finagle does; and only those that are alive, with their names."""
        alive = {}
        for name in sorted(names):
            if name not in self.known:
                try:
                    data, _ = self.client.get(path + "/" + name)
                except NoNodeError:
                    continue
                self.known[name] = json.loads(data)
            if self.known[name]["status"] == "ALIVE":
                alive[name] = self.known[name]
        return alive

    def members(self, path):
        names = self.client.get_children(path)
        return self.read(path, [name for name in names if name.startswith("member_")])

    def watch(self, path):
        @self.client.ChildrenWatch(path)
        def changed(names):
            there = [name for name in names if name.startswith("member_")]
            say("* " + json.dumps(self.read(path, there)))


class Registrator:
    """`<base>/<service>/<ip>:<port>`, ephemeral, in persistent directories: Exists, Create, Create."""

    def __init__(self, client):
        self.client = client

    def register(self, base, service):
        directory = base + "/" + service["Name"]
        for path in (base, directory):
            if not self.client.exists(path):
                try:
                    self.client.create(path, b"")
                except NodeExistsError:
                    pass
        leaf = f"{directory}/{service['IP']}:{service['PublicPort']}"
        return self.client.create(leaf, compact(service), ephemeral=True)

    def deregister(self, base, name, leaf):
        self.client.delete(f"{base}/{name}/{leaf}")
        if not self.client.get_children(f"{base}/{name}"):
            self.client.delete(f"{base}/{name}")

    def consume(self, base, name):
        """A consumer takes the address from the leaf's name, or from its body."""
        found = {}
        for leaf in self.client.get_children(f"{base}/{name}"):
            data, _ = self.client.get(f"{base}/{name}/{leaf}")
            found[leaf] = json.loads(data)
        return found


def answer(client, sets, registrator, line):
    verb, _, rest = line.partition(" ")
    first, _, more = rest.partition(" ")
    if verb == "version":
        return kazoo.__version__
    if verb == "join":
        return sets.join(first, json.loads(more))
    if verb == "members":
        return json.dumps(sets.members(first))
    if verb == "watch":
        sets.watch(first)
        return "watching"
    if verb == "delete":
        client.delete(first)
        return "deleted"
    if verb == "register":
        return registrator.register(first, json.loads(more))
    if verb == "deregister":
        registrator.deregister(first, *more.split(" "))
        return "deregistered"
    if verb == "consume":
        return json.dumps(registrator.consume(first, more))
    raise ValueError(f"no such request: {verb}")


def main():
    client = KazooClient(hosts=os.environ["INTEROP_CONNECT"], timeout=4)
    client.start(timeout=60)
    sets, registrator = ServerSets(client), Registrator(client)
    for line in sys.stdin:
        try:
            say("= " + answer(client, sets, registrator, line.rstrip("\n")))
        except Exception as why:
            traceback.print_exc()
            say(f"! {type(why).__name__}: {why}".replace("\n", " "))
    os._exit(0)


main()
