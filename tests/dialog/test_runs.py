"""Signals and overlapping runs: a run can be stopped at any time, and never meets itself."""
import signal

from kit.case import Case, cases
from kit.messages import letters
from kit.pop3 import At
from kit.popferry import OK, RETRY


class Signals(Case):
    tsan = True

    def test_sigterm_ends_cleanly_and_the_next_run_goes_on(self):
        sent = letters(20)
        pop3, smtp = self.pop3(sent), self.smtp(delay=0.15)
        self.fetchrc(pop3, smtp, to={"connections": 1})
        for sig in (signal.SIGTERM, signal.SIGINT):
            process = self.popferry.start()
            before = len(smtp.accepted)
            self.wait_for(lambda: len(smtp.accepted) >= before + 3)
            process.send_signal(sig)
            run = self.popferry.finish(process, 20)
            self.expect_status(run, RETRY)
            smtp.settle()
            pop3.settle()
            self.assertLess(len(smtp.accepted), 20)
            self.assertEqual(len(pop3.left("thomas")), 20 - len(smtp.accepted), "what was delivered is deleted")
            self.assert_arrived(smtp, sent[:len(smtp.accepted)])
        smtp.delay = 0
        self.ferry()
        self.assert_arrived(smtp, sent)
        self.assertEqual(pop3.left("thomas"), [])

    def test_a_second_signal_ends_at_once_and_nothing_is_lost(self):
        sent = letters(3)
        pop3, smtp = self.pop3(sent), self.smtp()
        smtp.rules = [At("dot", n=2, times=1).stall(20).normal()]
        self.fetchrc(pop3, smtp, to={"connections": 1}, top={"final_timeout": "60s", "timeout": 60})
        process = self.popferry.start()
        self.wait_for(lambda: len(smtp.accepted) == 1 and any(s.seen.get("dot") == 2 for s in smtp.sessions))
        process.send_signal(signal.SIGTERM)
        self.wait_for(lambda: False, 0.5)
        process.send_signal(signal.SIGTERM)
        run = self.popferry.finish(process, 10)
        self.expect_status(run, {RETRY, -signal.SIGTERM})
        smtp.rules = []
        self.ferry()
        self.assert_arrived(smtp, sent)

    def test_sigterm_leaves_no_job_behind_that_rode_with_a_lost_session(self):
        pop3, smtp = self.pop3(letters(8)), self.smtp()
        smtp.rules = [At("dot", session=1).lose().delay(2).close(), At("dot", session=2).delay(1).normal()]
        self.fetchrc(pop3, smtp, to={"connections": 2})
        process = self.popferry.start()
        self.wait_for(lambda: len([s for s in smtp.sessions if s.seen.get("dot")]) == 2)
        process.send_signal(signal.SIGTERM)
        self.expect_status(self.popferry.finish(process, 20), RETRY)

    def test_sigterm_names_the_mailboxes_that_were_not_polled(self):
        pop3, smtp = self.pop3({"thomas": letters(1), "anna": letters(1)}), self.smtp()
        pop3.rules = [At("STAT").stall(20)]
        self.fetchrc(pop3, smtp, top={"jobs": 1})
        process = self.popferry.start()
        self.wait_for(lambda: any(s.seen.get("STAT") for s in pop3.sessions))
        process.send_signal(signal.SIGTERM)
        run = self.popferry.finish(process, 20)
        self.expect_status(run, RETRY)
        self.assert_names(run, "thomas", "anna", "before it was polled")

    def expect_status(self, run, status):
        if run.status in ({status} if isinstance(status, int) else status):
            return
        super().expect_status(run, status)

    def test_sigkill_at_a_quiet_moment_leaves_no_lock_and_costs_nothing(self):
        sent = letters(5)
        pop3, smtp = self.pop3(sent), self.smtp()
        pop3.rules = [At("LIST", times=1).stall(20)]
        self.fetchrc(pop3, smtp)
        process = self.popferry.start()
        self.wait_for(lambda: any("LIST" in s.seen for s in pop3.sessions))
        process.kill()
        self.popferry.finish(process)
        pop3.settle()
        self.ferry()
        self.assert_arrived(smtp, sent)
        self.assertEqual(pop3.left("thomas"), [])


class Overlap(Case):
    tsan = True

    def test_an_overlapping_run_skips_the_mailbox_and_is_content(self):
        sent = letters(6)
        pop3, smtp = self.pop3(sent), self.smtp(delay=0.3)
        self.fetchrc(pop3, smtp, to={"connections": 1})
        first = self.popferry.start()
        self.wait_for(lambda: smtp.accepted)
        self.assert_silent(self.popferry.run())
        second = self.popferry.run("-v")
        self.expect_status(second, OK)
        self.assert_names(second, "thomas")
        self.expect_status(self.popferry.finish(first), OK)
        pop3.settle()
        self.assert_arrived(smtp, sent)
        self.assertEqual(len(pop3.sessions), 1)

    @cases({"delete": False, "keep": True})
    def test_ten_runs_at_once_deliver_each_message_once(self, keep):
        users = {f"user{n}": letters(5, sender=f"u{n}@example.test") for n in range(5)}
        pop3, smtp = self.pop3(users), self.smtp(delay=0.01)
        self.fetchrc(pop3, smtp, keep=keep)
        runs = [self.popferry.start() for _ in range(10)]
        for process in runs:
            self.expect_status(self.popferry.finish(process), OK)
        self.ferry()
        self.assert_arrived(smtp, [m for box in users.values() for m in box])
