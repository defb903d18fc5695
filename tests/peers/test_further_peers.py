"""Real servers beside Dovecot and Postfix: Courier and popa3d hold the mail, Exim and OpenSMTPD take it."""
import os
import re
import time
import unittest

from kit.case import Case, cases
from kit.clock import shifted
from kit.further_peers import Courier, Exim, OpenSmtpd, Popa3d
from kit.messages import ODD, letter, letters
from kit.packages import Unavailable
from kit.pop3 import At
from kit.popferry import REFUSED, expected, take_trace

USERS = ("thomas", "anna")
TEXT = {name: octets for name, octets in ODD.items()
        if name in ("8-bit octets", "lines of dots", "a line of 1 MB", "LF dot LF", "3 MB", "header only", "no final line end")}


def dated(octets):
    """With the fields that OpenSMTPD would put in."""
    return b"Date: Mon, 01 Jan 2024 00:00:00 +0000\r\nMessage-ID: <%d@example.test>\r\n" % len(octets) + octets


class Peer(Case):
    def peer(self, kind, messages=()):
        try:
            peer = kind(os.path.join(self.directory, kind.__name__), USERS)
            self.addCleanup(peer.stop)
            for octets in messages:
                peer.add("thomas", octets)
            peer.start()
        except Unavailable as reason:
            self.skipTest(str(reason))
        self.servers.append(peer)
        return peer

    def setUp(self):
        super().setUp()
        os.chmod(self.directory, 0o711)
        self.addCleanup(setattr, self, "servers", self.servers)
        self.careful = False

    def ferry(self, *args, status=0, **how):
        run = self.popferry.run(*args, **how)
        self.expect_status(run, status)
        return run

    def configure(self, source, target, to=None, **account):
        self.popferry.configure({
            "timeout": 20, "final_timeout": "20s",
            "destination": {"local": {"protocol": "smtp", "host": target.host, "port": target.port, **(to or {})}},
            "account": {"thomas": {"host": source.host, "port": source.port, "tls": "none", "username": "thomas",
                                   "password": source.password if hasattr(source, "password") else "correct horse",
                                   "recipients": ["thomas"], **account}}})


def pop3_form(octets):
    """As a server that keeps LF line ends sends it."""
    octets = octets.replace(b"\r\n", b"\n")
    return (octets if octets.endswith(b"\n") else octets + b"\n").replace(b"\n", b"\r\n")


class Pop3(Peer):
    """The mail comes from them. Courier announces LOGIN-DELAY, so that only a named account is polled at once again."""
    kinds = {"Courier": Courier, "popa3d": Popa3d}

    def assert_came(self, smtp, sent):
        # popa3d's mbox has a blank line behind each message, which some count in.
        got = sorted(m.rstrip(b"\r\n") for m in self.arrivals(smtp))
        wanted = sorted(expected(pop3_form(m)).rstrip(b"\r\n") for m in sent)
        self.assertEqual([(len(m), m[:60]) for m in got], [(len(m), m[:60]) for m in wanted])
        self.assertEqual(got, wanted)

    @cases(kinds)
    def test_mail_comes_once_and_is_deleted(self, kind):
        sent = letters(8) + [letter(9)] * 2 + list(TEXT.values())
        source, smtp = self.peer(kind, sent), self.smtp()
        self.configure(source, smtp)
        self.assert_silent(self.ferry())
        self.assert_came(smtp, sent)
        self.assertEqual(source.left("thomas"), [])
        source.add("thomas", letter(10))
        self.assert_silent(self.ferry("run", "thomas"))
        self.assert_came(smtp, sent + [letter(10)])

    @cases(kinds)
    def test_kept_mail_comes_once(self, kind):
        sent = letters(5) + [letter(6)] * 2
        source, smtp = self.peer(kind, sent), self.smtp()
        self.configure(source, smtp, keep=True)
        for _ in range(3):
            self.assert_silent(self.ferry("run", "thomas"))
            self.assert_came(smtp, sent)
        source.add("thomas", letter(7))
        for _ in range(2):
            self.ferry("run", "thomas")
        self.assert_came(smtp, sent + [letter(7)])
        self.assertEqual(len(source.left("thomas")), 8)

    @cases(kinds)
    def test_a_refused_message_stays_and_the_others_go(self, kind):
        source, smtp = self.peer(kind, letters(4)), self.smtp()
        smtp.judge = lambda m: b"554 5.7.1 no\r\n" if b"letter 2" in m.octets else None
        self.configure(source, smtp)
        self.ferry(status=REFUSED)
        self.assertEqual(len(source.left("thomas")), 1)
        smtp.judge = None
        self.ferry("run", "thomas")
        self.assert_came(smtp, letters(4))
        self.assertEqual(source.left("thomas"), [])

    @cases(kinds)
    def test_an_oversize_message_is_told_of_once(self, kind):
        big = letter(2, size=50_000)
        source, smtp = self.peer(kind, [letter(1), big]), self.smtp()
        self.configure(source, smtp, max_size="20k", oversize="headers")
        for _ in range(2):
            self.ferry("run", "thomas")
        self.assertEqual(len(smtp.accepted), 2)
        self.assertEqual(len(source.left("thomas")), 1)
        self.ferry("run", "--all-sizes", "thomas")
        self.assertIn(expected(big), self.arrivals(smtp))
        self.assertEqual(source.left("thomas"), [])

    def test_couriers_login_delay_is_respected(self):
        source, smtp = self.peer(Courier, letters(1)), self.smtp()
        self.configure(source, smtp)
        self.ferry(env=shifted(0))
        source.add("thomas", letter(2))
        self.assert_silent(self.ferry(env=shifted(5)))
        self.assertEqual(len(smtp.accepted), 1)
        self.ferry(env=shifted(15))
        self.assert_came(smtp, letters(2))


class Smtp(Peer):
    """The mail goes to them."""
    kinds = {"Exim": Exim, "OpenSMTPD": OpenSmtpd}

    def wait_until_stored(self, target, count, user="thomas"):
        end = time.monotonic() + 20
        while len(target.stored(user)) < count and time.monotonic() < end:
            time.sleep(0.1)

    def assert_stored(self, target, sent, user="thomas"):
        self.wait_until_stored(target, len(sent), user)
        got = []
        for octets in target.arrived(user):
            trace, rest = take_trace(octets)
            self.assertIsNotNone(trace, octets[:300])
            got.append(rest)
        self.assertEqual(sorted(got), sorted(expected(m) for m in sent))

    @cases(kinds)
    def test_mail_arrives_once_octet_for_octet(self, kind):
        sent = letters(10) + [dated(m) for name, m in TEXT.items() if name not in ("a line of 1 MB", "header only")]
        pop3, target = self.pop3(sent), self.peer(kind)
        self.configure(pop3, target)
        self.assert_silent(self.ferry())
        self.assert_stored(target, sent)
        self.assertEqual(pop3.left("thomas"), [])
        self.assert_silent(self.ferry())
        self.assert_stored(target, sent)

    @cases(kinds)
    def test_a_recipient_that_is_not_known_is_named_and_the_other_is_served_once(self, kind):
        pop3, target = self.pop3(letters(2)), self.peer(kind)
        self.configure(pop3, target, recipients=["thomas", "stranger"])
        for _ in range(2):
            run = self.ferry(status=None)
            self.assertNotEqual(run.status, 0)
            self.assert_names(run, "thomas", "stranger@localhost", "550")
        self.assert_stored(target, letters(2))
        self.assertEqual(len(pop3.left("thomas")), 2)

    @cases(kinds)
    def test_several_recipients_each_get_it(self, kind):
        pop3, target = self.pop3(letters(3)), self.peer(kind)
        self.configure(pop3, target, recipients=["thomas", "anna"])
        self.assert_silent(self.ferry())
        for user in USERS:
            self.assert_stored(target, letters(3), user)

    @cases(kinds)
    def test_the_queue_id_is_told(self, kind):
        pop3, target = self.pop3(letters(1)), self.peer(kind)
        self.configure(pop3, target)
        run = self.ferry("--log-format=json", "-v")
        self.assertRegex(run.stderr, r'"queue_id": ?"[0-9A-Za-z-]{8,}"')
        queue_id = re.search(r'"queue_id": ?"([^"]+)"', run.stderr)[1]
        self.assertIn(queue_id, target.root.output())

    def test_an_exim_that_is_killed_costs_at_most_a_duplicate(self):
        sent = letters(60)
        pop3, target = self.pop3(sent, caps=("UIDL",)), self.peer(Exim)
        pop3.rules = [At("RETR", n=10).call(lambda session: target.stop()).normal()]
        self.configure(pop3, target, to={"connections": 1})
        self.ferry(status=75)
        pop3.rules = []
        self.assertGreater(len(pop3.left("thomas")), 0)
        target.start()
        self.ferry()
        self.assertEqual(pop3.left("thomas"), [])
        self.wait_until_stored(target, 60)
        end = time.monotonic() + 20
        while time.monotonic() < end and len({m for m in target.arrived("thomas")}) < 60:
            time.sleep(0.2)
        got = [take_trace(m)[1] for m in target.arrived("thomas")]
        self.assertEqual(sorted(set(got)), sorted(expected(m) for m in sent))
        self.assertLessEqual(len(got), 61)

    def test_a_message_that_exim_refuses_stays(self):
        bad = letter(2).replace(b"letter 2", b"refuse me")
        pop3, target = self.pop3([letter(1), bad, letter(3)]), self.peer(Exim)
        self.configure(pop3, target)
        run = self.ferry(status=REFUSED)
        self.assert_names(run, "thomas", "5.7.1 not such a subject")
        self.assert_stored(target, [letter(1), letter(3)])
        self.assertEqual(pop3.left("thomas"), [bad])

    def test_chunks_into_exim(self):
        sent = letters(5) + [dated(TEXT[name]) for name in ("lines of dots", "8-bit octets", "3 MB")]
        pop3, target = self.pop3(sent), self.peer(Exim)
        self.configure(pop3, target, to={"chunking": True})
        self.assert_silent(self.ferry())
        self.assert_stored(target, sent)
        self.assertRegex(target.root.output(), r"<= alice@example\.test .* K ")     # Exim's mark of CHUNKING

    def test_null_sender_and_notify_never(self):
        pop3, target = self.pop3(letters(1)), self.peer(Exim)
        self.configure(pop3, target, to={"notify": "never"}, sender="<>")
        self.assert_silent(self.ferry())
        self.wait_until_stored(target, 1)
        self.assertIn("<= <>", target.root.output())


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Whole(Peer):
    @cases({"Courier to Exim": (Courier, Exim), "popa3d to OpenSMTPD": (Popa3d, OpenSmtpd)})
    def test_from_shore_to_shore(self, source, target):
        sent = letters(20)
        source, target = self.peer(source, sent), self.peer(target)
        self.configure(source, target)
        self.assert_silent(self.ferry())
        end = time.monotonic() + 20
        while len(target.stored("thomas")) < 20 and time.monotonic() < end:
            time.sleep(0.1)
        self.assertEqual(len(target.stored("thomas")), 20)
        self.assertEqual(source.left("thomas"), [])
