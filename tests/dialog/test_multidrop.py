"""Multidrop: one mailbox for a domain, whose envelope stands in a header field that the provider writes."""
from kit.case import Case, cases
from kit.messages import letter, letters
from kit.pop3 import At
from kit.popferry import RETRY

FIELDS = ["Delivered-To", "X-Original-To", "X-Envelope-To"]
MAP = ["info@example.org=thomas", "Sales@Example.ORG=anna", "help@example.org=karl", "@example.org=lisa"]
FALLBACK = ["postmaster"]


def to(*addresses, field="Delivered-To", n=1):
    return b"".join(f"{field}: {a}\r\n".encode("utf-8", "surrogateescape") for a in addresses) + letter(n)


class Multidrop(Case):
    def shores(self, sent, how=None, **account):
        pop3, smtp = self.pop3(sent), self.smtp(**(how or {}))
        self.fetchrc(pop3, smtp, **{"envelope_header": FIELDS, "map": MAP, "recipients": FALLBACK, **account})
        return pop3, smtp

    def got(self, octets, **account):
        pop3, smtp = self.shores([octets], **account)
        self.run_ = self.ferry()
        self.assert_arrived(smtp, [octets])
        self.assertEqual(pop3.left("thomas"), [])
        return sorted(r.removesuffix("@localhost") for r in smtp.accepted[0].recipients)

    @cases({
        "an address": (to("info@example.org"), ["thomas"]),
        "in other letters": (to("INFO@EXAMPLE.org"), ["thomas"]),
        "a rule in other letters": (to("sales@example.org"), ["anna"]),
        "the domain": (to("nobody@example.org"), ["lisa"]),
        "another domain": (to("nobody@example.com"), FALLBACK),
        "a subdomain": (to("info@sub.example.org"), FALLBACK),
        "a domain that ends alike": (to("info@evilexample.org"), FALLBACK),
        "several fields": (to("info@example.org", "x@example.org"), ["lisa", "thomas"]),
        "a list": (to("info@example.org, sales@example.org"), ["anna", "thomas"]),
        "in brackets": (to("Info <info@example.org>"), ["thomas"]),
        "once each": (to("info@example.org", "INFO@example.org", "info@example.org"), ["thomas"]),
        "none of the fields": (letter(1), FALLBACK),
        "the second field": (to("info@example.org", field="X-Original-To"), ["thomas"]),
        "the third field": (to("info@example.org", field="x-ENVELOPE-to"), ["thomas"]),
        "the first that is there decides": (b"X-Envelope-To: info@example.org\r\n" + to("sales@example.org"), ["anna"]),
        "folded": (b"Delivered-To:\r\n info@example.org\r\n" + letter(1), ["thomas"]),
        "a tag is another address": (to("info+tag@example.org"), ["lisa"]),
    })
    def test_goes_to(self, octets, whom):
        self.assertEqual(self.got(octets), sorted(whom))

    @cases({"To": b"To: info@example.org\r\n", "Cc": b"Cc: info@example.org\r\n", "Bcc": b"Bcc: info@example.org\r\n",
            "Apparently-To": b"Apparently-To: info@example.org\r\n", "Received for": b"Received: from a by b for <info@example.org>; x\r\n",
            "in the body": b"Subject: x\r\n\r\nDelivered-To: info@example.org\r\n"})
    def test_nothing_is_guessed(self, header):
        self.assertEqual(self.got(header + letter(1)), FALLBACK)

    @cases({
        "no address": b"Delivered-To: not an address\r\n", "empty": b"Delivered-To:\r\n", "NUL": b"Delivered-To: info\0@example.org\r\n",
        "RCPT smuggled": b"Delivered-To: <info@example.org>\r\n\tRCPT TO:<root@localhost>\r\n",
        "brackets within": b"Delivered-To: <a<info@example.org>\r\n", "a parameter": b"Delivered-To: info@example.org> NOTIFY=SUCCESS\r\n",
        "an open comment": b"Delivered-To: (info@example.org\r\n", "open quotes": b'Delivered-To: "info@example.org\r\n',
        "a space within": b"Delivered-To: in fo@example.org\r\n", "broken UTF-8": b"Delivered-To: info\xff@example.org\r\n",
        "long": b"Delivered-To: " + b"a" * 300 + b"@example.org\r\n",
        "a megabyte": b"Delivered-To: " + b"a@b, " * 60_000 + b"info@example.org\r\n",
        "a star": b"Delivered-To: *\r\n", "a rule": b"Delivered-To: @example.org\r\n", "nameless": b"Delivered-To: <>\r\n",
    })
    def test_a_hostile_field_reaches_nobody_that_the_map_does_not_name(self, header):
        got = self.got(header + letter(1).partition(b"\r\n")[2])
        self.assertLessEqual(set(got), {"thomas", "lisa", *FALLBACK})
        self.assertLess(len(self.run_.stderr), 20_000)

    def test_a_thousand_recipients_are_bounded(self):
        octets = to(*(f"u{n}@example.net" for n in range(3000)), "info@example.org")
        self.assertLessEqual(set(self.got(octets)), {"thomas", *FALLBACK})
        self.assertLessEqual(self.run_.stderr.count("no map rule"), 51)

    def test_unknown_recipients_are_told_once(self):
        sent = [to("who@example.net", n=n) for n in range(1, 6)] + [to("WHO@example.net", "else@example.net", n=6)]
        _, smtp = self.shores(sent)
        run = self.ferry()
        self.assert_arrived(smtp, sent)
        self.assertEqual(run.stderr.lower().count("who@example.net"), 1)
        self.assertEqual(run.stderr.count("else@example.net"), 1)
        self.assertEqual({r for m in smtp.accepted for r in m.recipients}, {"postmaster@localhost"})

    def test_who_is_known_gets_it_beside_one_who_is_not(self):
        self.assertEqual(self.got(to("info@example.org", "who@example.net")), ["thomas"])
        self.assert_names(self.run_, "who@example.net")

    def test_an_unknown_recipient_paints_no_terminal(self):
        self.got(to('"\x1b[31m"@example.net'))
        self.assertNotIn("\x1b", self.run_.stderr)

    def test_a_star_takes_the_rest(self):
        self.assertEqual(self.got(to("x@example.net"), map=MAP + ["*=hanna"]), ["hanna"])
        self.assert_silent(self.run_)

    def test_receipts_are_kept_for_each_recipient(self):
        sent = [to("info@example.org", "sales@example.org", "help@example.org", n=n) for n in (1, 2)]
        pop3, smtp = self.shores(sent, {"lmtp": True})
        smtp.rules = [At("dot", arg="karl", times=2).reply(b"451 4.3.0 later\r\n")]
        self.ferry(status=RETRY)
        self.assertEqual(pop3.left("thomas"), sent)
        self.ferry()
        got = sorted((m.recipients[0], m.octets.count(b"letter 1")) for m in smtp.accepted)
        self.assertEqual(got, [(who, n) for who in ("anna", "karl", "thomas") for n in (0, 1)])
        self.assertEqual(pop3.left("thomas"), [])

    def test_a_refused_recipient_does_not_keep_the_others_waiting(self):
        sent = [to("info@example.org", "sales@example.org", "help@example.org")]
        pop3, smtp = self.shores(sent, {"refuse": {"karl@localhost": b"550 5.1.1 no such user\r\n"}})
        self.assertNotEqual(self.ferry(status=None).status, 0)
        self.ferry(status=None)
        self.assertEqual([m.recipients for m in smtp.accepted], [["thomas@localhost", "anna@localhost"]])
        self.assertEqual(pop3.left("thomas"), sent)
        smtp.refuse = {}
        self.ferry()
        self.assertEqual([m.recipients for m in smtp.accepted][1:], [["karl@localhost"]])
        self.assertEqual(pop3.left("thomas"), [])

    def test_a_change_of_the_map_concerns_new_messages_only(self):
        old, new = to("info@example.org", "sales@example.org", "help@example.org", n=1), to("info@example.org", n=2)
        pop3, smtp = self.shores([old], {"refuse": {"karl@localhost": b"450 4.2.1 later\r\n"}})
        self.ferry(status=RETRY)
        smtp.refuse = {}
        pop3.mailboxes["thomas"].add(new)
        self.fetchrc(pop3, smtp, envelope_header=FIELDS, map=["@example.org=somebody"], recipients=FALLBACK)
        self.ferry()
        whom = {b"letter 1" in m.octets and b"letter 2" not in m.octets: set() for m in smtp.accepted}
        for m in smtp.accepted:
            whom[b"letter 1" in m.octets] |= set(m.recipients)
        self.assertEqual(whom, {True: {"thomas@localhost", "anna@localhost", "karl@localhost"}, False: {"somebody@localhost"}})

    def test_kept_mail_is_not_delivered_anew_when_the_map_changes(self):
        sent = [to("info@example.org", n=n) for n in (1, 2)]
        pop3, smtp = self.shores(sent, keep=True)
        self.ferry()
        self.fetchrc(pop3, smtp, envelope_header=FIELDS, map=["*=somebody"], recipients=FALLBACK, keep=True)
        self.ferry()
        self.assert_arrived(smtp, sent)

    def test_the_map_knows_utf8_addresses(self):
        octets = to("grüße@example.org")
        self.assertEqual(self.got(octets, map=["grüße@example.org=thomas"]), ["thomas"])

    def test_without_a_fallback_the_fetchrc_is_refused(self):
        self.shores(letters(1), recipients=None)
        self.assertEqual(self.ferry(status=None).status, 78)
