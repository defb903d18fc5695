"""What a person at a terminal sees of a run: a live line a mailbox, a closing line; and what others do not see."""
import re

from kit.case import Case, cases
from kit.messages import letters
from kit.pop3 import At
from kit.popferry import LOGIN
from kit.terminal import run_on_terminal

LIVE = re.compile(r"^\S+ +\d+/\d+ +\d+% ", re.M)


class OnATerminal(Case):
    def prepare(self, users, messages=20, **how):
        self.boxes = {user: letters(messages, size=2000, sender=f"{user[:8]}@example.test") for user in users}
        self.far, self.near = self.pop3(self.boxes), self.smtp(delay=0.02)
        return self.fetchrc(self.far, self.near, **how)

    def watch(self, *args, status=0, **how):
        run, screen = run_on_terminal(self.popferry, *args, **how)
        for server in self.servers:
            server.settle(3)
        self.expect_status(run, status)
        return run, screen

    @cases({"80": 80, "60": 60})
    def test_a_live_line_for_each_mailbox_and_a_closing_line(self, columns):
        self.prepare(["gmx", "posteo"])
        run, screen = self.watch(columns=columns)
        self.assertRegex("\n".join(screen.seen), LIVE)
        self.assertLess(screen.widest, columns, "a line would wrap")
        self.assertEqual(screen.unknown, [])
        self.assertRegex(screen.text(), r"^popferry: 40 messages \(\d+ kB\) from 2 mailboxes in \d+\.\d s$")

    def test_at_80_columns_all_figures_are_there(self):
        self.prepare(["gmx"], messages=60)
        self.far.rules = [At("RETR").delay(0.01).normal()]
        _, screen = self.watch()
        self.assertRegex("\n".join(screen.seen), r"gmx +\d+/60 +\d+% +[\d.]+ k?B +[\d.]+ k?B/s +ETA \d\d:\d\d")

    @cases({"80": 80, "60": 60})
    def test_many_accounts_stay_on_the_screen(self, columns):
        names = [f"account-with-a-long-name-{n}@provider.example.test" for n in range(40)]
        self.prepare(names, messages=2, top={"jobs": 20, "jobs_per_host": 20})
        _, screen = self.watch(columns=columns, rows=15)
        self.assertLess(screen.widest, columns)
        self.assertLessEqual(max(len(state.splitlines()) for state in screen.seen), 14)
        self.assertRegex(screen.text(), r"^popferry: 80 messages .* from 40 mailboxes")

    def test_a_fault_stands_above_the_live_lines_and_stays(self):
        options = self.prepare(["gmx", "posteo"])
        options["account"]["posteo"]["password"] = "wrong"
        self.popferry.configure(options)
        _, screen = self.watch(status=LOGIN)
        self.assertRegex(screen.text(), r"(?s)^popferry: posteo: .*\npopferry: 20 messages .* from 1 mailbox in .*; 1 mailbox with faults$")

    def test_there_are_no_colours(self):
        self.prepare(["gmx"])
        for env in ({}, {"NO_COLOR": "1"}):
            run, screen = self.watch(env=env)
            self.assertNotRegex(run.stderr, r"\x1b\[[0-9;]*m")

    @cases({"a dumb terminal": {"TERM": "dumb"}, "no terminal named": {"TERM": None}})
    def test_no_live_lines_but_the_closing_one(self, env):
        self.prepare(["gmx"])
        run, screen = self.watch(env=env)
        self.assertRegex(run.stderr, r"^popferry: 20 messages [^\x1b]*\r?\n$")

    def test_quiet_says_nothing(self):
        self.prepare(["gmx"])
        run, _ = self.watch("-q")
        self.assertEqual(run.stderr, "")

    def test_a_pipe_gets_nothing(self):
        self.prepare(["gmx"])
        self.assert_silent(self.ferry())

    def test_a_run_without_mail_says_so(self):
        self.prepare(["gmx"], messages=0)
        _, screen = self.watch()
        self.assertRegex(screen.text(), r"^popferry: no new messages from 1 mailbox in ")

    def test_a_name_of_a_peer_moves_no_cursor(self):
        self.prepare(["gmx"], messages=1)
        self.far.rules = [At("RETR").reply(b"-ERR \x1b[2J\x1b[1;1Hgone \x07\r\n")]
        run, screen = self.watch(status=None)
        self.assertNotIn("\x1b[2J", run.stderr)
        self.assertNotIn("\x07", run.stderr)
