"""popferry talk: POP3 and SMTP by hand, after TLS and login, from a pipe and at a terminal."""
import base64
import re
import signal
import time

from kit.case import PASSWORD, Case, cases
from kit.messages import HEAD, ODD, letters
from kit.pop3 import At, Message, Pop3Server, Pop3Session, stuffed
from kit.popferry import CONFIG, LOGIN, OK, PROTOCOL, RETRY, USAGE
from kit.smtp import SmtpServer, SmtpSession
from kit.keyboard import Terminal

SIZES = (510, 412, 413, 376, 374, 409, 455, 422)
PERL = (b"Return-Path: <thomas@localhost>\r\nReceived: (from thomas@localhost)\r\n\tby localhost (8.9.3/8.9.3) id OAA00654\r\n"
        b"\tfor thomas; Sun, 20 Jun 1999 14:45:46 +0200\r\nDate: Sun, 20 Jun 1999 14:45:46 +0200\r\nFrom: thomas@localhost\r\n"
        b"Message-Id: <199906201245.OAA00654@localhost>\r\nTo: thomas@localhost\r\nSubject: Perl und POP3\r\n"
        b"X-UIDL: 8f1d1e50b2a0d8c2\r\n\r\none\r\ntwo\r\nthree\r\nfour\r\nfive\r\nsix\r\n")


class QpopSession(Pop3Session):
    """The words of a server of 1999: QPOP 2.2."""

    def dialogue(self):
        self.server.rules[:0] = [At("greeting", times=1).reply(b"+OK QPOP (version 2.2) at 127.0.0.1 starting.\r\n")]
        super().dialogue()

    def do_user(self, rest):
        super().do_user(rest)
        return f"+OK Password required for {rest}.\r\n".encode()

    def do_pass(self, rest):
        reply = super().do_pass(rest)
        return b"+OK thomas has 8 messages (3371 octets).\r\n" if reply.startswith(b"+OK") else reply

    def do_list(self, rest):
        if rest:
            return f"+OK {rest} {SIZES[int(rest) - 1]}\r\n".encode()
        lines = "".join(f"{n} {size}\r\n" for n, size in enumerate(SIZES, 1))
        return b"+OK 8 messages (3371 octets)\r\n" + lines.encode() + b".\r\n"

    def do_top(self, rest):
        return b"+OK 422 octets\r\n" + stuffed(PERL.replace(b"six\r\n", b""))

    def do_dele(self, rest):
        super().do_dele(rest)
        return f"+OK Message {rest} has been deleted.\r\n".encode()

    def do_rset(self, _):
        super().do_rset(_)
        return b"+OK Maildrop has 8 messages (3449 octets)\r\n"

    def do_stat(self, _):
        return b"+OK 8 3449\r\n"

    def do_quit(self, _):
        super().do_quit(_)
        return b"+OK Pop server at localhost signing off.\r\n"


class QpopServer(Pop3Server):
    session_class = QpopSession


class SendmailSession(SmtpSession):
    """The words of a server of 1999: sendmail 8.9, which takes addresses without angle brackets."""

    def do_ehlo(self, rest):
        names = ["localhost Hello", "8BITMIME", "SIZE", "DSN", "ONEX", "ETRN", "XUSR", "HELP"]
        lines = "".join(f"250{' ' if n == names[-1] else '-'}{n}\r\n" for n in names)
        self.step("EHLO", rest, lambda: self.greet(lines.encode()))

    def do_help(self, rest):
        self.step("HELP", rest, lambda: b"214-MAIL FROM: <sender> [ <parameters> ]\r\n214 End of HELP info\r\n" if rest else
                  b"214-Topics:\r\n214-    HELO    EHLO    MAIL    RCPT    DATA\r\n214 End of HELP info\r\n")

    def do_mail(self, rest):
        self.sender = rest.partition(":")[2].strip()
        self.step("MAIL", rest, lambda: f"250 {self.sender}... Sender ok\r\n".encode())

    def do_rcpt(self, rest):
        address = rest.partition(":")[2].strip()
        self.recipients.append(address)
        self.step("RCPT", address, lambda: f"250 {address}... Recipient ok\r\n".encode())

    def do_rset(self, _):
        self.step("RSET", None, lambda: (self.forget(), b"250 Reset state\r\n")[1])

    def do_quit(self, _):
        self.step("QUIT", None, lambda: b"221 localhost closing connection\r\n")


class SendmailServer(SmtpServer):
    session_class = SendmailSession


class TalkCase(Case):
    def shores(self, messages=3, pop3=None, smtp=None, **account):
        self.pop3_server = self.pop3(letters(messages) if isinstance(messages, int) else messages, **(pop3 or {}))
        self.smtp_server = self.smtp(**(smtp or {}))
        self.fetchrc(self.pop3_server, self.smtp_server, **account)
        return self.pop3_server, self.smtp_server

    def talk(self, typed, *args, status=OK, who="thomas", **how):
        if isinstance(typed, str):
            typed = typed.encode()
        return self.ferry("talk", *args, who, typed=typed, status=status, **how)

    def sent(self, server):
        """The commands of the last session, without what popferry itself does before."""
        return server.sessions[-1].commands


class ThePages(TalkCase):
    """The two sessions by hand, and all commands of both lists."""

    def test_the_pop3_session(self):
        messages = [Message(HEAD + b"x" * (n - len(HEAD) - 2) + b"\r\n", f"{n:032d}") for n in SIZES]
        server = self.serve(QpopServer({"thomas": (PASSWORD, messages)}, caps=None))
        self.fetchrc(server, self.smtp())
        run = self.talk(f"user thomas\npass {PASSWORD}\nLIST\nLIST 8\nTOP 8 5\nUIDL 1\nDELE 1\nRSET\nSTAT\nNOOP\nQUIT\n", "--no-login")
        page = """\
+OK QPOP (version 2.2) at 127.0.0.1 starting.
> user thomas
+OK Password required for thomas.
> pass ***
+OK thomas has 8 messages (3371 octets).
> LIST
+OK 8 messages (3371 octets)
1 510
2 412
3 413
4 376
5 374
6 409
7 455
8 422
.
> LIST 8
+OK 8 422
> TOP 8 5
+OK 422 octets
""" + PERL.decode().replace("\r\n", "\n").replace("six\n", "") + f""".
> UIDL 1
+OK 1 {510:032d}
> DELE 1
+OK Message 1 has been deleted.
> RSET
+OK Maildrop has 8 messages (3449 octets)
> STAT
+OK 8 3449
> NOOP
+OK
> QUIT
+OK Pop server at localhost signing off.
"""
        self.assertEqual(run.stdout, page)
        self.assertEqual(run.stderr, "")
        self.assertEqual(len(server.left("thomas")), 8, "RSET took the mark back")

    def test_the_smtp_session(self):
        smtp = self.serve(SendmailServer(extensions=()))
        self.fetchrc(self.pop3(letters(1)), smtp)
        text = "From: thomas\nSubject: dots\n\none\n..........\n.\n"
        run = self.talk("EHLO localhost\nHELP\nHELP MAIL\nMAIL From: dummy\nRSET\nMAIL From: thomas\n"
                        "RCPT To: info@thomas-fahle.de\nRCPT To: info@xyz.de\nDATA\n" + text + "QUIT\n", who="local")
        self.assertIn("> MAIL From: dummy\n250 dummy... Sender ok\n> RSET\n250 Reset state\n", run.stdout)
        self.assertIn("> HELP MAIL\n214-MAIL FROM: <sender> [ <parameters> ]\n214 End of HELP info\n", run.stdout)
        self.assertIn("250-8BITMIME\n250-SIZE\n250-DSN\n250-ONEX\n250-ETRN\n250-XUSR\n250 HELP\n", run.stdout)
        self.assertRegex(run.stdout, r"> \.\.\.\.\.\.\.\.\.\.\n> \.\n250 .*\n> QUIT\n221 localhost closing connection\n$")
        (message,) = smtp.accepted
        self.assertEqual(message.recipients, ["info@thomas-fahle.de", "info@xyz.de"])
        self.assertEqual(message.octets, b"From: thomas\r\nSubject: dots\r\n\r\none\r\n..........\r\n")

    def test_every_pop3_command_reaches_the_server(self):
        pop3, _ = self.shores()
        typed = ["USER thomas", "LAST", "LIST", "LIST 1", "NOOP", "RETR 1", "STAT", "TOP 2 1", "UIDL", "UIDL 3", "DELE 1", "RSET",
                 "QUIT"]
        self.talk("\n".join(typed) + "\n")
        self.assertEqual(self.sent(pop3)[-len(typed):], typed)
        run = self.talk("APOP thomas c4c9334bac560ecc979e58001b3e22fb\nPASS secret\nQUIT\n", "--no-login")
        self.assertEqual(self.sent(pop3)[-3:], ["APOP thomas c4c9334bac560ecc979e58001b3e22fb", "PASS secret", "QUIT"])
        self.assertNotIn("c4c9334bac560ecc979e58001b3e22fb", run.stdout + run.stderr)

    def test_every_smtp_command_reaches_the_server(self):
        _, smtp = self.shores()
        typed = ["HELO localhost", "EHLO localhost", "VRFY thomas", "EXPN staff", "HELP", "HELP MAIL", "NOOP", "SEND FROM:<a@b.test>",
                 "SOML FROM:<a@b.test>", "SAML FROM:<a@b.test>", "TURN", "MAIL FROM:<a@b.test>", "RCPT TO:<c@d.test>", "RSET",
                 "QUIT"]
        self.talk("\n".join(typed) + "\n", who="local")
        self.assertEqual(self.sent(smtp)[-len(typed):], typed)

    def test_a_pipe_without_quit(self):
        """printf 'LIST\\nTOP 1 5\\n' | popferry talk gmx"""
        pop3, _ = self.shores()
        run = self.talk(b"LIST\nTOP 1 5")
        self.assertIn("Subject: letter 1", run.stdout)
        self.assertTrue(run.stdout.endswith("\n.\n> QUIT\n+OK bye\n"), run.stdout)
        self.assertEqual(self.sent(pop3)[-3:], ["LIST", "TOP 1 5", "QUIT"])


class Names(TalkCase):
    def test_an_unknown_name(self):
        self.shores()
        self.assert_names(self.talk("", who="nobody", status=USAGE), "nobody", "account or destination")

    def test_an_account_goes_before_a_destination_of_its_name(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp()
        options = self.fetchrc(pop3, smtp)
        options["destination"]["thomas"] = options["destination"].pop("local")
        options["account"]["thomas"]["destination"] = "thomas"
        self.popferry.configure(options)
        self.assertIn("+OK kit ready", self.talk("").stdout)
        self.assertIn("220 kit ESMTP", self.talk("", who="destination:thomas").stdout)

    def test_no_login(self):
        pop3, _ = self.shores(password=None, password_command="false")
        self.talk("NOOP\n", "--no-login")
        self.assertEqual([c for c in self.sent(pop3) if c != "CAPA"], ["NOOP", "QUIT"])
        self.talk("", status=LOGIN)

    def test_a_refused_login(self):
        self.shores(password="not it")
        self.assert_names(self.talk("STAT\n", status=LOGIN), "thomas", "wrong password")

    def test_a_destination_logs_in_if_it_is_told_to(self):
        _, smtp = self.shores(smtp={"users": {"mail": "smtp secret"}})
        self.assertNotIn("AUTH", " ".join(smtp.commands()))
        options = {"username": "mail", "password": "smtp secret"}
        self.fetchrc(self.pop3_server, smtp, to=options)
        self.talk("MAIL FROM:<>\n", who="local")
        self.assertEqual(smtp.sessions[-1].login, "mail")
        self.talk("NOOP\n", "--no-login", who="local")
        self.assertIsNone(smtp.sessions[-1].login)

    @cases({"implicit": "implicit", "starttls": "starttls"})
    def test_tls(self, tls):
        self.shores(pop3={"tls": tls}, smtp={"tls": tls})
        self.assertIn("+OK 3 ", self.talk("STAT\n").stdout)
        self.assertIn("252 ", self.talk("VRFY thomas\n", who="local").stdout)

    def test_a_certificate_that_cannot_be_trusted(self):
        self.shores(pop3={"tls": "implicit"}, tls_ca_file=None)
        self.talk("STAT\n", status=PROTOCOL)

    @cases({"STLS": ("STLS", "thomas"), "stls": ("stls", "thomas"), "STARTTLS": ("STARTTLS", "local")})
    def test_tls_by_hand_is_not_sent(self, verb, who):
        pop3, smtp = self.shores()
        run = self.talk(verb + "\nNOOP\n", who=who)
        self.assert_names(run, "fetchrc", "tls")
        self.assertEqual([c for s in (pop3, smtp) for c in s.commands() if c.upper() in ("STLS", "STARTTLS")], [])

    def test_a_mistake_in_the_fetchrc(self):
        self.popferry.configure("nonsense = 1\n")
        self.talk("", status=CONFIG)


class Answers(TalkCase):
    @cases({name: name for name in ODD})
    def test_a_message_of_any_octets_is_shown_to_its_end(self, name):
        message = ODD[name]
        self.shores([message])
        run = self.talk("RETR 1\nNOOP\n")
        self.assertTrue(run.stdout.endswith("\n.\n> NOOP\n+OK\n> QUIT\n+OK bye\n"), run.stdout[-200:])
        self.assertEqual([c for c in set(run.stdout) if ord(c) < 32 and c not in "\n\t"], [])

    def test_letters_pass_and_control_characters_do_not(self):
        self.shores([HEAD + "\tGrüße \x1b[2J\x07 \x9b31m\r\n".encode()])
        run = self.talk("RETR 1\n")
        self.assertIn("\tGrüße ?[2J? ", run.stdout)
        self.assertNotIn("\x9b", run.stdout)

    def test_a_long_line_is_shown_whole(self):
        self.shores([HEAD + "ü".encode() * 100_000 + b"\r\nend\r\n"])
        self.assertIn("\n" + "ü" * 100_000 + "\nend\n.\n", self.talk("RETR 1\n").stdout)

    def test_a_status_line_over_the_limit_is_cut(self):
        pop3, _ = self.shores()
        pop3.rules = [At("NOOP").reply(b"+OK " + b"x" * 20_000 + b"\r\n")]
        run = self.talk("NOOP\nSTAT\n")
        self.assertRegex(run.stdout, r"\+OK x{8000,8192} \[\.\.\.\]\n> STAT\n\+OK 3 ")

    def test_refused_long_answers_have_no_end_to_wait_for(self):
        self.shores(pop3={"without": ("TOP", "UIDL")})
        run = self.talk("TOP 1 1\nUIDL\nRETR 9\nLIST 9\nAUTH\n")
        self.assertEqual(len(re.findall("(?m)^-ERR", run.stdout)), 5)

    def test_capa_and_auth_alone_are_long(self):
        pop3, _ = self.shores()
        pop3.rules = [At("AUTH", n=2).reply(b"+OK\r\nPLAIN\r\nLOGIN\r\n.\r\n")]
        run = self.talk("CAPA\nAUTH\nNOOP\n")
        self.assertIn("SASL PLAIN\n.\n> AUTH\n+OK\nPLAIN\nLOGIN\n.\n> NOOP\n+OK\n", run.stdout)

    @cases({verb: verb for verb in ("LIST", "UIDL", "AUTH", "LANG")})
    def test_a_blank_is_no_argument(self, verb):
        pop3, _ = self.shores()
        pop3.rules = [At(verb, n=2 if verb == "AUTH" else 1).reply(b"+OK\r\n1 2\r\n.\r\n")]
        self.assertIn("+OK\n1 2\n.\n> NOOP\n+OK\n", self.talk(f"{verb} \t\nNOOP\n").stdout)

    def test_a_list_with_bare_line_feeds(self):
        pop3, _ = self.shores()
        pop3.rules = [At("LIST").reply(b"+OK\n1 2\n.\n")]
        self.assertIn("+OK\n1 2\n.\n> NOOP\n+OK\n", self.talk("LIST\nNOOP\n").stdout)

    def test_what_is_no_answer_is_told(self):
        pop3, smtp = self.shores()
        pop3.rules = [At("NOOP").reply(b"hello?\r\n")]
        smtp.rules = [At("NOOP").reply(b"hello?\r\n")]
        self.assert_names(self.talk("NOOP\nSTAT\n"), "neither +ok nor -err")
        self.assert_names(self.talk("NOOP\nRSET\n", who="local"), "no smtp reply")

    def test_an_answer_with_a_pause_in_it(self):
        pop3, _ = self.shores()
        pop3.rules = [At("TOP").drip(0.05, 20)]
        self.assertIn("Subject: letter 1", self.talk("TOP 1 0\nNOOP\n").stdout)


class Text(TalkCase):
    """DATA."""

    ENVELOPE = "MAIL FROM:<a@b.test>\nRCPT TO:<c@d.test>\nDATA\n"

    @cases({"dots": (b"..........\n.x\n..\n", b"..........\r\n.x\r\n..\r\n"), "CRLF": (b"a\r\n\r\nb\r\n", b"a\r\n\r\nb\r\n"),
            "8-bit": (b"\xe4\xff\n", b"\xe4\xff\r\n"), "NUL": (b"a\0b\n", b"a\0b\r\n"), "a bare CR": (b"a\rb\n", b"a b\r\n"),
            "a long line": (b"x" * 300_000 + b"\n", b"x" * 300_000 + b"\r\n"), "nothing": (b"", b""),
            "commands": (b"QUIT\nRSET\nAUTH PLAIN x\n", b"QUIT\r\nRSET\r\nAUTH PLAIN x\r\n")})
    def test_text_arrives_as_typed(self, typed, arrives):
        _, smtp = self.shores()
        self.talk(self.ENVELOPE.encode() + typed + b".\n", who="local")
        self.assertEqual([m.octets for m in smtp.accepted], [arrives])

    def test_input_that_ends_within_the_text_sends_nothing(self):
        _, smtp = self.shores()
        run = self.talk(self.ENVELOPE + "half a message\n", who="local", status=USAGE)
        self.assert_names(run, "dot alone")
        self.assertEqual(smtp.accepted, [])

    def test_the_text_of_a_refused_data_is_not_sent_as_commands(self):
        _, smtp = self.shores()
        run = self.talk("MAIL FROM:<a@b.test>\nDATA\nSubject: x\n\nRSET\n..\n.\nNOOP\n", who="local")
        self.assertEqual(self.sent(smtp)[-3:], ["DATA", "NOOP", "QUIT"])
        self.assert_names(run, "data was refused")

    def test_input_that_ends_behind_a_refused_data(self):
        _, smtp = self.shores()
        self.talk("MAIL FROM:<a@b.test>\nDATA\nRSET\n", who="local")
        self.assertEqual(self.sent(smtp)[-2:], ["DATA", "QUIT"])

    @cases({"whole lines": b"BDAT 12 LAST\nRSET\r\nRSET\r\nNOOP\n", "no line end": b"bdat  8\nRSET\nRSENOOP\n",
            "nothing": b"BDAT 0 LAST\nNOOP\n", "no number": b"BDAT\nNOOP\n"})
    def test_the_octets_behind_bdat_are_not_sent_as_commands(self, typed):
        _, smtp = self.shores()
        self.talk(b"RSET\n" + typed, who="local")
        self.assertEqual(self.sent(smtp)[-3:], ["RSET", "NOOP", "QUIT"])

    def test_a_server_that_answers_within_the_text_gets_no_dot(self):
        _, smtp = self.shores()
        smtp.rules = [At("body").reply(b"452 4.3.1 disk full\r\n").stall(3)]
        process = self.popferry.start("talk", "local", stdin=-1)
        process.stdin.write(self.ENVELOPE.encode() + b"one\n")
        process.stdin.flush()
        time.sleep(1)
        run = self.popferry.finish(process, typed=b"two\n.\nQUIT\n")
        self.expect_status(run, RETRY)
        self.assertIn("452 4.3.1 disk full", run.stdout)
        self.assertEqual(smtp.accepted, [])

    def test_a_slow_final_reply_has_its_own_timeout(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp(delay=3)
        self.fetchrc(pop3, smtp, top={"timeout": 1, "final_timeout": "8s"})
        self.talk(self.ENVELOPE + "x\n.\n", who="local")
        self.assertEqual(len(smtp.accepted), 1)

    def test_lmtp_answers_for_each_recipient(self):
        _, smtp = self.shores(smtp={"lmtp": True, "refuse": {"bob": b"550 5.1.1 no such user\r\n"}})
        run = self.talk("MAIL FROM:<a@b.test>\nRCPT TO:<thomas>\nRCPT TO:<bob>\nRCPT TO:<carl>\nDATA\nx\n.\nNOOP\n", who="local")
        self.assertRegex(run.stdout, r"> \.\n250 .*Q1\n250 .*Q2\n> NOOP\n250 ")
        self.assertEqual([m.recipients for m in smtp.accepted], [["thomas"], ["carl"]])

    def test_bdat_cannot_be_typed(self):
        _, smtp = self.shores()
        self.assert_names(self.talk("BDAT 10 LAST\nNOOP\n", who="local"), "data")
        self.assertEqual(smtp.commands("BDAT"), [])


class Secrets(TalkCase):
    PLAIN = base64.b64encode(f"\0thomas\0{PASSWORD}".encode()).decode()

    def kept(self, run, *secrets):
        for secret in secrets:
            self.assertNotIn(secret, run.stdout + run.stderr)

    def test_pass(self):
        self.shores()
        run = self.talk(f"USER thomas\npass  {PASSWORD}\nSTAT\n", "--no-login", "-vv")
        self.assertIn("> pass  ***\n", run.stdout)
        self.assertNotIn(PASSWORD, run.stderr)
        self.assertIn("-ERR", run.stdout, "the second blank belongs to the password")

    def test_auth_with_an_initial_response(self):
        self.shores()
        run = self.talk(f"AUTH PLAIN {self.PLAIN}\nSTAT\n", "--no-login", "-vv")
        self.assertIn("> AUTH PLAIN ***\n+OK thomas has 3", run.stdout)
        self.kept(run, self.PLAIN)

    def test_a_dialogue_of_auth(self):
        self.shores()
        run = self.talk(f"AUTH PLAIN\n{self.PLAIN}\nSTAT\n", "--no-login", "-vv")
        self.assertIn("> AUTH PLAIN\n+ \n> ***\n+OK thomas has 3", run.stdout)
        self.kept(run, self.PLAIN)

    def test_a_dialogue_of_auth_with_smtp(self):
        _, smtp = self.shores(smtp={"users": {"mail": "smtp secret"}})
        lines = [base64.b64encode(word).decode() for word in (b"mail", b"smtp secret")]
        run = self.talk("AUTH LOGIN\n" + "\n".join(lines) + "\nMAIL FROM:<>\n", "-vv", who="local")
        self.assertRegex(run.stdout, r"> AUTH LOGIN\n334 .*\n> \*\*\*\n334 .*\n> \*\*\*\n235 .*\n> MAIL FROM:<>\n250 ")
        self.kept(run, *lines)

    @cases({"POP3": ("thomas", "AUTH", b"-ERR no\r\n", "STAT"), "SMTP": ("local", "AUTH", b"504 5.5.4 no\r\n", "NOOP")})
    def test_what_follows_a_refused_auth_is_neither_sent_nor_shown(self, who, verb, refusal, then):
        server = self.shores()[who == "local"]
        server.rules = [At(verb).reply(refusal)]
        run = self.talk(f"AUTH LOGIN\ndGhvbWFz\n{self.PLAIN}\n{then}\nXTRA\n", "--no-login", "-vv", who=who)
        self.assertEqual(self.sent(server)[-4:], ["AUTH LOGIN", then, "XTRA", "QUIT"])
        self.kept(run, "dGhvbWFz", self.PLAIN)
        self.assert_names(run, "refused auth")

    def test_input_that_ends_within_auth_takes_the_login_back(self):
        pop3, _ = self.shores()
        self.talk("AUTH PLAIN\n", "--no-login")
        self.assertEqual(self.sent(pop3)[-2:], ["AUTH PLAIN", "QUIT"])

    def test_a_server_that_repeats_the_command(self):
        _, smtp = self.shores()
        smtp.rules = [At("PASS").reply(f'500 5.5.1 Command unrecognized: "PASS {PASSWORD}"\r\n'.encode())]
        run = self.talk(f"PASS {PASSWORD}\n", who="local")
        self.assertIn('Command unrecognized: "PASS ***"', run.stdout)


class Ends(TalkCase):
    @cases({"POP3": ("STAT", "thomas"), "SMTP": ("NOOP", "local")})
    def test_a_server_that_closes_is_told_plainly(self, verb, who):
        for server in self.shores():
            server.rules = [At(verb).close()]
        run = self.talk(f"{verb}\nNOOP\n", who=who, status=RETRY)
        self.assert_names(run, "closed the connection")
        self.assertEqual(run.stderr.count("\n"), 1)

    def test_a_server_that_closes_before_anything_is_typed(self):
        pop3, _ = self.shores()
        process = self.popferry.start("talk", "thomas", stdin=-1)
        self.wait_for(lambda: pop3.sessions and pop3.sessions[-1].seen.get("locked"))
        pop3.stop()
        self.assertTrue(self.wait_for(lambda: process.poll() is not None), "it waits for input")
        run = self.popferry.finish(process)
        self.expect_status(run, RETRY)
        self.assert_names(run, "closed the connection")

    def test_a_farewell_that_nobody_asked_for(self):
        _, smtp = self.shores()
        smtp.rules = [At("NOOP").normal().delay(0.5).reply(b"421 4.4.2 bye for now\r\n").close()]
        process = self.popferry.start("talk", "local", stdin=-1)
        process.stdin.write(b"NOOP\n")
        process.stdin.flush()
        self.assertTrue(self.wait_for(lambda: process.poll() is not None), "it waits for input")
        run = self.popferry.finish(process)
        self.expect_status(run, RETRY)
        self.assertIn("421 4.4.2 bye for now", run.stdout)

    def test_a_server_that_stalls(self):
        self.shores(pop3={"rules": [At("STAT").stall()]})
        self.fetchrc(self.pop3_server, self.smtp_server, top={"timeout": 1})
        self.assert_names(self.talk("STAT\n", status=RETRY), "did not answer")

    def test_a_quit_that_is_refused_or_not_answered(self):
        pop3, _ = self.shores()
        pop3.rules = [At("QUIT").reply(b"-ERR some deleted messages not removed\r\n")]
        self.talk("DELE 1\nQUIT\n", status=RETRY)
        pop3.rules = [At("QUIT").close()]
        self.talk("DELE 1\nQUIT\n", status=RETRY)

    def test_what_follows_quit_is_not_sent(self):
        pop3, _ = self.shores()
        self.talk("QUIT\nDELE 1\n")
        self.assertEqual(pop3.commands("DELE"), [])

    def test_a_signal_sends_no_quit(self):
        pop3, _ = self.shores()
        process = self.popferry.start("talk", "thomas", stdin=-1)
        process.stdin.write(b"DELE 1\n")
        process.stdin.flush()
        self.wait_for(lambda: pop3.commands("DELE"))
        process.send_signal(signal.SIGINT)
        run = self.popferry.finish(process)
        self.expect_status(run, RETRY)
        self.assertEqual((pop3.commands("QUIT"), len(pop3.left("thomas"))), ([], 3))

    def test_lines_that_cannot_be_sent(self):
        pop3, _ = self.shores()
        run = self.talk(b"NO\0OP\nNOOP\x1b[A\n" + b"x" * 20_000 + b"\nSTAT\n")
        self.assertEqual(self.sent(pop3)[-2:], ["STAT", "QUIT"])
        self.assertEqual(run.stderr.count("not sent"), 3)

    def test_a_line_without_end(self):
        self.shores()
        self.assert_names(self.talk(b"x" * 3_000_000, status=USAGE), "1 mib")

    def test_empty_lines_are_passed_over(self):
        pop3, _ = self.shores()
        self.talk("\n\r\n  \nNOOP\n")
        self.assertEqual(self.sent(pop3)[-2:], ["NOOP", "QUIT"])

    def test_turn_that_is_accepted_ends_it(self):
        _, smtp = self.shores()
        smtp.rules = [At("TURN").reply(b"250 your turn\r\n").stall(2)]
        self.assert_names(self.talk("TURN\n", who="local", status=RETRY), "swapped")


class AtATerminal(TalkCase):
    def test_a_session(self):
        self.shores()
        with Terminal(self.popferry, "talk", "thomas") as terminal:
            terminal.wait("+OK kit ready")
            terminal.wait("thomas> ")
            terminal.type("STAT\n")
            terminal.wait("+OK 3 ")
            terminal.wait("thomas> ")
            terminal.type("quit\n")
            terminal.wait("+OK bye")
        self.assertEqual(terminal.status, OK)
        self.assertNotIn("> STAT\r\n> STAT", terminal.output)

    def test_control_d_says_quit(self):
        pop3, _ = self.shores()
        with Terminal(self.popferry, "talk", "thomas") as terminal:
            terminal.wait("thomas> ")
            terminal.type("\x04")
            terminal.wait("+OK bye")
        self.assertEqual((terminal.status, self.sent(pop3)[-1]), (OK, "QUIT"))

    def test_control_d_ahead_of_the_prompt_says_quit(self):
        pop3, _ = self.shores()
        with Terminal(self.popferry, "talk", "thomas") as terminal:
            terminal.type("\x04")
            terminal.wait("+OK bye")
        self.assertEqual((terminal.status, self.sent(pop3)[-1]), (OK, "QUIT"))

    def test_control_c_ends_without_quit(self):
        pop3, _ = self.shores()
        with Terminal(self.popferry, "talk", "thomas") as terminal:
            terminal.wait("thomas> ")
            terminal.type("DELE 1\n")
            terminal.wait("+OK marked")
            terminal.wait("thomas> ")
            terminal.type("\x03")
            terminal.wait("interrupted")
        self.assertEqual(terminal.status, RETRY)
        pop3.settle()
        self.assertEqual(len(pop3.left("thomas")), 3)

    def test_commands_come_back_and_secrets_do_not(self):
        pop3, _ = self.shores()
        with Terminal(self.popferry, "talk", "--no-login", "thomas") as terminal:
            terminal.wait("thomas> ")
            terminal.type("USER thomas\n")
            terminal.wait("thomas> ")
            terminal.type(f"PASS {PASSWORD}\n")
            terminal.wait("+OK thomas has 3")
            terminal.wait("thomas> ")
            terminal.type("\x1b[A\n")     # cursor up, twice where it helps
            terminal.wait("+OK password required")
            terminal.type("QUIT\n")
            terminal.wait("+OK bye")
        if "USER thomas" not in self.sent(pop3)[-2]:
            self.skipTest("built without libedit")

    def test_what_auth_asks_for_is_not_shown(self):
        self.shores()
        secret = base64.b64encode(f"\0thomas\0{PASSWORD}".encode()).decode()
        with Terminal(self.popferry, "talk", "--no-login", "thomas") as terminal:
            terminal.wait("thomas> ")
            terminal.type("AUTH PLAIN\n")
            terminal.wait("not shown")
            terminal.type(secret + "\n")
            terminal.wait("+OK thomas has 3")
            terminal.wait("thomas> ")
            terminal.type("QUIT\n")
        self.assertNotIn(secret, terminal.output)
        self.assertEqual(terminal.status, OK)

    def test_a_server_that_closes_while_somebody_types(self):
        pop3, _ = self.shores()
        with Terminal(self.popferry, "talk", "thomas") as terminal:
            terminal.wait("thomas> ")
            terminal.type("LI")
            pop3.stop()
            terminal.wait("closed the connection")
        self.assertEqual(terminal.status, RETRY)

    def test_text_has_no_prompt(self):
        _, smtp = self.shores()
        with Terminal(self.popferry, "talk", "local") as terminal:
            for line in ("MAIL FROM:<a@b.test>", "RCPT TO:<c@d.test>", "DATA"):
                terminal.wait("local> ")
                terminal.type(line + "\n")
            terminal.wait("354 ")
            terminal.type("Grüße\n.\n")
            self.assertNotIn("local>", terminal.wait("250 2.0.0 ok: queued"))
            terminal.type("QUIT\n")
            terminal.wait("221")
        self.assertEqual([m.octets for m in smtp.accepted], ["Grüße\r\n".encode()])
