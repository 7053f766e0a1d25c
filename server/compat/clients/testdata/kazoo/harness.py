"""Runs checks and prints a line for each: `ok NAME`, or `FAIL NAME: why`."""
import os
import socket
import threading
import time
import traceback

from kazoo.client import KazooClient

WITHIN = 20.0  # seconds, for anything that must happen


class Context:
    """What a check gets: clients of the service, and a subtree of its own."""

    def __init__(self, hosts, name):
        self.hosts, self.root = hosts, "/compat-%s-%d" % (name, os.getpid())
        self.opened = []

    def client(self, path="", **options):
        """A started client whose paths begin at path below the root of the suite."""
        client = self.unstarted(self.root + path, **options)
        client.start(timeout=WITHIN)
        return client

    def unstarted(self, chroot, **options):
        options.setdefault("timeout", 15.0)
        if "LYCAON_COMPAT_CA" in os.environ:
            options.update(use_ssl=True, ca=os.environ["LYCAON_COMPAT_CA"])
        client = KazooClient(hosts=self.hosts + chroot, **options)
        self.opened.append(client)
        return client

    def close(self):
        for client in self.opened:
            try:
                client.stop()
                client.close()
            except Exception:  # one that was broken on purpose
                pass
        self.opened = []


def run(hosts, name, checks):
    context, failed = Context(hosts, name), 0
    setup = context.unstarted("")
    setup.start(timeout=WITHIN)
    setup.ensure_path(context.root)
    context.close()
    for check in checks:
        label = check.__name__.replace("_", " ")
        try:
            sub = Context(hosts, name)
            check(sub)
            print("ok", label, flush=True)
        except Exception as error:
            failed += 1
            where = traceback.extract_tb(error.__traceback__)
            lines = ["%s:%d" % (f.filename.rsplit("/", 1)[-1], f.lineno) for f in where[-3:]]
            print("FAIL %s: %r at %s" % (label, error, " ".join(lines)), flush=True)
        finally:
            sub.close()
    return 1 if failed else 0


def expect(got, want, what="value"):
    if got != want:
        raise AssertionError("%s is %r, want %r" % (what, got, want))


def raises(kind, call, *args, **kw):
    try:
        got = call(*args, **kw)
    except kind:
        return
    except Exception as error:
        raise AssertionError("raised %r, want %s" % (error, kind.__name__))
    raise AssertionError("returned %r, want %s" % (got, kind.__name__))


def eventually(condition, what):
    end = time.monotonic() + WITHIN
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("not in time: " + what)
        time.sleep(0.02)


def break_connection(client):
    """Cuts the TCP connection; the client reattaches its session elsewhere."""
    client._connection._socket.shutdown(socket.SHUT_RDWR)


def abandon(client):
    """Ends a client without a word to the service, as a crash does."""
    client._stopped.set()
    break_connection(client)


class Events:
    """A watcher that keeps what it was told."""

    def __init__(self):
        self.seen, self.changed = [], threading.Condition()

    def __call__(self, event):
        with self.changed:
            self.seen.append((event.type, event.path))
            self.changed.notify_all()

    def wait(self, *want):
        """Waits until exactly these have been seen, in this order."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.seen) >= len(want), WITHIN)
            expect(self.seen, list(want), "events")


def in_background(call, *args):
    """Starts call in a thread and returns a function that joins it and gives its result."""
    out = []
    def body():
        try:
            out.append((call(*args), None))
        except Exception as error:
            out.append((None, error))
    thread = threading.Thread(target=body, daemon=True)
    thread.start()

    def join(within=WITHIN):
        thread.join(within)
        if not out:
            raise AssertionError("still running: %r" % (call,))
        result, error = out[0]
        if error:
            raise error
        return result
    return join
