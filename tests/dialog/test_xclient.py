"""XCLIENT: the MTA here is told who handed the mail to the provider, and nothing that a sender could have made up."""
from kit.case import Case, cases
from kit.messages import letter, letters
from kit.pop3 import At
from kit.popferry import REFUSED

EXTENSIONS = ("PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "XCLIENT NAME ADDR PROTO HELO LOGIN")
TRUSTED = ["mx.provider.test", ".in.provider.test", "192.0.2.25"]
INSIDE = b"Received: from mx.provider.test (mx.provider.test [192.0.2.25]) by store.in.provider.test with LMTP id 1; x\r\n"


def hop(who, by=b"mx.provider.test", rest=b"with ESMTPS id 2 for <thomas@provider.test>; Mon, 1 Jan 2024 00:00:00 +0000"):
    return b"Received: from " + who + b"\r\n\tby " + by + b" (Postfix)\r\n\t" + rest + b"\r\n"


CLIENT = hop(b"helo.sender.test (mail.sender.test [198.51.100.7])")
FORGED = (hop(b"bank.test (bank.test [203.0.113.99])") +
          hop(b"mx.provider.test (mx.provider.test [192.0.2.25])", b"store.in.provider.test"))


class Picky(At):
    """Turns away whoever is called evil."""

    def matches(self, session, step, n, arg):
        return step == self.step and "evil" in (arg or "")

    def play(self, session, normal):
        session.send(b"554 5.7.1 Client host blocked\r\n")


class Xclient(Case):
    def shores(self, sent, extensions=EXTENSIONS, to=None, **account):
        pop3, smtp = self.pop3(sent), self.smtp(extensions=extensions)
        self.fetchrc(pop3, smtp, to={"xclient": True, **(to or {})}, **{"trusted_hosts": TRUSTED, **account})
        return pop3, smtp

    def told(self, header, **account):
        pop3, smtp = self.shores([header + letter(1)], **account)
        run = self.ferry()
        self.assert_arrived(smtp, [header + letter(1)])
        self.assertEqual(pop3.left("thomas"), [])
        return smtp, run

    @cases({
        "Postfix": (INSIDE + CLIENT, "198.51.100.7", "mail.sender.test", "helo.sender.test"),
        "without a name": (INSIDE + hop(b"helo.sender.test (unknown [198.51.100.7])"), "198.51.100.7", "[UNAVAILABLE]", "helo.sender.test"),
        "IPv6": (INSIDE + hop(b"h.test (m.test [IPv6:2001:db8::7])"), "IPV6:2001:db8::7", "m.test", "h.test"),
        "an address for a HELO": (INSIDE + hop(b"[10.1.1.1] (m.test [198.51.100.7])"), "198.51.100.7", "m.test", "[10.1.1.1]"),
        "forged below": (INSIDE + CLIENT + FORGED, "198.51.100.7", "mail.sender.test", "helo.sender.test"),
        "a hop within the provider": (hop(b"mx.provider.test (mx.provider.test [192.0.2.25])", b"a.in.provider.test") + CLIENT + FORGED,
                                      "198.51.100.7", "mail.sender.test", "helo.sender.test"),
        "HELO in a trusted host's name": (INSIDE + hop(b"mx.provider.test (evil.test [198.51.100.66])") + FORGED,
                                          "198.51.100.66", "evil.test", "mx.provider.test"),
    })
    def test_the_client_is_told(self, header, address, name, helo):
        smtp, run = self.told(header)
        self.assert_silent(run)
        self.assertEqual(smtp.accepted[0].xclient, {"ADDR": address, "NAME": name, "HELO": helo})
        self.assertEqual(len(smtp.commands("XCLIENT")), 1)
        self.assertEqual([line.split(" ")[1] for line in smtp.commands("EHLO")][1:], [helo])

    @cases({
        "loopback": INSIDE + hop(b"x (localhost [127.0.0.1])"),
        "private": INSIDE + hop(b"x (x [10.0.0.1])"),
        "link-local": INSIDE + hop(b"x (x [169.254.1.1])"),
        "private IPv6": INSIDE + hop(b"x (x [IPv6:fd00::1])"),
        "mapped loopback": INSIDE + hop(b"x (x [IPv6:::ffff:127.0.0.1])"),
        "no address": INSIDE + hop(b"x.test"),
        "no Received": b"",
        "no trusted host": hop(b"x (x [198.51.100.7])", b"mx.other.test"),
        "an untrusted host on top": b"Received: from a.test (a.test [198.51.100.1]) by evil.test; x\r\n" + INSIDE + CLIENT,
        "two addresses": INSIDE + hop(b"x (x [198.51.100.7]) (y [198.51.100.8])"),
        "an open comment": INSIDE + hop(b"x (x [198.51.100.7]"),
        "no number": INSIDE + hop(b"x (x [198.51.100.777])"),
        "a name that ends alike": CLIENT.replace(b"mx.provider.test", b"evilmx.provider.test"),
        "8-bit octets": INSIDE + hop(b"x\xff\xfe (x [198.51.100.\xff7])"),
        "all in the body": b"Subject: x\r\n\r\n" + INSIDE + CLIENT,
    })
    def test_nobody_is_told_and_a_warning_says_why(self, header):
        smtp, run = self.told(header)
        self.assertEqual((smtp.commands("XCLIENT"), smtp.accepted[0].xclient), ([], {}))
        self.assert_names(run, "thomas", "no XCLIENT")

    @cases({
        "an attribute in the HELO": b"a LOGIN=root (m.test [198.51.100.7])",
        "an attribute in the name": b"a (m.test LOGIN=root [198.51.100.7])",
        "a plus and an equals sign": b"a+b=c (m.test [198.51.100.7])",
        "a line end": b"a\r\n LOGIN=root (m.test\r\n [198.51.100.7])",
        "NUL": b"a\0b (m.test [198.51.100.7])",
        "a long name": b"h" * 600 + b" (" + b"n" * 600 + b".test [198.51.100.7])",
        "quotes": b'"a (x [203.0.113.1])" (m.test [198.51.100.7])',
        "nested comments": b"a (m.test [198.51.100.7] (x [203.0.113.1]))",
        "a second by": b"a (m.test [198.51.100.7]) by mx.provider.test; x",
        "HELO as an address": b"[203.0.113.1] ([198.51.100.7])",
        "a comment that names another": b"a (HELO b [203.0.113.1]) ([198.51.100.7])",
    })
    def test_a_hostile_hop_smuggles_nothing(self, who):
        smtp, _ = self.told(INSIDE + hop(who))
        for line in smtp.commands("XCLIENT"):
            self.assertRegex(line, r"^XCLIENT ADDR=\S+ NAME=\S+ HELO=\S+$")
            self.assertNotIn("203.0.113.1 ", line)
            self.assertNotIn("LOGIN", line)
        self.assertEqual([set(m.xclient) - {"ADDR", "NAME", "HELO"} for m in smtp.accepted], [set()])
        self.assertIn(smtp.accepted[0].xclient.get("ADDR", "198.51.100.7"), ("198.51.100.7",))

    def test_login_is_never_sent(self):
        smtp, _ = self.told(INSIDE + CLIENT)
        self.assertNotIn("LOGIN", " ".join(smtp.commands("XCLIENT")))

    def test_one_session_carries_one_message(self):
        headers = [INSIDE + hop(f"h{n}.test (m{n}.test [198.51.100.{n}])".encode()) for n in range(1, 7)] + [b""]
        sent = [header + letter(n) for n, header in enumerate(headers)]
        _, smtp = self.shores(sent, to={"connections": 2})
        self.ferry()
        self.assert_arrived(smtp, sent)
        for message in smtp.accepted:
            number = next((n for n in range(1, 7) if b"198.51.100.%d]" % n in message.octets), None)
            self.assertEqual(message.xclient.get("ADDR"), f"198.51.100.{number}" if number else None)
        told = [m.session for m in smtp.accepted if m.xclient]
        self.assertEqual(len(told), len(set(told)))
        for session in smtp.sessions:
            self.assertLessEqual(len([c for c in session.commands if c.startswith("XCLIENT")]), 1)

    def test_a_server_that_does_not_offer_it_gets_the_mail_and_a_person_the_warning(self):
        _, smtp = self.shores([INSIDE + CLIENT + letter(n) for n in (1, 2)], extensions=EXTENSIONS[:-1], to={"connections": 1})
        run = self.ferry()
        self.assertEqual(len(smtp.accepted), 2)
        self.assertEqual(run.stderr.count("offers no XCLIENT"), 1)
        self.assertEqual(smtp.commands("XCLIENT"), [])

    def test_a_refused_attribute_costs_the_introduction_alone(self):
        pop3, smtp = self.shores([INSIDE + CLIENT + letter(1), letter(2)])
        smtp.rules = [At("XCLIENT").reply(b"501 5.5.4 bad HELO syntax\r\n")]
        run = self.ferry()
        self.assert_names(run, "thomas", "no XCLIENT", "bad HELO syntax")
        self.assertEqual((len(smtp.accepted), pop3.left("thomas")), (2, []))

    @cases({"at XCLIENT": (["XCLIENT"],), "at EHLO": (["EHLO", "HELO"],)})
    def test_a_client_that_is_turned_away_takes_nobody_with_it(self, steps):
        """With smtpd_delay_reject = no Postfix judges the client before MAIL."""
        bad = [INSIDE + hop(b"evil.test (evil.test [198.51.100.%d])" % n) + letter(n) for n in range(1, 6)]
        good = [INSIDE + CLIENT + letter(n) for n in range(6, 9)]
        pop3, smtp = self.shores(bad + good, to={"connections": 1})
        smtp.rules = [Picky(name) for name in steps]
        run = self.ferry(status=REFUSED)
        self.assert_names(run, "thomas", "Client host blocked")
        self.assert_arrived(smtp, good)
        self.assertEqual(sorted(pop3.left("thomas")), sorted(bad))

    def test_without_the_option_nobody_is_told(self):
        _, smtp = self.shores([INSIDE + CLIENT + letter(1)], to={"xclient": False})
        self.assert_silent(self.ferry())
        self.assertEqual(smtp.commands("XCLIENT"), [])

    def test_a_connection_lost_after_xclient_is_tried_again_with_it(self):
        _, smtp = self.shores([INSIDE + CLIENT + letter(1)])
        smtp.rules = [At("MAIL", session=1).close()]
        self.assert_silent(self.ferry())
        self.assertEqual([m.xclient["ADDR"] for m in smtp.accepted], ["198.51.100.7"])

    def test_messages_without_a_client_share_their_sessions(self):
        _, smtp = self.shores(letters(4), to={"connections": 1})
        self.ferry()
        self.assertEqual((len(smtp.accepted), len(smtp.sessions)), (4, 1))
