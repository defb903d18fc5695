"""The base of all tests here: a temporary directory, servers that are stopped, popferry, and what to compare."""
import collections
import functools
import inspect
import os
import shutil
import tempfile
import time
import unittest

from kit.certs import Certs
from kit.popferry import Popferry, expected, take_trace
from kit.pop3 import Pop3Server
from kit.smtp import SmtpServer

PASSWORD = "correct horse"


def cases(table):
    """One test for each row of the table {name: arguments}: the method gets them behind self."""
    def mark(method):
        method.cases = table
        return method
    return mark


class Case(unittest.TestCase):
    limit = 120     # seconds that one test may take

    def __init_subclass__(cls, **how):
        super().__init_subclass__(**how)
        for name, method in list(vars(cls).items()):
            table = getattr(method, "cases", None)
            if table is None:
                continue
            delattr(cls, name)
            for label, args in table.items():
                args = args if isinstance(args, tuple) else (args,)
                bound = functools.partialmethod(method, *args)
                bound.__doc__ = None
                setattr(cls, f"{name}__{label.replace(' ', '_')}", bound)

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="t-", dir=getattr(type(self), "directory_of_class", None))
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.popferry = Popferry(self.directory)
        self.addCleanup(self.popferry.end)
        self.servers = []
        self.rows = []          # of tables: [title, {column: value}]
        self.careful = True     # the scripted servers must not have seen a violation

    # The two shores

    def serve(self, server):
        server.start()
        self.servers.append(server)
        self.addCleanup(server.stop)
        return server

    def pop3(self, mailboxes, **how):
        """A POP3 server. mailboxes: {user: messages}, or a list of messages for thomas."""
        if not isinstance(mailboxes, dict):
            mailboxes = {"thomas": mailboxes}
        if how.get("tls", "none") != "none":
            how.setdefault("cert", Certs.shared().good)
        return self.serve(Pop3Server({user: (PASSWORD, messages) for user, messages in mailboxes.items()}, **how))

    def smtp(self, **how):
        if how.get("tls", "none") != "none":
            how.setdefault("cert", Certs.shared().good)
        return self.serve(SmtpServer(**how))

    # The ferry

    def account(self, server, user="thomas", **more):
        account = {"host": server.host, "port": server.port, "tls": getattr(server, "tls", "none"), "username": user,
                   "password": PASSWORD, "recipients": [user]}
        if account["tls"] != "none":
            account.update(host="localhost", tls_ca_file=Certs.shared().ca)
        account.update(more)
        return account

    def destination(self, server, **more):
        destination = {"protocol": "lmtp" if getattr(server, "lmtp", False) else "smtp"}
        if getattr(server, "path", None):
            destination["socket"] = server.path
        else:
            destination.update(host=server.host, port=server.port)
        if getattr(server, "tls", "none") != "none":
            destination.update(host="localhost", tls=server.tls, tls_ca_file=Certs.shared().ca)
        destination.update(more)
        return destination

    def fetchrc(self, pop3, smtp, top=None, to=None, **account):
        """A fetchrc for one POP3 server, an account for each of its users, and one destination. account: options of every
        account; to: options of the destination; top: options above the sections."""
        options = {"timeout": 5, "final_timeout": "5s", **(top or {}),
                   "destination": {"local": self.destination(smtp, **(to or {}))},
                   "account": {user: self.account(pop3, user, **account) for user in pop3.mailboxes}}
        self.popferry.configure(options)
        return options

    def ferry(self, *args, status=0, **how):
        """Run popferry and expect this exit status (an int, a set of them, or None for any)."""
        run = self.popferry.run(*args, **how)
        for server in self.servers:
            server.settle(3)
        self.expect_status(run, status)
        return run

    def wait_for(self, condition, seconds=10):
        """Wait until condition() is true; False if it does not become so."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def expect_status(self, run, status):
        if isinstance(run.status, int) and run.status < 0:
            self.fail(f"popferry died of signal {-run.status}")
        if status is not None:
            wanted = status if isinstance(status, (set, tuple)) else {status}
            self.assertIn(run.status, wanted, "exit status")
        elif not isinstance(run.status, int):
            self.fail(f"popferry hangs: {run.status}")

    # What must have happened

    def arrivals(self, smtp):
        """The messages below their trace headers, each of which must be well-formed."""
        rests = []
        for message in smtp.accepted:
            trace, rest = take_trace(message.octets)
            self.assertIsNotNone(trace, f"no well-formed trace header on top of {message.octets[:300]!r}")
            rests.append(rest)
        return rests

    def assert_arrived(self, smtp, sent, duplicates=0, missing=()):
        """All of `sent` (octets on the POP3 wire) but `missing` arrived, at most `duplicates` of them more than once."""
        wanted = collections.Counter(expected(m) for m in sent)
        wanted -= collections.Counter(expected(m) for m in missing)
        got = collections.Counter(self.arrivals(smtp))
        lost, extra = wanted - got, got - wanted
        if lost or sum(extra.values()) > duplicates or set(extra) - set(wanted):
            text = [f"{sum(wanted.values())} sent, {sum(got.values())} arrived"]
            text += [f"lost: {m[:200]!r} ({len(m)} octets)" for m in list(lost)[:5]]
            text += [f"arrived, but not sent or twice: {m[:200]!r} ({len(m)} octets)" for m in list(extra)[:5]]
            self.fail("\n".join(text))

    def assert_names(self, run, *words):
        """Standard error says all of this."""
        for word in words:
            self.assertIn(word.lower(), run.stderr.lower())

    def assert_small(self, run, mebibytes):
        """It never had more than this in memory."""
        if not {"ASAN_OPTIONS", "TSAN_OPTIONS"} & set(os.environ):
            self.assertLess(run.peak, mebibytes * 1024, "KiB resident")

    def assert_silent(self, run):
        self.assertEqual((run.stdout, run.stderr), ("", ""))

    def tearDown(self):
        for server in self.servers:
            if self.careful:
                self.assertEqual(server.violations, [], "what a careful client never does")
        for run in self.popferry.runs:
            for secret in (PASSWORD,):
                self.assertNotIn(secret, run.stderr + run.stdout, "a secret is shown")
            self.assertNotIn("Sanitizer", run.stderr)

    def context(self):
        """What a person needs to see when this test fails."""
        parts = []
        if os.path.exists(self.popferry.fetchrc):
            with open(self.popferry.fetchrc) as file:
                parts.append("fetchrc:\n" + "".join("  " + line for line in file.readlines()[:80]))
        parts += [str(run) for run in self.popferry.runs[-4:]]
        parts += [server.transcript() for server in self.servers if hasattr(server, "transcript")]
        return "\n".join(parts)


def tests_of(module):
    """The test classes that a module itself defines."""
    return [c for _, c in inspect.getmembers(module, inspect.isclass)
            if issubclass(c, unittest.TestCase) and c.__module__ == module.__name__]
