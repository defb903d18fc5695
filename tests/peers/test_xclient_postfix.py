"""XCLIENT into a real Postfix: its log, its Received header and its checks name the client that the provider saw."""
import os
import tempfile
import unittest

from kit import postfix
from kit.case import Case, cases
from kit.messages import letter
from kit.ports import has_ipv6
from kit.postfix import Postfix

INSIDE = b"Received: from mx.provider.test (mx.provider.test [192.0.2.25])\r\n\tby store.provider.test with LMTP id 1; x\r\n"


def client(name, address, helo=b"helo.sender.test"):
    return (INSIDE + b"Received: from " + helo + b" (" + name + b" [" + address + b"])\r\n\tby mx.provider.test (Postfix) with ESMTPS id 2\r\n"
            b"\tfor <thomas@provider.test>; Mon, 1 Jan 2024 00:00:00 +0000\r\n")


@unittest.skipUnless(postfix.available(), "needs root and Postfix")
class XclientPostfix(Case):
    def ferry_to(self, sent, status=0, authorized=True, to=None, **settings):
        if authorized:
            settings["smtpd_authorized_xclient_hosts"] = "127.0.0.1"
        settings = {"smtpd_recipient_restrictions": "reject_unauth_destination", "smtpd_relay_restrictions": "reject_unauth_destination",
                    "inet_protocols": "all" if has_ipv6() else "ipv4", **settings}
        self.postfix = Postfix(tempfile.mkdtemp(prefix="p", dir=self.directory_of_class), settings)     # short: sockets lie below it
        self.postfix.start()
        self.addCleanup(self.postfix.stop)
        pop3 = self.pop3(sent)
        self.fetchrc(pop3, self.postfix, top={"timeout": 20, "final_timeout": "20s"}, to={"tls": "none", "xclient": True, **(to or {})},
                     trusted_hosts=["mx.provider.test", "store.provider.test"])
        run = self.ferry(status=status)
        self.postfix.wait()
        return pop3, run

    def destination(self, server, **more):
        return {"protocol": "smtp", "host": server.host, "port": server.port, **more}

    @cases({"an address and a name": (b"mail.sender.test", b"198.51.100.7", "mail.sender.test[198.51.100.7]"),
            "an address alone": (b"unknown", b"198.51.100.7", "unknown[198.51.100.7]"),
            "IPv6": (b"mail.sender.test", b"IPv6:2001:db8::7", "mail.sender.test[2001:db8::7]")})
    def test_the_log_names_the_client(self, name, address, logged):
        pop3, run = self.ferry_to([client(name, address) + letter(1)])
        self.assert_silent(run)
        self.assertIn(f"client={logged}", self.postfix.log())
        stored = self.postfix.stored("thomas")
        self.assertEqual(len(stored), 1)
        self.assertIn(b"Received: from helo.sender.test (" + logged.replace("[", " [").replace("[2001", "[IPv6:2001").encode() + b")", stored[0])
        self.assertEqual(pop3.left("thomas"), [])

    def test_each_message_has_its_own_client(self):
        headers = [client(b"m%d.test" % n, b"198.51.100.%d" % n) for n in range(1, 5)] + [b""]
        self.ferry_to([h + letter(n) for n, h in enumerate(headers)])
        log = self.postfix.log()
        for n in range(1, 5):
            self.assertEqual(log.count(f"client=m{n}.test[198.51.100.{n}]"), 1)
        self.assertRegex(log, r"client=\S*\[127\.0\.0\.1\]")
        for octets in self.postfix.stored("thomas"):
            number = next((n for n in range(1, 5) if octets.count(b"(m%d.test " % n)), None)
            if number:
                self.assertEqual(octets.count(b"[198.51.100.%d]" % number), 2)     # Postfix's field and the provider's

    def test_a_forged_header_below_deceives_nobody(self):
        forged = client(b"bank.test", b"203.0.113.99", b"bank.test")
        self.ferry_to([client(b"evil.test", b"198.51.100.66") + forged + letter(1)])
        self.assertIn("client=evil.test[198.51.100.66]", self.postfix.log())
        self.assertNotIn("203.0.113.99", self.postfix.log())

    @cases({"before MAIL": "no", "at RCPT": "yes"})
    def test_postfix_judges_the_client_and_others_are_not_touched(self, delay):
        path = os.path.join(self.directory_of_class, "blocked")
        with open(path, "w") as file:
            file.write("198.51.100.66 REJECT blocked here\n")
        bad = client(b"evil.test", b"198.51.100.66") + letter(1)
        good = client(b"mail.sender.test", b"198.51.100.7") + letter(2)
        pop3, run = self.ferry_to([bad] * 4 + [good], status=None, smtpd_client_restrictions=f"check_client_access texthash:{path}",
                                  smtpd_delay_reject=delay)
        self.assertNotEqual(run.status, 0)
        self.assert_names(run, "thomas", "blocked here")
        self.assertEqual(len(self.postfix.stored("thomas")), 1)
        self.assertEqual(pop3.left("thomas"), [bad] * 4)

    def test_a_client_that_nobody_can_name_is_delivered_with_a_warning(self):
        pop3, run = self.ferry_to([client(b"x", b"10.0.0.1") + letter(1)])
        self.assert_names(run, "thomas", "no XCLIENT", "private")
        self.assertEqual(len(self.postfix.stored("thomas")), 1)

    def test_a_postfix_that_does_not_authorize_it_gets_the_mail(self):
        pop3, run = self.ferry_to([client(b"m.test", b"198.51.100.7") + letter(1)], authorized=False)
        self.assert_names(run, "XCLIENT", "smtpd_authorized_xclient_hosts")
        self.assertEqual((len(self.postfix.stored("thomas")), pop3.left("thomas")), (1, []))
        self.assertNotIn("client=m.test", self.postfix.log())

    @cases({"plus and equals": b"a+b=c", "quotes": b'"a b"', "a literal": b"[10.9.8.7]", "controls": b"a\x01b", "long": b"h" * 250,
            "very long": b"h" * 900, "xtext": b"a+20LOGIN+3Droot"})
    def test_a_hostile_greeting_costs_at_most_the_introduction(self, helo):
        pop3, run = self.ferry_to([client(b"m.test", b"198.51.100.7", helo) + letter(1)])
        self.assertEqual((len(self.postfix.stored("thomas")), pop3.left("thomas")), (1, []))
        self.assertNotIn("sasl_username", self.postfix.log())
