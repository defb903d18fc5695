"""Many mailboxes at once, and a whole run under valgrind: no race, no leak, nobody delays anybody."""
import os
import shutil
import signal

from kit.case import Case, cases
from kit.messages import ODD, letters
from kit.pop3 import At
from kit.popferry import LOGIN, RETRY, program


class FiftyAccounts(Case):
    tsan = True

    def setUp(self):
        super().setUp()
        self.boxes = {f"user{n}": letters(4, sender=f"u{n}@example.test") for n in range(50)}
        names = list(self.boxes)
        self.shores = [self.pop3({u: self.boxes[u] for u in names[i::3]}, tls=tls)
                       for i, tls in enumerate(("none", "starttls", "implicit"))]
        self.near = self.smtp()
        self.options = {"timeout": 10, "jobs": 50, "jobs_per_host": 50,
                        "destination": {"local": self.destination(self.near, connections=8)},
                        "account": {u: self.account(server, u) for server in self.shores for u in server.mailboxes}}

    def everything(self):
        return [m for box in self.boxes.values() for m in box]

    def left(self):
        return [m for server in self.shores for u in server.mailboxes for m in server.left(u)]

    def test_cross_in_one_run(self):
        self.popferry.configure(self.options)
        self.assert_silent(self.ferry())
        self.assert_arrived(self.near, self.everything())
        self.assertEqual(self.left(), [])

    def test_some_of_them_broken_do_not_touch_the_others(self):
        self.careful = False        # TLS is spoken to a server that expects none
        self.options["account"]["user7"]["password"] = "wrong"
        self.options["account"]["user8"]["port"] = self.options["account"]["user10"]["port"]
        self.shores[2].rules = [At("RETR", user="user11").close(), At("greeting", session=3).reply(b"-ERR later\r\n").close()]
        self.popferry.configure(self.options)
        run = self.ferry(status={LOGIN})
        self.assert_names(run, "user7", "user11", "-ERR later")
        self.assertLessEqual(len(self.left()), 16)
        self.assertEqual(len({m.octets for m in self.near.accepted}), len(self.near.accepted))

    @cases({"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT})
    def test_a_signal_in_the_middle_loses_nothing(self, sig):
        self.near.delay = 0.02
        self.popferry.configure(self.options)
        process = self.popferry.start()
        self.wait_for(lambda: len(self.near.accepted) > 40)
        process.send_signal(sig)
        self.expect_status(self.popferry.finish(process), {RETRY, 0})
        for server in (*self.shores, self.near):
            server.settle()
        self.near.delay = 0
        self.ferry()
        self.assert_arrived(self.near, self.everything())
        self.assertEqual(self.left(), [])


class Valgrind(Case):
    limit = 300

    def test_a_whole_run_leaks_nothing(self):
        if {"ASAN_OPTIONS", "TSAN_OPTIONS"} & set(os.environ):
            return      # these have looked already
        if not shutil.which("valgrind"):
            self.skipTest("needs valgrind")
        boxes = {"thomas": list(ODD.values())[:12] + letters(3), "anna": letters(3), "karl": letters(2), "lisa": letters(2)}
        pop3, smtp = self.pop3(boxes), self.smtp(refuse={"lisa@localhost": b"550 5.1.1 unknown\r\n"})
        pop3.rules = [At("RETR", user="anna", n=2).close()]
        options = self.fetchrc(pop3, smtp, top={"timeout": 60})
        options["account"]["karl"]["password"] = "wrong"
        self.popferry.configure(options)
        wrapper = ["valgrind", "-q", "--leak-check=full", "--show-leak-kinds=definite,indirect", "--errors-for-leak-kinds=definite,indirect",
                   "--error-exitcode=99", *program()]
        os.environ["POPFERRY"] = " ".join(wrapper)
        self.addCleanup(os.environ.__setitem__, "POPFERRY", " ".join(wrapper[6:]))
        run = self.ferry(status=LOGIN, timeout=200)
        self.assertNotIn("==", run.stderr)
