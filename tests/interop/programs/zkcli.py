"""zkCli.sh, the command line of the Java client: every command it has, read as a person would read it."""
import os
import queue
import re
import subprocess
import threading

from checks import CONNECT, DEADLINE, ROOT, check, equal, please, run, say

SURROUNDINGS = {name: value for name, value in os.environ.items() if name != "CLASSPATH"}


class Shell:
    """One zkCli.sh. Commands are answered in order, so the answer to a command ends where that to a marker begins."""

    def __init__(self, timeout="10000"):
        self.child = subprocess.Popen([os.environ["INTEROP_ZKCLI"], "-server", CONNECT, "-timeout", timeout], text=True, bufsize=1,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=SURROUNDINGS)
        self.lines, self.marks = queue.Queue(), 0
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.child.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def next(self):
        try:
            return self.lines.get(timeout=DEADLINE)
        except queue.Empty:
            raise AssertionError(f"zkCli.sh has said nothing for {DEADLINE} s") from None

    def __call__(self, command):
        """What is printed from `command` on until it is done."""
        self.marks += 1
        mark = f"/no-such-znode-{self.marks}"
        self.child.stdin.write(f"{command}\nls {mark}\n")
        said = []
        while True:
            line = self.next()
            if line is None:
                raise AssertionError(f"zkCli.sh ended at {command!r}: {said}")
            if mark in line:
                return "\n".join(said)
            said.append(line)

    def tells(self, command, text):
        """`text` comes of `command`, if not before the answer then after it: another thread prints events."""
        if text not in self(command):
            self.wait_for(text)

    def wait_for(self, text):
        while True:
            line = self.next()
            if line is None:
                raise AssertionError(f"zkCli.sh ended without {text!r}")
            if text in line:
                return

    def quit(self):
        self.child.stdin.write("quit\n")
        self.child.wait(DEADLINE)


def has(said, *wanted):
    for text in wanted:
        if text not in said:
            raise AssertionError(f"{text!r} is not in {said!r}")


def words(said):
    """The names in `[a, b]`."""
    listed = re.search(r"^\[(.*)\]$", said, re.MULTILINE)
    return sorted(filter(None, listed.group(1).split(", "))) if listed else None



def at(name):
    return f"{ROOT}/{name}"


cli = Shell()
say("client zkCli.sh " + re.search(r"CLI version: ([0-9.]+)", cli("version")).group(1))
has(cli(f"create {ROOT}"), f"Created {ROOT}")


@check
def create_in_every_mode():
    equal(cli(f"create {at('a')} one"), f"Created {at('a')}", "answer")
    has(cli(f"create {at('a')}"), f"Node already exists: {at('a')}")
    has(cli(f"create {at('no/parent')}"), f"Node does not exist: {at('no/parent')}")
    equal(cli(f"create -s {at('s-')} x"), f"Created {at('s-')}0000000001", "answer")
    equal(cli(f"create -e {at('e')} x"), f"Created {at('e')}", "answer")
    equal(cli(f"create -c {at('c')}"), f"Created {at('c')}", "answer")
    equal(cli(f"create -t 60000 {at('t')} x"), f"Created {at('t')}", "answer")
    has(cli(f"create {at('e/child')}"), "Ephemerals cannot have children")


@check
def get_set_and_stat():
    equal(cli(f"get {at('a')}"), "one", "data")
    has(cli(f"get -s {at('a')}"), "one\ncZxid = 0x", "dataVersion = 0", "ephemeralOwner = 0x0", "dataLength = 3")
    has(cli(f"set -s -v 0 {at('a')} two"), "dataVersion = 1")
    has(cli(f"set -v 0 {at('a')} x"), "version No is not valid")
    equal(cli(f"get {at('a')}"), "two", "data")
    owner = re.search(r"ephemeralOwner = (0x[0-9a-f]+)", cli(f"stat {at('e')}")).group(1)
    equal(int(owner, 16) != 0, True, "owner of the ephemeral")
    has(cli(f"get {at('nobody')}"), "Node does not exist")


@check
def lists():
    equal(words(cli(f"ls {ROOT}")), ["a", "c", "e", "s-0000000001", "t"], "children")
    said = cli(f"ls -s {ROOT}")
    equal(words(said), ["a", "c", "e", "s-0000000001", "t"], "children")
    has(said, "cversion = 5", "numChildren = 5")
    cli(f"create {at('a/deep')}")
    equal(sorted(cli(f"ls -R {ROOT}").split("\n")),
          [ROOT] + [at(name) for name in ("a", "a/deep", "c", "e", "s-0000000001", "t")], "tree")
    equal(cli(f"getAllChildrenNumber {ROOT}"), "6", "number of children")
    equal(words(cli(f"getEphemerals {ROOT}")), [at("e")], "ephemerals below")
    equal(words(cli("getEphemerals")), [at("e")], "ephemerals")
    equal(cli(f"sync {ROOT}"), "Sync is OK", "answer")


@check
def access_lists():
    equal(cli(f"getAcl {at('c')}"), "'world,'anyone\n: cdrwa", "acl")
    has(cli("whoami"), "ip: 127.0.0.1")
    cli("addauth digest ann:secret")
    has(cli("whoami"), "digest: ann")
    cli(f"setAcl {at('c')} auth::cdrwa")
    has(cli(f"getAcl -s {at('c')}"), "'digest,'ann:7RJfAeIvrl4zdj6sS2fXrQHDvHM=\n: cdrwa", "aclVersion = 1")
    cli(f"setAcl {at('c')} world:anyone:r")
    has(cli(f"set {at('c')} x"), "Insufficient permission")


@check
def quotas():
    cli(f"setquota -n 2 {at('a')}")
    has(cli(f"listquota {at('a')}"), f"/zookeeper/quota{at('a')}/zookeeper_limits",
        f"Output quota for {at('a')} count=2,bytes=-1", f"Output stat for {at('a')} count=2,bytes=3")
    cli(f"create {at('a/second')} 12345")
    has(cli(f"listquota {at('a')}"), f"Output stat for {at('a')} count=3,bytes=8")
    cli(f"delete {at('a/second')}")
    has(cli(f"listquota {at('a')}"), f"Output stat for {at('a')} count=2,bytes=3")
    cli(f"delquota {at('a')}")
    has(cli(f"listquota {at('a')}"), f"quota for {at('a')} does not exist")


@check
def a_one_shot_watch_outlives_a_connection():
    cli(f"stat -w {at('a')}")
    please("drop")
    cli.wait_for("state:Disconnected")
    cli.wait_for("state:SyncConnected")
    cli.tells(f"set {at('a')} again", f"type:NodeDataChanged path:{at('a')}")
    cli(f"set {at('a')} two")


@check
def watches():
    equal(cli(f"get -w {at('a')}"), "two", "data")
    cli.tells(f"set {at('a')} 3", f"type:NodeDataChanged path:{at('a')}")
    cli(f"stat -w {at('a')}")
    cli.tells(f"set {at('a')} 4", f"type:NodeDataChanged path:{at('a')}")
    equal("WatchedEvent" in cli(f"set {at('a')} 5"), False, "an event after the only one")
    cli(f"ls -w {at('a')}")
    cli.tells(f"create {at('a/watched')}", f"type:NodeChildrenChanged path:{at('a')}")
    cli(f"addWatch {at('a')}")
    cli.tells(f"set {at('a/watched')} 1", f"type:NodeDataChanged path:{at('a/watched')}")
    cli.tells(f"set {at('a/watched')} 2", f"type:NodeDataChanged path:{at('a/watched')}")
    cli.tells(f"removewatches {at('a')}", f"type:PersistentWatchRemoved path:{at('a')}")
    equal("WatchedEvent" in cli(f"set {at('a/watched')} 3"), False, "an event after the removal")
    cli(f"addWatch -m PERSISTENT {at('a')}")
    cli.tells(f"create {at('a/last')}", f"type:NodeChildrenChanged path:{at('a')}")


@check
def configuration():
    has(cli("config -s"), "cZxid = 0x0", "numChildren = 0")
    has(cli("reconfig -remove 3"), "Reconfig is disabled")


@check
def a_lasting_watch_outlives_a_connection():
    please("drop")
    cli.wait_for("state:Disconnected")
    cli.wait_for("state:SyncConnected")
    cli.tells(f"set {at('a')} 6", f"type:NodeDataChanged path:{at('a')}")
    equal(words(cli("getEphemerals")), [at("e")], "ephemerals of the same session")


@check
def deletions():
    has(cli(f"delete {at('nobody')}"), "Node does not exist")
    has(cli(f"delete {at('a')}"), "Node not empty")
    has(cli(f"delete -v 7 {at('t')}"), "version No is not valid")
    cli(f"delete {at('t')}")
    cli(f"deleteall {at('a')}")
    equal(words(cli(f"ls {ROOT}")), ["c", "e", "s-0000000001"], "children")


@check
def another_session():
    cli.child.stdin.write(f"close\nconnect {CONNECT}\n")
    cli.wait_for("state:SyncConnected")
    equal(words(cli(f"ls {ROOT}")), ["c", "s-0000000001"], "children without the ephemeral of the closed session")


@check
def a_ping_in_every_third_of_the_timeout():
    idle = Shell("3000")
    has(idle(f"create -e {at('idle')}"), f"Created {at('idle')}")
    threading.Event().wait(3.8)
    has(cli(f"ls {ROOT}"), "idle")
    equal("Disconnected" in idle("version"), False, "a loss")
    idle.quit()


@check
def quitting_ends_the_session():
    leaving = Shell()
    has(leaving(f"create -e {at('leaving')}"), f"Created {at('leaving')}")
    leaving.quit()
    equal("leaving" in cli(f"ls {ROOT}"), False, "the ephemeral")
    cli.quit()


run()
