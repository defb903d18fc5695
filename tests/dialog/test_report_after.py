"""Calm about passing faults: report_after."""
from kit.case import Case
from kit.messages import letters
from kit.pop3 import At
from kit.popferry import LOGIN, OK, REFUSED, RETRY


class ReportAfter(Case):
    def prepare(self, **top):
        self.far, self.near = self.pop3({"thomas": letters(2), "anna": letters(1)}), self.smtp()
        return self.fetchrc(self.far, self.near, top={"report_after": 3, **top})

    def go_down(self):
        self.far.stop()

    def come_back(self):
        self.far.start()

    def test_a_passing_fault_is_told_and_counts_from_the_third_run_on_and_its_end_is_told_once(self):
        self.prepare()
        self.go_down()
        self.assert_silent(self.ferry())
        self.assert_silent(self.ferry())
        for _ in range(2):
            run = self.ferry(status=RETRY)
            self.assert_names(run, "thomas: ", "anna: ", "refused")
        self.come_back()
        run = self.ferry()
        self.assertEqual(sorted(run.stderr.splitlines()),
                         [f"popferry: {name}: recovered after 4 failed runs" for name in ("anna", "thomas")])
        self.assert_silent(self.ferry())
        self.assert_arrived(self.near, letters(2) + letters(1))

    def test_a_fault_that_passes_in_time_is_never_told(self):
        self.prepare()
        for _ in range(2):
            self.go_down()
            self.assert_silent(self.ferry())
            self.assert_silent(self.ferry())
            self.come_back()
            self.assert_silent(self.ferry())

    def test_a_permanent_fault_is_told_at_once_and_so_is_its_end(self):
        options = self.prepare()
        options["account"]["anna"]["password"] = "wrong"
        self.popferry.configure(options)
        run = self.ferry(status=LOGIN)
        self.assert_names(run, "anna")
        self.assertNotIn("thomas", run.stderr)
        self.fetchrc(self.far, self.near, top={"report_after": 3})
        run = self.ferry()
        self.assertEqual(run.stderr, "popferry: anna: recovered after 1 failed run\n")
        self.assert_silent(self.ferry())

    def test_a_permanent_fault_of_a_message_is_told_at_once(self):
        self.prepare()
        self.near.judge = lambda m: b"550 5.7.1 spam\r\n"
        self.assert_names(self.ferry(status=REFUSED), "5.7.1 spam")

    def test_a_destination_that_is_down_is_passing_too_and_told_once_for_all(self):
        self.prepare()
        self.near.stop()
        self.assert_silent(self.ferry())
        self.assert_silent(self.ferry())
        run = self.ferry(status=RETRY)
        self.assertEqual(len(run.stderr.splitlines()), 1, run.stderr)
        self.assert_names(run, "thomas", "anna")
        self.near.start()
        self.ferry()
        self.assertEqual(len(self.near.accepted), 3)

    def test_passing_faults_of_very_many_kinds_are_not_told_early_and_not_forgotten(self):
        self.prepare()
        self.fetchrc(self.far, self.near, top={"report_after": 3}, keep=True)      # so that the numbers stay
        many = letters(80)
        for message in many:
            self.far.mailboxes["thomas"].add(message)
        self.far.rules = [At("RETR", arg=str(n)).reply(b"-ERR no %d\r\n" % n) for n in range(3, 83)]
        self.assert_silent(self.ferry())
        self.assert_silent(self.ferry())
        run = self.ferry(status=RETRY)
        self.assertEqual(len(run.stderr.splitlines()), 65)
        self.assert_names(run, "-ERR no 66", "16 more faults, the first")

    def test_with_v_it_is_told_as_passing(self):
        self.prepare()
        self.go_down()
        self.assert_names(self.ferry("-v"), "passing (1 in a row)", "refused")

    def test_a_dry_run_tells_everything(self):
        self.prepare()
        self.go_down()
        self.assert_names(self.ferry("-n", status=RETRY), "thomas", "anna")

    def test_the_default_tells_each_fault_and_no_recovery(self):
        self.prepare(report_after=1)
        self.go_down()
        self.assert_names(self.ferry(status=RETRY), "thomas")
        self.come_back()
        self.assert_silent(self.ferry())
        self.go_down()
        self.ferry(status=RETRY)
        self.come_back()
        self.assert_names(self.ferry("-v", status=OK), "recovered after 1 failed run")
