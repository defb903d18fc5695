"""Fault tests: a run among faults, then clean runs, and what must be true in between and at the end."""
import collections
import os
import shutil

from kit.case import Case
from kit.messages import letter
from kit.popferry import expected, take_trace

NO_PIPELINING = {"caps": ("UIDL", "TOP")}


class FaultCase(Case):
    patience = 25       # seconds that a run may take with timeout = 2

    def shores(self, messages=None, pop3=None, smtp=None, **account):
        """Both servers and a fetchrc, with one delivery session and short timeouts."""
        self.sent = messages or [letter(n, body=b"%d\r\n" % n) for n in (1, 2, 3)]
        far, near = self.pop3(self.sent, **(pop3 or {})), self.smtp(**(smtp or {}))
        self.fetchrc(far, near, top={"timeout": 2, "final_timeout": "2s"}, to={"connections": 1}, **account)
        return far, near

    def faulty_run(self, status, words, pop3, smtp):
        """The run among faults: it ends, not by a signal, and either all is done or a fault is told."""
        run = self.ferry(status=status, timeout=self.patience)
        if run.status == 0:
            self.assertEqual(self.lost(pop3, smtp, among=self.sent), [], "exit status 0, but not all is delivered")
        else:
            self.assertIn("thomas", run.stderr, "the fault does not name the account")
        self.assert_names(run, *words)
        self.assert_small(run, 64)
        self.assertEqual(self.lost(pop3, smtp, among=self.gone(pop3)), [], "deleted remotely, but never accepted")
        return run

    def gone(self, pop3):
        left = collections.Counter(pop3.left("thomas"))
        return list((collections.Counter(self.sent) - left).elements())

    def lost(self, pop3, smtp, among):
        got = collections.Counter(take_trace(m.octets)[1] for m in smtp.accepted)
        return list((collections.Counter(expected(m) for m in among) - got).elements())

    def recover(self, pop3, smtp, duplicates=0, keep=False, runs=3):
        """Clean runs now, until nothing is owed any more."""
        pop3.rules, smtp.rules = [], []
        for _ in range(runs):
            run = self.ferry("run", "thomas", status=None)
            if run.status == 0 and (keep or not pop3.left("thomas")):
                break
        self.assertEqual(run.status, 0, "a clean run after the fault")
        self.assert_arrived(smtp, self.sent, duplicates)
        self.assertEqual(pop3.left("thomas"), self.sent if keep else [])

    def survive(self, pop3_rules=(), smtp_rules=(), status=None, words=(), duplicates=0, keep=False, **how):
        pop3, smtp = self.shores(keep=keep, **how)
        pop3.rules, smtp.rules = list(pop3_rules), list(smtp_rules)
        run = self.faulty_run(status, words, pop3, smtp)
        self.recover(pop3, smtp, duplicates, keep)
        return run

    def afresh(self):
        """Begin anew within one test: no servers, no history."""
        for server in self.servers:
            server.stop()
        self.servers.clear()
        self.popferry.runs.clear()
        shutil.rmtree(self.popferry.state, True)
        os.makedirs(self.popferry.tmp, exist_ok=True)
