"""What the Python programs share: one line for each check, and requests to the test that started them.

Lines on stdout: `ok NAME` or `FAILED NAME: why`, `client NAME VERSION`, `do WHAT` (answered by `done` on stdin), and at the end
`checked N`.
"""
import os
import sys
import threading
import traceback

CONNECT = os.environ["INTEROP_CONNECT"]
ROOT = os.environ["INTEROP_ROOT"]
DEADLINE = 30
CHECKS = []


def say(line):
    print(line, flush=True)


def check(function):
    CHECKS.append(function)
    return function


def please(what):
    """Has the test do something to the server, and waits until it is done."""
    say("do " + what)
    answer = sys.stdin.readline().strip()
    if answer != "done":
        raise AssertionError(f"the test could not {what}: {answer!r}")


def equal(seen, wanted, what="value"):
    if seen != wanted:
        raise AssertionError(f"{what} is {seen!r}, not {wanted!r}")


def raises(kind, call, *arguments, **named):
    try:
        value = call(*arguments, **named)
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was not raised; the answer was {value!r}")


class Box:
    """Collects what callbacks are given."""

    def __init__(self):
        self.items = []
        self.changed = threading.Condition()

    def put(self, item):
        with self.changed:
            self.items.append(item)
            self.changed.notify_all()

    def wait(self, wanted, what):
        """Until `wanted` is true of the items, which are returned."""
        with self.changed:
            if not self.changed.wait_for(lambda: wanted(self.items), DEADLINE):
                raise AssertionError(f"no {what} within {DEADLINE} s; there were {self.items!r}")
            return list(self.items)


def run():
    failed = 0
    for function in CHECKS:
        name = function.__name__
        try:
            function()
            say("ok " + name)
        except BaseException as why:
            failed += 1
            traceback.print_exc()
            say(f"FAILED {name}: {type(why).__name__}: {why}".replace("\n", " "))
    say(f"checked {len(CHECKS)}")
    sys.stdout.flush()
    os._exit(1 if failed else 0)
