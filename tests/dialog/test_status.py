"""popferry status: how each account does, for a person and for a monitor."""
import json
import os

from kit.case import Case
from kit.clock import shifted
from kit.messages import letters
from kit.pop3 import At
from kit.popferry import CONFIG, LOGIN, OK, REFUSED, RETRY, STATE, USAGE
from kit.keyboard import Terminal


class Status(Case):
    def shores(self, count=3, pop3=None, smtp=None, top=None, **account):
        self.pop3_server, self.smtp_server = self.pop3(letters(count), **(pop3 or {})), self.smtp(**(smtp or {}))
        self.fetchrc(self.pop3_server, self.smtp_server, top=top, **account)
        return self.pop3_server, self.smtp_server

    def status(self, *args, status=OK, **how):
        return self.ferry("status", *args, status=status, **how)

    def row(self, status=OK, **how):
        (row,) = json.loads(self.status("--json", status=status, **how).stdout)
        return row

    def test_before_the_first_run(self):
        self.shores()
        self.assertIn("never", self.status(status=RETRY).stdout)
        row = self.row(RETRY)
        self.assertEqual((row["healthy"], row["last_success"], row["run_messages"]), (False, 0, 0))
        self.assertFalse(os.path.exists(self.popferry.state))

    def test_after_a_good_run(self):
        self.shores()
        self.ferry()
        shown = self.status().stdout
        for words in ("last success", "last run 3 (", "day 3 (", "week 3 (", "0 waiting", "0 refused"):
            self.assertIn(words, shown)
        row = self.row()
        self.assertEqual((row["account"], row["healthy"], row["run_messages"], row["day_messages"], row["last_fault"]),
                         ("thomas", True, 3, 3, ""))
        self.assertEqual(sum(day["messages"] for day in row["week"]), 3)
        self.assertEqual(row["run_octets"], sum(len(m.octets) for m in self.smtp_server.accepted) - self.traces())

    def traces(self):
        return sum(len(m.octets) for m in self.smtp_server.accepted) - sum(len(rest) for rest in self.arrivals(self.smtp_server))

    def test_days_and_weeks(self):
        pop3, _ = self.shores(2, keep=True)
        self.ferry(env=shifted(-3 * 86400))
        pop3.mailboxes["thomas"].add(letters(3)[2])
        self.ferry()
        row = self.row()
        self.assertEqual((row["run_messages"], row["day_messages"]), (1, 1))
        self.assertEqual([day["messages"] for day in row["week"]], [0, 0, 0, 2, 0, 0, 1])

    def test_a_fault_is_told_in_a_sentence(self):
        self.shores(password="not it")
        self.ferry(status=LOGIN)
        self.assertIn("wrong password", self.status(status=RETRY).stdout)
        self.assertEqual(self.row(RETRY)["last_fault_class"], "login")
        self.assertIn("left alone", self.status(status=RETRY).stdout)

    def test_stale_is_what_has_not_succeeded_for_long(self):
        pop3, _ = self.shores(top={"stale_after": "2h"})
        self.ferry(env=shifted(-3 * 3600))
        self.assertIn("STALE", self.status(status=RETRY).stdout)
        self.ferry()
        self.status()
        pop3.rules = [At("greeting").reply(b"-ERR not now\r\n")]
        self.ferry(status=RETRY)
        self.assertIn("not now", self.status().stdout)

    def test_refused_and_waiting(self):
        self.shores(smtp={"judge": lambda m: b"550 5.7.1 no\r\n" if b"letter 2" in m.octets else None}, keep=True)
        self.ferry(status=REFUSED)
        self.assertEqual(self.row(None)["refused"], 1)

    def test_only_those_that_are_named(self):
        pop3, smtp = self.pop3({"one": letters(1), "two": letters(1)}), self.smtp()
        self.fetchrc(pop3, smtp)
        self.ferry("run", "one")
        self.status(status=RETRY)
        shown = self.status("one").stdout
        self.assertIn("one@", shown)
        self.assertNotIn("two@", shown)
        self.assert_names(self.status("three", status=USAGE), "three")

    def test_an_account_that_is_not_enabled_is_not_stale(self):
        self.shores(enabled=False)
        self.assertIn("not enabled", self.status().stdout)

    def test_a_login_delay(self):
        self.shores(pop3={"caps": ("TOP", "UIDL", "USER", "LOGIN-DELAY 3600")})
        self.ferry()
        self.assertIn("LOGIN-DELAY", self.status().stdout)

    def test_a_chart_on_a_terminal(self):
        self.shores()
        self.ferry()
        with Terminal(self.popferry, "status") as terminal:
            terminal.wait("█")
        self.assertEqual(terminal.status, OK)
        self.assertNotIn("█", self.status().stdout)

    def test_a_broken_history_and_a_broken_fetchrc(self):
        self.shores()
        os.makedirs(self.popferry.state)
        with open(os.path.join(self.popferry.state, "history.db"), "w") as file:
            file.write("nonsense")
        self.status(status=STATE)
        self.popferry.configure("nonsense = 1\n")
        self.status(status=CONFIG)
