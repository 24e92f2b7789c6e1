"""Twitter's own Python library for server sets, twitter.common.zookeeper of the Python package index, line by line."""
import importlib.metadata
import json
import os
import sys
import threading
import traceback

from kazoo.client import KazooClient
from twitter.common.zookeeper.serverset import Endpoint, ServerSet

SPEAKING = threading.Lock()


def say(line):
    with SPEAKING:
        print(line, flush=True)


class TextClient(KazooClient):
    """Takes text for data, as kazoo did for Python 2, for which the library was written."""

    def create_async(self, path, value=b"", **named):
        return super().create_async(path, value.encode() if isinstance(value, str) else value, **named)


def told(instance):
    return json.dumps({
        "endpoint": str(instance.service_endpoint),
        "additional": {name: str(at) for name, at in instance.additional_endpoints.items()},
        "status": str(instance.status), "shard": instance.shard, "member": instance.member_id,
    })


class Sets:
    def __init__(self, client):
        self.client = client
        self.sets = {}
        self.watched = []
        self.memberships = {}

    def at(self, path):
        return self.sets.setdefault(path, ServerSet(self.client, path))

    def answer(self, line):
        verb, _, rest = line.partition(" ")
        path, _, more = rest.partition(" ")
        if verb == "version":
            return importlib.metadata.version("twitter.common.zookeeper")
        if verb == "join":
            wish = json.loads(more)
            additional = {name: Endpoint(*at) for name, at in wish["additional"].items()}
            membership = self.at(path).join(Endpoint(*wish["endpoint"]), additional, shard=wish["shard"])
            self.memberships[membership.id] = membership
            return str(membership.id)
        if verb == "cancel":
            return str(self.at(path).cancel(self.memberships.pop(int(more))))
        if verb == "members":
            return "[" + ", ".join(told(instance) for instance in self.at(path)) + "]"
        if verb == "watch":
            joined = lambda instance: say("* joined " + told(instance))
            left = lambda instance: say("* left " + told(instance))
            self.watched.append(ServerSet(self.client, path, on_join=joined, on_leave=left))
            return "watching"
        raise ValueError(f"no such request: {verb}")


def main():
    client = TextClient(hosts=os.environ["INTEROP_CONNECT"], timeout=10)
    client.start(timeout=60)
    sets = Sets(client)
    for line in sys.stdin:
        try:
            say("= " + sets.answer(line.rstrip("\n")))
        except Exception as why:
            traceback.print_exc()
            say(f"! {type(why).__name__}: {why}".replace("\n", " "))
    os._exit(0)


main()
