"""popferry status on a screen of 80 columns and less, for some accounts and for all, and after faults."""
import json
import os
import sqlite3
import time

from kit.case import Case, cases
from kit.messages import letters
from kit.pop3 import At
from kit.popferry import LOGIN, OK, REFUSED, RETRY, USAGE
from kit.terminal import run_on_terminal


class Shown(Case):
    def prepare(self, **top):
        self.boxes = {"thomas": letters(3), "anna": letters(2), "karl": []}
        self.far, self.near = self.pop3(self.boxes), self.smtp()
        self.options = self.fetchrc(self.far, self.near, top=top)
        return self.options

    def json(self, *args, status=OK):
        return {row["account"]: row for row in json.loads(self.ferry("status", "--json", *args, status=status).stdout)}

    def change(self, sql):
        db = sqlite3.connect(os.path.join(self.popferry.state, "history.db"))
        db.execute(sql)
        db.commit()
        db.close()

    def test_before_the_first_run_all_are_stale(self):
        self.prepare()
        run = self.ferry("status", status=RETRY)
        self.assertEqual(run.stderr, "")
        self.assertEqual(run.stdout.count("never STALE"), 3)
        self.assertIn("3 of 3 accounts are STALE", run.stdout)

    def test_after_a_good_run_all_are_well(self):
        self.prepare()
        self.ferry()
        run = self.ferry("status")
        self.assertIn("thomas  thomas@127.0.0.1", run.stdout)
        self.assertIn("last run 3 (", run.stdout)
        self.assertIn("3 accounts, all well", run.stdout)
        rows = self.json()
        self.assertEqual([rows[name]["run_messages"] for name in ("thomas", "anna", "karl")], [3, 2, 0])
        self.assertEqual(rows["thomas"]["day_messages"], 3)
        self.assertEqual([day["messages"] for day in rows["thomas"]["week"]], [0, 0, 0, 0, 0, 0, 3])
        self.assertTrue(rows["thomas"]["healthy"])
        self.assertAlmostEqual(rows["thomas"]["last_success"], time.time(), delta=60)
        self.assertEqual(self.ferry("-q", "status").stdout, "")

    def test_a_fault_is_told_in_a_sentence_and_one_account_is_stale(self):
        self.prepare()
        self.ferry()
        self.options["account"]["anna"]["password"] = "wrong"
        self.options["stale_after"] = "1h"
        self.popferry.configure(self.options)
        self.ferry(status=LOGIN)
        self.ferry("status")
        self.change("UPDATE mailbox SET last_success = last_success - 3601 WHERE identity LIKE 'anna@%'")
        run = self.ferry("status", status=RETRY)
        self.assertRegex(run.stdout, r"last fault +\d{4}-\d\d-\d\d \d\d:\d\d: 127\.0\.0\.1 refused the login: -ERR \[AUTH\] wrong")
        self.assertIn("left alone", run.stdout)
        self.assertIn("1 of 3 accounts is STALE", run.stdout)
        rows = self.json(status=RETRY)
        self.assertEqual((rows["anna"]["healthy"], rows["anna"]["last_fault_class"]), (False, "login"))
        self.assertGreater(rows["anna"]["login_retry_at"], time.time())
        quiet = self.ferry("-q", "status", status=RETRY).stdout
        self.assertIn("anna  ", quiet)
        self.assertNotIn("thomas  ", quiet)
        self.ferry("status", "thomas")
        self.ferry("status", "anna", status=RETRY)
        self.ferry("status", "nobody", status=USAGE)

    def test_what_is_no_utf8_drops_no_account(self):
        self.prepare()
        self.far.rules = [At("login").reply(b"-ERR [AUTH] Ung\xfcltiges \x9b2JKennwort\r\n")]
        self.ferry(status=LOGIN)
        faults = [row["last_fault"] for row in self.json(status=RETRY).values()]
        self.assertEqual(len(faults), 3)
        self.assertTrue(any("Ung?ltiges ?2JKennwort" in fault for fault in faults), faults)
        # Rows of older versions
        self.change("UPDATE mailbox SET last_fault = CAST(x'556e67fc9b' AS TEXT), last_fault_time = 1")
        self.assertEqual({row["last_fault"] for row in self.json(status=RETRY).values()}, {"Ung??"})
        self.assertEqual(self.ferry("status", status=RETRY).stdout.count("Ung??\n"), 3)

    def test_a_title_that_is_no_utf8_drops_no_account(self):
        self.prepare()
        with open(self.popferry.fetchrc, "rb") as file:
            text = file.read()
        with open(self.popferry.fetchrc, "wb") as file:
            file.write(text.replace(b'account "anna"', b'account "\xfc\x9bnna"').replace(b'username = "anna"', b'username = "\xfcnna"'))
        rows = self.json(status=RETRY)
        self.assertEqual(sorted(rows), ["??nna", "karl", "thomas"])
        self.assertEqual(rows["??nna"]["mailbox"].partition("@")[0], "?nna")
        self.assertIn("\n??nna  ?nna@", "\n" + self.ferry("status", status=RETRY).stdout)

    def test_a_long_title_has_a_line_of_its_own(self):
        self.prepare()
        self.options["account"] = {"x" * 60: self.options["account"]["thomas"]}
        self.popferry.configure(self.options)
        _, screen = run_on_terminal(self.popferry, "status")
        self.assertLess(screen.widest, 80)
        self.assertRegex(screen.text(), "(?m)^x{60} *\n  thomas@")

    def test_what_is_refused_and_what_is_owed(self):
        self.prepare()
        self.near.judge = lambda m: b"550 5.7.1 spam\r\n" if b"letter 2" in m.octets else None
        self.ferry(status=REFUSED)
        self.assertEqual([self.json(status=None)[name]["refused"] for name in ("thomas", "anna", "karl")], [1, 1, 0])
        self.assertIn("0 waiting, 1 refused, 0 quarantined, 0 deletions owed", self.ferry("status", status=None).stdout)

    def test_an_account_that_is_not_enabled_is_not_missed(self):
        self.prepare()
        self.options["account"]["anna"]["enabled"] = False
        self.popferry.configure(self.options)
        self.ferry()
        self.assertIn("(not enabled)", self.ferry("status").stdout)

    def test_nothing_is_written(self):
        self.prepare()
        self.ferry("status", status=RETRY)
        self.assertFalse(os.path.exists(self.popferry.state) and os.listdir(self.popferry.state))

    @cases({"80": 80, "60": 60})
    def test_it_fits_the_terminal(self, columns):
        self.prepare()
        self.ferry()
        words = "cannot connect to a server with quite a long name, since " * 6
        self.change(f"UPDATE mailbox SET last_fault = '{words}', last_fault_time = 1, run_messages = 1234567, run_octets = 99999999999")
        self.change("UPDATE hour SET messages = 7654321, octets = 999999999999")
        run, screen = run_on_terminal(self.popferry, "status", columns=columns)
        self.expect_status(run, OK)
        self.assertLess(screen.widest, columns)
        self.assertIn(" ".join(words.split()), " ".join(screen.text().split()))
        self.assertEqual(screen.unknown, [])

    def test_the_week_is_a_chart_on_a_terminal(self):
        self.prepare()
        self.ferry()
        _, screen = run_on_terminal(self.popferry, "status", "thomas")
        today = time.strftime("%a", time.gmtime())
        self.assertRegex(screen.text(), rf"day by day +(\w\w\w · ){{6}}{today} █")
        _, screen = run_on_terminal(self.popferry, "status", "thomas", env={"LANG": "C"})
        self.assertNotIn("█", screen.text())
        self.assertNotIn("█", self.ferry("status").stdout)
