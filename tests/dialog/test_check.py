"""popferry check: every step of both ends is tried, told with a verdict and advice, and nothing is changed."""
import fcntl
import json
import os

from kit.case import PASSWORD, Case, cases
from kit.certs import Certs
from kit.messages import letters
from kit.pop3 import At, Message
from kit.popferry import CONFIG, LOGIN, OK, PROTOCOL, REFUSED, RETRY, STATE, USAGE


class CheckCase(Case):
    def shores(self, messages=3, pop3=None, smtp=None, top=None, to=None, **account):
        self.pop3_server = self.pop3(letters(messages) if isinstance(messages, int) else messages, **(pop3 or {}))
        self.smtp_server = self.smtp(**(smtp or {}))
        self.fetchrc(self.pop3_server, self.smtp_server, top=top, to=to, **account)
        return self.pop3_server, self.smtp_server

    def check(self, *args, status=OK):
        run = self.ferry("check", *args, status=status)
        for line in run.stdout.splitlines():
            self.assertLessEqual(len(line), max(80, len(max(line.split() or [""], key=len)) + 26), line)
        self.assertEqual((self.pop3_server.commands("DELE"), self.pop3_server.commands("RETR"), self.smtp_server.commands("DATA"),
                          self.smtp_server.accepted), ([], [], [], []))
        return run

    def as_json(self, *args, status=OK):
        run = self.ferry("check", "--json", *args, status=status)
        self.assertEqual(run.stderr, "")
        answer = json.loads(run.stdout)
        self.assertEqual(answer["exit_status"], run.status)
        return answer

    def assert_row(self, run, step, verdict, *words):
        """A row of the table, with the lines that belong to it."""
        rows, row = [], None
        for line in run.stdout.splitlines():
            if line.startswith("  ") and line[2:3].strip():
                rows.append(line)
            elif rows and line.startswith(" "):
                rows[-1] += " " + line.strip()
        for row in rows:
            if row.split()[0] == step and row.split()[1] == verdict and all(w.lower() in row.lower() for w in words):
                return row
        self.fail(f"no row says {step} {verdict} {words}:\n{run.stdout}")


class NoUtf8(CheckCase):
    def test_a_finding_keeps_its_text_and_an_account_its_title(self):
        pop3, _ = self.shores()
        pop3.rules = [At("login").reply(b"-ERR [AUTH] Ung\xfcltig\x9b\r\n")]
        with open(self.popferry.fetchrc, "rb") as file:
            text = file.read()
        with open(self.popferry.fetchrc, "wb") as file:
            file.write(text.replace(b'account "thomas"', b'account "\xfcthomas"'))
        account = self.as_json(status=LOGIN)["accounts"][0]
        self.assertEqual(account["account"], "?thomas")
        self.assertTrue(any("Ung?ltig?" in finding["text"] for finding in account["findings"]))
        run = self.check(status=LOGIN)
        self.assertIn("account ?thomas  ", run.stdout)
        self.assertNotIn("\ufffd", run.stdout)

    def test_a_mistake_in_the_fetchrc_is_told(self):
        self.shores()
        with open(self.popferry.fetchrc, "ab") as file:
            file.write(b'account "two" {\n    tls = "\xfc\x9b"\n}\n')
        mistakes = json.loads(self.ferry("check", "--json", status=CONFIG).stdout)["mistakes"]
        self.assertTrue(any("??" in line for line in mistakes), mistakes)


class Healthy(CheckCase):
    def test_everything_is_tried(self):
        pop3, smtp = self.shores()
        run = self.check()
        self.assertEqual(run.stderr, "")
        for step in ("fetchrc", "state", "secret", "connection", "login", "CAPA", "STAT", "messages", "NOOP", "RSET", "QUIT",
                     "EHLO", "MAIL", "recipient"):
            self.assert_row(run, step, "ok")
        self.assert_row(run, "messages", "ok", "3 new", "0 kept", "0 oversize", "0 waiting")
        self.assertTrue(run.stdout.rstrip().endswith("All is well."))
        self.assertTrue({"NOOP", "RSET", "QUIT", "STAT", "UIDL", "LIST"} <= {c.split()[0] for c in pop3.commands()})
        self.assertTrue({"VRFY", "MAIL", "RCPT", "RSET", "QUIT"} <= {c.split()[0] for c in smtp.commands()})

    def test_nothing_is_changed(self):
        pop3, smtp = self.shores()
        self.check()
        self.assertFalse(os.path.exists(self.popferry.state))
        self.ferry()
        self.assertEqual(len(smtp.accepted), 3)
        before = sorted(os.listdir(self.popferry.state))
        pop3.sessions.clear(), smtp.sessions.clear(), smtp.accepted.clear()
        self.check()
        self.assertEqual(sorted(os.listdir(self.popferry.state)), before)
        self.ferry()
        self.assertEqual(smtp.accepted, [])

    def test_what_a_run_would_do_is_counted(self):
        messages = [Message(m) for m in letters(4)] + [Message(letters(1, size=5000)[0])]
        pop3, _ = self.shores(messages, keep=True, max_size="2k")
        pop3.mailboxes["thomas"].messages, later = messages[:3], messages[3:]
        self.ferry()
        pop3.mailboxes["thomas"].messages += later
        pop3.sessions.clear(), self.smtp_server.sessions.clear(), self.smtp_server.accepted.clear()
        self.assert_row(self.check(), "messages", "ok", "1 new", "3 kept", "1 oversize")
        answer = self.as_json()["accounts"][0]["messages"]
        self.assertEqual([answer[k] for k in ("total", "new", "kept", "oversize", "waiting", "delete")], [5, 1, 3, 1, 0, 0])

    def test_mail_that_was_left_over_waits_here_as_in_status(self):
        pop3, smtp = self.shores(3)
        smtp.judge = lambda message: b"451 4.3.0 later\r\n"
        self.ferry(status=RETRY)
        pop3.sessions.clear(), smtp.sessions.clear()
        self.assert_row(self.check(), "messages", "ok", "0 new", "3 waiting")
        self.assertIn("3 waiting, 0 refused", self.ferry("status", status=RETRY).stdout)

    def test_refused_mail_waits(self):
        self.shores(1, smtp={"judge": lambda message: b"550 5.7.1 no spam here\r\n"})
        for _ in range(2):
            self.ferry(status=REFUSED)
        self.pop3_server.sessions.clear(), self.smtp_server.sessions.clear()
        run = self.ferry("check", status=OK)
        self.assert_row(run, "refused", "warn", "history", "--retry")
        self.assert_row(run, "messages", "ok", "0 new", "0 waiting", "1 refused")

    def test_the_certificate_is_shown_with_its_pin(self):
        self.shores(pop3={"tls": "implicit"}, smtp={"tls": "starttls"})
        run = self.check()
        self.assert_row(run, "certificate", "ok", "CN=good", "popferry test CA", "days left")
        fingerprint = self.as_json()["accounts"][0]["certificate"]["sha256"]
        self.assertIn(f"\n    sha256:{fingerprint}\n", run.stdout)
        self.assertEqual(len(fingerprint), 64)
        self.fetchrc(self.pop3_server, self.smtp_server, tls_ca_file=None, tls_fingerprint="sha256:" + fingerprint)
        self.check()

    def test_a_provider_hint(self):
        self.shores(provider="gmx")
        self.assert_row(self.check(), "provider", "note", "gmx", "app password")

    @cases({"no CAPA": ({"caps": None}, "CAPA", "note", "not known"),
            "no UIDL": ({"caps": ("TOP", "USER"), "without": ("UIDL",)}, "UIDL", "warn", "no identity"),
            "LOGIN-DELAY": ({"caps": ("TOP", "UIDL", "USER", "LOGIN-DELAY 900")}, "LOGIN-DELAY", "note", "900"),
            "no NOOP": ({"without": ("NOOP",)}, "NOOP", "warn", "-ERR")})
    def test_a_server_that_knows_less(self, pop3, *row):
        self.shores(pop3=pop3)
        self.assert_row(self.check(), *row)

    def test_expire_0_and_keep(self):
        self.shores(pop3={"caps": ("TOP", "UIDL", "USER", "EXPIRE 0")}, keep=True)
        self.assert_row(self.check(), "EXPIRE", "warn", "keep")

    @cases({"252": b"252 2.1.5 send some mail\r\n", "502": b"502 5.5.1 VRFY disabled\r\n", "500": b"500 what?\r\n"})
    def test_vrfy_that_says_nothing_is_fine(self, reply):
        self.shores(smtp={"rules": [At("VRFY").reply(reply)]})
        self.assert_row(self.check(), "recipient", "ok", "thomas@localhost", reply.decode()[:3])

    def test_vrfy_that_denies_is_a_warning(self):
        self.shores(smtp={"rules": [At("VRFY").reply(b"550 5.1.1 unknown\r\n")]})
        self.assert_row(self.check(), "recipient", "warn", "550 5.1.1 unknown")

    def test_helo_only(self):
        self.shores(smtp={"without": ("EHLO",), "extensions": ()})
        self.assert_row(self.check(), "EHLO", "note", "HELO")

    def test_lmtp(self):
        self.shores(smtp={"lmtp": True})
        run = self.check()
        self.assert_row(run, "LHLO", "ok", "PIPELINING")
        self.assert_row(run, "recipient", "ok", "thomas:")

    def test_xclient_that_is_not_offered(self):
        self.shores(to={"xclient": True})
        self.assert_row(self.check(), "XCLIENT", "warn", "smtpd_authorized_xclient_hosts")

    def test_only_what_is_named_is_tried(self):
        pop3, smtp = self.pop3({"one": letters(1), "two": letters(1)}), self.smtp()
        other = self.smtp()
        options = self.fetchrc(pop3, smtp)
        options["destination"]["other"] = self.destination(other)
        options["account"]["two"]["destination"] = "other"
        self.popferry.configure(options)
        self.pop3_server, self.smtp_server = pop3, smtp
        run = self.check("one")
        self.assertIn("account one", run.stdout)
        self.assertNotIn("account two", run.stdout)
        self.assertEqual(other.sessions, [])

    def test_an_account_that_is_not_enabled_is_tried_if_named(self):
        self.shores(enabled=False)
        self.assertNotIn("account thomas", self.check().stdout)
        self.assert_row(self.check("thomas"), "login", "ok")

    def test_many_recipients(self):
        _, smtp = self.shores(recipients=[f"user{n}" for n in range(120)])
        self.assertEqual(len(self.as_json()["destinations"][0]["recipients"]), 120)
        self.assertEqual(len(smtp.commands("MAIL")), 3)


class Faults(CheckCase):
    """Each has a row, an advice and its exit status."""

    def found(self, status, step, *words):
        run = self.check(status=status)
        row = self.assert_row(run, step, "FAULT", *words)
        self.assertIn("-> ", row)
        finding = next(f for s in (lambda a: [a["fetchrc"], *a["accounts"], *a["destinations"]])(self.as_json(status=status))
                       for f in s["findings"] if f["verdict"] == "fault")
        self.assertEqual(finding["step"], step)
        self.assertTrue(finding["advice"])
        return row

    def test_no_secret(self):
        self.shores(password=None, password_command="echo no such entry >&2; false")
        self.found(LOGIN, "secret", "no such entry", "password_command")

    def test_nobody_listens(self):
        pop3, _ = self.shores()
        pop3.stop()
        self.found(RETRY, "connection", "refused", "`port`")

    def test_no_such_host(self):
        self.shores(host="nowhere.invalid")
        self.found(RETRY, "connection", "nowhere.invalid")

    def test_wrong_password(self):
        self.shores(password="not it")
        self.found(LOGIN, "login", "[AUTH] wrong password", "app password")

    def test_wrong_password_with_a_provider(self):
        self.shores(password="wrong", provider="gmx")
        self.found(LOGIN, "login", "two-factor")

    def test_in_use(self):
        pop3, _ = self.shores()
        pop3.mailboxes["thomas"].busy.acquire()
        self.found(RETRY, "login", "[IN-USE]", "another program")

    def test_a_run_that_holds_the_mailbox(self):
        pop3, smtp = self.shores()
        self.ferry()
        pop3.sessions.clear(), smtp.sessions.clear(), smtp.accepted.clear()
        names = [n for n in os.listdir(self.popferry.state) if n.startswith("lock-")]
        files = [open(os.path.join(self.popferry.state, name), "r+") for name in names]
        for file in files:
            fcntl.flock(file, fcntl.LOCK_EX)
        self.found(RETRY, "lock", "just now")
        self.assertEqual(pop3.sessions, [])
        for file in files:
            file.close()

    @cases({"an unknown authority": ("good", None, "issuer"), "another name": ("wrong_host", True, "host name"),
            "expired": ("expired", True, "expired")})
    def test_a_certificate(self, which, ca, words):
        self.shores(pop3={"tls": "implicit", "cert": getattr(Certs.shared(), which)},
                    tls_ca_file=Certs.shared().ca if ca else None)
        row = self.found(PROTOCOL, "TLS", words)
        self.assertRegex(row, "sha256:[0-9a-f]{64}")
        self.assertEqual(len(self.as_json(status=PROTOCOL)["accounts"][0]["certificate"]["sha256"]), 64)

    def test_another_pin(self):
        self.shores(pop3={"tls": "implicit"}, tls_fingerprint="sha256:" + "0" * 64, tls_ca_file=None)
        self.found(PROTOCOL, "TLS", "tls_fingerprint", "new certificate")

    def test_no_stls(self):
        self.shores(tls="starttls")
        self.careful = False
        self.found(PROTOCOL, "TLS", "STLS", "`tls`")

    def test_another_service(self):
        self.shores(pop3={"rules": [At("greeting").reply(b"220 I do SMTP\r\n")]})
        self.found(PROTOCOL, "connection", "does not speak POP3", "another service")

    def test_a_listing_that_fails(self):
        self.shores(pop3={"rules": [At("LIST").reply(b"nonsense\r\n")]})
        self.found(PROTOCOL, "listing", "nonsense")

    def test_mistakes_of_the_fetchrc_for_programs(self):
        self.popferry.configure("jbos = 1\ntimeout = x\n")
        run = self.ferry("check", "--json", status=CONFIG)
        answer = json.loads(run.stdout)
        self.assertEqual((len(answer["mistakes"]), answer["exit_status"]), (2, CONFIG))
        self.assertIn('fetchrc:1: unknown option "jbos"', answer["mistakes"][0])
        self.assert_names(run, "2 mistakes")
        os.unlink(self.popferry.fetchrc)
        self.assertEqual(len(json.loads(self.popferry.run("check", "--json", plain=True).stdout)["mistakes"]), 1)

    def test_the_history_cannot_be_read(self):
        self.shores()
        os.makedirs(self.popferry.state)
        with open(os.path.join(self.popferry.state, "history.db"), "w") as file:
            file.write("this is no database\n" * 100)
        self.found(STATE, "state", "--reset")

    def test_the_destination_is_down(self):
        _, smtp = self.shores()
        smtp.stop()
        self.found(RETRY, "connection", "refused", "mail server")

    def test_the_destination_wants_a_login(self):
        self.shores(smtp={"users": {"mail": "smtp secret"}})
        self.found(REFUSED, "MAIL", "530", "username")

    def test_the_destination_refuses_the_login(self):
        self.shores(smtp={"users": {"mail": "smtp secret"}}, to={"username": "mail", "password": "wrong"})
        self.found(LOGIN, "login", "535")

    @cases({"for good": (b"550 5.1.1 no such user\r\n", REFUSED, "recipient_domain"),
            "for now": (b"450 4.2.0 greylisted\r\n", RETRY, "again")})
    def test_a_recipient_that_is_refused(self, reply, status, advice):
        self.shores(smtp={"refuse": {"thomas@localhost": reply}})
        self.found(status, "recipient", "thomas@localhost", reply.decode()[:9], advice)

    def test_the_destination_hangs_up(self):
        self.shores(smtp={"rules": [At("VRFY").close()]})
        self.found(RETRY, "VRFY", "closed the connection")

    def test_the_gravest_fault_decides_and_the_others_go_on(self):
        pop3, smtp = self.pop3({"one": letters(1), "two": letters(1), "six": letters(1)}), self.smtp()
        options = self.fetchrc(pop3, smtp)
        options["account"]["one"]["port"] = 1
        options["account"]["two"]["password"] = "wrong"
        self.popferry.configure(options)
        self.pop3_server, self.smtp_server = pop3, smtp
        run = self.check(status=LOGIN)
        self.assertIn("1 new", run.stdout)
        for line in ("  account one: connection", "  account two: login"):
            self.assertIn(line, run.stdout)
        self.assertEqual([a["verdict"] for a in self.as_json(status=LOGIN)["accounts"]], ["fault", "fault", "ok"])

    def test_an_unknown_account(self):
        self.shores()
        self.assert_names(self.check("thomas", "nobody", status=USAGE), "nobody")
        self.assertEqual(self.pop3_server.sessions, [])

    def test_a_mistake_in_the_fetchrc(self):
        self.popferry.configure("nonsense = 1\n")
        self.assert_names(self.ferry("check", status=CONFIG), "nonsense")

    def test_secrets_are_not_shown(self):
        self.shores(smtp={"users": {"mail": PASSWORD}}, to={"username": "mail", "password": PASSWORD})
        self.assertNotIn(PASSWORD, self.check("-vv").stdout)
