"""What a log holds: JSON lines with stable keys, journal lines with priorities, text; and the metrics for Prometheus."""
import fcntl
import glob
import json
import os
import re
import shutil
import subprocess

from kit.case import Case, cases
from kit.messages import letters
from kit.pop3 import At, Message
from kit.popferry import LOGIN, REFUSED, RETRY, STATE, expected

KEYS = ["time", "level", "account", "event", "text", "class", "stage", "uidl", "size", "recipients", "smtp_reply", "queue_id",
        "duration"]


class Json(Case):
    def events(self, run):
        """The JSON lines by event. Every line must be one, with known keys in their order."""
        found = {}
        for line in run.stderr.splitlines():
            event = json.loads(line)
            self.assertEqual(list(event), [key for key in KEYS if key in event])
            self.assertRegex(event["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertIn(event["level"], ("error", "warning", "notice", "info", "debug"))
            found.setdefault(event["event"], []).append(event)
        return found

    def log(self, *args, status=0, **how):
        return self.events(self.ferry("-v", "--log-format=json", *args, status=status, **how))

    def test_a_delivery_has_every_key(self):
        pop3, smtp = self.pop3([Message(letters(1)[0], uid="abc")]), self.smtp()
        self.fetchrc(pop3, smtp)
        events = self.log()
        delivered, deleted = events["delivered"][0], events["deleted"][0]
        self.assertEqual(delivered["uidl"], "abc")
        self.assertEqual(delivered["account"], "thomas")
        self.assertEqual(delivered["size"], len(letters(1)[0]))
        self.assertEqual(delivered["recipients"], ["thomas@localhost"])
        self.assertEqual(delivered["smtp_reply"], "250 2.0.0 ok: queued as Q1")
        self.assertEqual(delivered["queue_id"], "Q1")
        self.assertGreaterEqual(delivered["duration"], 0)
        self.assertEqual((deleted["uidl"], deleted["account"]), ("abc", "thomas"))
        self.assertEqual(events["polled"][0]["account"], "thomas")
        self.assertEqual(events["summary"][0]["level"], "notice")

    @cases({"4xx": (b"451 4.3.0 later\r\n", "deferred", RETRY), "5xx": (b"550 5.7.1 spam\r\n", "refused", REFUSED)})
    def test_what_is_not_delivered(self, reply, name, status):
        sent = letters(3)
        pop3 = self.pop3([Message(m, uid=f"u{n}") for n, m in enumerate(sent)])
        smtp = self.smtp(judge=lambda m: reply if b"Subject: letter 2\r\n" in m.octets else None)
        self.fetchrc(pop3, smtp)
        events = self.log(status=status)
        self.assertEqual([e["uidl"] for e in events[name]], ["u1"])
        self.assertEqual(events[name][0]["smtp_reply"], reply.decode().strip())
        self.assertEqual(events[name][0]["recipients"], ["thomas@localhost"])
        self.assertEqual(sorted(e["uidl"] for e in events["delivered"]), ["u0", "u2"])
        self.assertEqual(sorted(e["uidl"] for e in events["deleted"]), ["u0", "u2"])
        self.assertEqual(events["fault"][0]["level"], "error")

    def test_only_some_of_the_recipients_have_it(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp(refuse={"karl@localhost": b"450 4.2.1 busy\r\n"})
        self.fetchrc(pop3, smtp, recipients=["thomas", "karl"])
        events = self.log(status=RETRY)
        self.assertEqual(events["delivered"][0]["recipients"], ["thomas@localhost"])
        self.assertEqual(events["deferred"][0]["recipients"], ["karl@localhost"])
        self.assertNotIn("deleted", events)

    def test_what_stays_for_its_size_and_what_is_kept(self):
        pop3 = self.pop3([Message(letters(1)[0], uid="small"), Message(b"Subject: large\r\n\r\n" + b"x" * 5000 + b"\r\n", uid="large")])
        self.fetchrc(pop3, self.smtp(), keep=True, max_size=4000)
        events = self.log()
        self.assertEqual([e["uidl"] for e in events["oversize"]], ["large"])
        self.assertEqual([e["uidl"] for e in events["delivered"]], ["small"])
        self.assertNotIn("kept", self.log())
        self.assertEqual([e["uidl"] for e in self.log("-v")["kept"]], ["small"])

    def test_a_quarantined_message(self):
        sent = letters(2)
        pop3 = self.pop3([Message(m, uid=f"u{n}") for n, m in enumerate(sent)])
        smtp = self.smtp(judge=lambda m: b"550 5.7.1 spam\r\n" if b"Subject: letter 2\r\n" in m.octets else None)
        self.fetchrc(pop3, smtp, on_reject="quarantine")
        self.log(status=REFUSED)
        events = self.log("run", "thomas", status=None)
        quarantined = events.get("quarantined") or self.log(status=None)["quarantined"]
        self.assertEqual((quarantined[0]["uidl"], quarantined[0]["level"]), ("u1", "warning"))
        self.assertEqual(quarantined[0]["smtp_reply"], "550 5.7.1 spam")

    def test_a_fault_of_several_accounts_names_one_of_them_in_each_line(self):
        pop3, smtp = self.pop3({name: letters(1) for name in ("anna", "thomas")}), self.smtp()
        self.fetchrc(pop3, smtp)
        smtp.stop()
        events = self.events(self.ferry("--log-format=json", status=RETRY))
        self.assertEqual(sorted(e["account"] for e in events["fault"]), ["anna", "thomas"])
        self.assertEqual(len(self.ferry(status=RETRY).stderr.splitlines()), 1, "as text both in one")

    def test_without_v_only_faults_are_told(self):
        pop3 = self.pop3(letters(1))
        self.fetchrc(pop3, self.smtp())
        self.assert_silent(self.ferry("--log-format=json"))
        self.fetchrc(pop3, self.smtp(), password="wrong")
        events = self.events(self.ferry("--log-format=json", status=LOGIN))
        self.assertEqual(list(events), ["fault"])
        self.assertEqual((events["fault"][0]["class"], events["fault"][0]["stage"]), ("login", "login"))

    def test_octets_of_a_peer_stay_within_their_line(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp()
        smtp.rules = [At("dot").reply(b"550 5.0.0 \x1b[2J\"\\ \xff\xc3\xa4 }{\r\n")]
        self.fetchrc(pop3, smtp)
        events = self.log(status=REFUSED)
        self.assertNotIn("\x1b", json.dumps(events, ensure_ascii=False))


class Journal(Case):
    def test_lines_have_priorities_and_the_account(self):
        pop3 = self.pop3({"thomas": letters(1), "anna": letters(1)})
        options = self.fetchrc(pop3, self.smtp())
        options["account"]["anna"]["password"] = "wrong"
        self.popferry.configure(options)
        run = self.ferry("-v", "--log-format=journal", status=LOGIN)
        self.assertIn("<3>anna: ", run.stderr)
        self.assertIn("<6>thomas: message ", run.stderr)
        for line in run.stderr.splitlines():
            self.assertRegex(line, r"^<[3-7]>")

    def test_the_journal_is_known_as_such(self):
        self.fetchrc(self.pop3(letters(1)), self.smtp(), password="wrong")
        log = os.path.join(self.directory, "journal")
        script = f'exec 2>"{log}"; export JOURNAL_STREAM="$(stat -Lc %d:%i /proc/self/fd/2)"; exec "$@"'
        os.environ["POPFERRY"], before = f"/bin/sh -c '{script}' sh " + os.environ.get("POPFERRY", ""), os.environ.get("POPFERRY")
        self.addCleanup(os.environ.__setitem__, "POPFERRY", before or "")
        self.ferry(status=LOGIN)
        self.assertRegex(open(log).read(), r"^<3>thomas: ")


class Metrics(Case):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.directory, "popferry.prom")

    def read(self):
        """The samples: {(name, labels): value}."""
        samples = {}
        with open(self.path) as file:
            text = file.read()
        for line in text.splitlines():
            if not line.startswith("#"):
                name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
                samples[name, labels or ""] = float(value)
        if shutil.which("promtool"):
            done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        return samples

    def test_all_figures(self):
        sent = letters(3)
        pop3 = self.pop3({"thomas": sent, "anna": letters(1), "karl": []})
        options = self.fetchrc(pop3, self.smtp(), top={"metrics_file": self.path})
        options["account"]["karl"]["password"] = "wrong"
        options["account"]['a "b" \\c'] = options["account"].pop("anna")
        self.popferry.configure(options)
        self.ferry(status=LOGIN)
        found = self.read()
        self.assertEqual(found["popferry_last_run_messages", 'account="thomas"'], 3)
        self.assertEqual(found["popferry_last_run_messages", r'account="a \"b\" \\c"'], 1)
        self.assertEqual(found["popferry_last_run_octets", 'account="thomas"'], sum(len(expected(m)) for m in sent))
        self.assertEqual(found["popferry_last_run_deleted", 'account="thomas"'], 3)
        self.assertEqual(found["popferry_last_run_faults", 'account="karl",kind="login"'], 1)
        self.assertEqual(found["popferry_last_run_faults", 'account="thomas",kind="login"'], 0)
        self.assertGreater(found["popferry_last_success_timestamp_seconds", 'account="thomas"'], 1.7e9)
        self.assertNotIn(("popferry_last_success_timestamp_seconds", 'account="karl"'), found)
        for stage in ("connect", "list", "retrieve"):
            self.assertGreaterEqual(found["popferry_stage_seconds", f'account="thomas",stage="{stage}"'], 0)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o644)
        self.assertEqual([name for name in os.listdir(self.directory) if name.startswith("popferry.prom.")], [])

    def test_the_last_success_stays_while_a_mailbox_is_left_alone_or_busy(self):
        pop3 = self.pop3(letters(1), caps=("UIDL", "LOGIN-DELAY 600"))
        name = ("popferry_last_success_timestamp_seconds", 'account="thomas"')
        self.fetchrc(pop3, self.smtp(), top={"metrics_file": self.path})
        self.ferry()
        success = self.read()[name]
        self.ferry()
        self.assertEqual(len(pop3.sessions), 1)
        self.assertEqual(self.read()[name], success)
        held = [open(path) for path in glob.glob(os.path.join(self.popferry.state, "lock-*"))]
        for file in held:
            self.addCleanup(file.close)
            fcntl.flock(file, fcntl.LOCK_EX)
        self.assert_names(self.ferry("-v"), "another run")
        self.assertEqual(self.read()[name], success)

    def test_a_dry_run_and_a_run_of_some_leave_them_alone(self):
        self.fetchrc(self.pop3({"thomas": letters(1), "anna": []}), self.smtp(), top={"metrics_file": self.path})
        self.ferry("-n")
        self.ferry("run", "anna")
        self.assertFalse(os.path.exists(self.path))

    def test_a_file_that_cannot_be_written_is_told_once(self):
        self.path = os.path.join(self.directory, "nowhere", "popferry.prom")
        self.fetchrc(self.pop3(letters(1)), self.smtp(), top={"metrics_file": self.path})
        run = self.ferry(status=STATE)
        self.assertEqual(len(run.stderr.splitlines()), 1)
        self.assert_names(run, self.path)
