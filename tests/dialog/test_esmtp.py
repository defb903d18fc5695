"""The extensions of SMTP: used where they are announced, and never where they are not."""
from kit.case import Case, cases
from kit.messages import ODD, letter, letters
from kit.pop3 import At
from kit.popferry import REFUSED, expected

EIGHT = letter(1, body="Grüße\r\n".encode())
ALL = ("PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8", "CHUNKING", "DSN", "REQUIRETLS",
       "BINARYMIME", "DELIVERBY", "MT-PRIORITY", "FUTURERELEASE 1 2", "AUTH PLAIN")
FRENCH = "Return-Path: <grüße@münchen.test>\r\nSubject: x\r\n\r\nx\r\n".encode()


class Extensions(Case):
    def cross(self, sent, extensions, status=0, to=None, **account):
        pop3, smtp = self.pop3(sent), self.smtp(extensions=extensions)
        self.fetchrc(pop3, smtp, to=to, **account)
        self.run_ = self.ferry(status=status)
        self.left = pop3.left("thomas")
        return smtp

    def test_size_counts_what_is_sent(self):
        smtp = self.cross([letter(1), ODD["lines of dots"]], ("SIZE",), to={"connections": 1})
        for message in smtp.accepted:
            self.assertEqual(message.parameters, f"SIZE={len(message.octets)}")

    def test_a_message_over_the_servers_size_is_not_offered(self):
        big = letter(2, size=50_000)
        smtp = self.cross([letter(1), big, letter(3)], ("PIPELINING", "SIZE 20000"), REFUSED)
        self.assert_names(self.run_, "thomas", "20000", "octets")
        self.assert_arrived(smtp, [letter(1), letter(3)])
        self.assertEqual(self.left, [big])

    @cases({"no limit": "SIZE 0", "no number": "SIZE"})
    def test_a_size_without_a_limit_limits_nothing(self, size):
        self.assert_arrived(self.cross([letter(1, size=50_000)], (size,)), [letter(1, size=50_000)])

    def test_eight_bit_text_is_announced(self):
        smtp = self.cross([EIGHT, letter(2)], ("8BITMIME",), to={"connections": 1})
        self.assertEqual([m.parameters for m in smtp.accepted], ["BODY=8BITMIME", ""])

    def test_a_server_without_8bitmime_gets_the_octets_as_they_are(self):
        smtp = self.cross([EIGHT], ())
        self.assertEqual(smtp.accepted[0].parameters, "")
        self.assert_arrived(smtp, [EIGHT])

    @cases({"to the message": (At("dot"), b"554 5.7.1 content rejected\r\n"), "to MAIL": (At("MAIL"), b"550 5.7.27 no null MX\r\n"),
            "to RCPT": (At("RCPT"), b"550 5.1.1 unknown here\r\n"), "of many lines": (At("dot"), b"554-5.7.1 one\r\n554 5.7.1 two\r\n")})
    def test_enhanced_status_codes_are_quoted(self, rule, reply):
        pop3, smtp = self.pop3(letters(1)), self.smtp()
        smtp.rules = [rule.reply(reply)]
        self.fetchrc(pop3, smtp)
        run = self.ferry(status=None)
        self.assert_names(run, "thomas", reply.split(b"\r\n")[0].decode().replace("-", " "))
        self.assertEqual(pop3.left("thomas"), letters(1))

    def test_smtputf8_is_asked_for_where_an_address_needs_it(self):
        smtp = self.cross([FRENCH, letter(2)], ("SMTPUTF8", "8BITMIME"), to={"connections": 1})
        self.assertEqual([(m.sender, m.parameters) for m in smtp.accepted], [("grüße@münchen.test", "BODY=8BITMIME SMTPUTF8"), ("alice@example.test", "")])
        smtp = self.cross(letters(1), ("SMTPUTF8",), recipients=["jürgen@example.test"])
        self.assertEqual((smtp.accepted[0].recipients, smtp.accepted[0].parameters), (["jürgen@example.test"], "SMTPUTF8"))

    def test_without_smtputf8_such_a_sender_gives_way_to_the_null_sender(self):
        smtp = self.cross([FRENCH, letter(2)], ("PIPELINING",), to={"connections": 1})
        self.assertEqual([m.sender for m in smtp.accepted], ["", "alice@example.test"])
        self.assert_arrived(smtp, [FRENCH, letter(2)])
        self.assertEqual(self.left, [])

    def test_without_smtputf8_such_a_recipient_is_refused_by_name_and_the_message_stays(self):
        self.cross(letters(1), ("PIPELINING",), REFUSED, recipients=["jürgen@example.test"])
        self.assert_names(self.run_, "thomas", "SMTPUTF8")
        self.assertEqual(self.left, letters(1))

    @cases({"pipelined": (["PIPELINING", "CHUNKING"],), "one by one": (["CHUNKING"],)})
    def test_chunks_where_they_are_wanted_and_announced(self, extensions):
        sent = letters(3) + [EIGHT, ODD["lines of dots"], ODD["3 MB"], ODD["empty"]]
        smtp = self.cross(sent, extensions, to={"chunking": True})
        self.assert_arrived(smtp, sent)
        self.assertEqual(smtp.commands("DATA"), [])
        self.assertEqual(self.left, [])

    @cases({"not wanted": (ALL, False), "not announced": (("PIPELINING",), True)})
    def test_no_chunks_elsewhere(self, extensions, wanted):
        smtp = self.cross(letters(2), extensions, to={"chunking": wanted})
        self.assertEqual((smtp.commands("BDAT"), len(smtp.commands("DATA"))), ([], 2))

    def test_a_refused_chunk_is_a_refused_message(self):
        pop3, smtp = self.pop3(letters(3)), self.smtp(extensions=ALL)
        smtp.judge = lambda m: b"554 5.7.1 no\r\n" if b"letter 2" in m.octets else None
        self.fetchrc(pop3, smtp, to={"chunking": True})
        self.ferry(status=REFUSED)
        self.assertEqual(sorted(self.arrivals(smtp)), sorted(expected(letter(n)) for n in (1, 3)))
        self.assertEqual(pop3.left("thomas"), [letter(2)])

    def test_no_recipient_no_chunk(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp(extensions=ALL, refuse={"thomas@localhost": b"550 5.1.1 who?\r\n"})
        self.fetchrc(pop3, smtp, to={"chunking": True})
        self.ferry(status=None)
        self.assertEqual(smtp.commands("BDAT"), [])

    def rcpts(self, extensions, **to):
        return self.cross(letters(1), extensions, to=to).commands("RCPT")

    def test_notify_never_where_it_is_wanted_and_announced(self):
        self.assertEqual(self.rcpts(ALL, notify="never"), ["RCPT TO:<thomas@localhost> NOTIFY=NEVER"])

    @cases({"not wanted": (ALL, {}), "default": (ALL, {"notify": "default"}), "not announced": (("PIPELINING",), {"notify": "never"})})
    def test_no_notify_elsewhere(self, extensions, to):
        self.assertEqual(self.rcpts(extensions, **to), ["RCPT TO:<thomas@localhost>"])

    def test_nothing_is_invented(self):
        """REQUIRETLS, priorities, hold times, AUTH=, RET and ENVID are for who wrote the message."""
        smtp = self.cross([EIGHT, FRENCH], ALL, to={"connections": 1})
        self.assertEqual([m.parameters for m in smtp.accepted],
                         [f"SIZE={len(m.octets)} BODY=8BITMIME" + " SMTPUTF8" * i for i, m in enumerate(smtp.accepted)])

    @cases({name: name for name in ("PIPELINING", "SIZE 1000000", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN")})
    def test_each_extension_alone(self, name):
        sent = letters(3) + [EIGHT]
        smtp = self.cross(sent, (name,), to={"chunking": True, "notify": "never"})
        self.assert_arrived(smtp, sent)

    @cases({"in small letters": (["pipelining", "size 104857600", "8bitmime"],), "with noise": (["", " ", "PIPELINING\t", "SIZE five", "8BITMIME x"],)})
    def test_announcements_are_read_whatever_they_look_like(self, extensions):
        pop3, smtp = self.pop3([EIGHT]), self.smtp(extensions=extensions)
        self.careful = False
        self.fetchrc(pop3, smtp)
        self.ferry()
        self.assert_arrived(smtp, [EIGHT])


class SenderAndLoops(Case):
    def one(self, octets, **account):
        pop3, smtp = self.pop3([octets]), self.smtp()
        self.fetchrc(pop3, smtp, **account)
        self.assert_silent(self.ferry())
        return smtp.accepted[0].sender

    @cases({"an address": (b"<bob@example.test>", "bob@example.test"), "without brackets": (b"bob@example.test", "bob@example.test"),
            "null": (b"<>", ""), "a route": (b"<@a.test,@b.test:bob@example.test>", "bob@example.test"),
            "quoted": (b'<"bob smith"@example.test>', '"bob smith"@example.test'), "a bare name": (b"<root>", ""),
            "a literal": (b"<bob@[192.0.2.1]>", "bob@[192.0.2.1]")})
    def test_return_path(self, path, sender):
        octets = b"Return-Path: " + path + b"\r\nSubject: x\r\n\r\nx\r\n"
        for name in (None, "return-path"):
            self.assertEqual(self.one(octets, sender=name), sender)

    @cases({"an address": ("ferry@example.test", "ferry@example.test"), "null": ("<>", "")})
    def test_a_fixed_sender(self, name, sender):
        self.assertEqual(self.one(letter(1), sender=name), sender)

    def loop(self, hops, by=b"ferry.example.test", **account):
        octets = b"".join(b"Received: from x%d.test by %s with ESMTP; x\r\n" % (n, by) for n in range(hops)) + letter(1)
        pop3, smtp = self.pop3([octets, letter(2)]), self.smtp()
        self.fetchrc(pop3, smtp, to={"helo": "Ferry.example.test"}, **account)
        return octets, pop3, smtp

    @cases({"a few": (2, 2), "as many as are allowed": (50, None)})
    def test_hops_through_this_host_are_allowed(self, hops, most):
        octets, _, smtp = self.loop(hops, max_hops=most)
        self.assert_silent(self.ferry())
        self.assert_arrived(smtp, [octets, letter(2)])

    @cases({"one more": (3, 2), "one more than by default": (51, None)})
    def test_a_loop_stops_with_a_fault_and_the_message_stays(self, hops, most):
        octets, pop3, smtp = self.loop(hops, max_hops=most)
        for _ in range(2):
            run = self.ferry(status=REFUSED)
            self.assert_names(run, "thomas", "loop", str(most or 50))
        self.assert_arrived(smtp, [letter(2)])
        self.assertEqual(pop3.left("thomas"), [octets])

    def test_hops_through_others_do_not_count(self):
        octets, _, smtp = self.loop(60, b"elsewhere.test")
        self.assert_silent(self.ferry())
        self.assert_arrived(smtp, [octets, letter(2)])

    def test_every_delivery_counts_as_a_hop(self):
        """The ferry's own trace header ends a loop that leads through it."""
        octets, most = letter(1), 3
        for hop in range(most + 1):
            pop3, smtp = self.pop3([octets]), self.smtp()
            self.fetchrc(pop3, smtp, to={"helo": "ferry.example.test"}, max_hops=most)
            self.assert_silent(self.ferry("--state-dir", f"{self.directory}/state{hop}"))
            octets = smtp.accepted[0].octets
        pop3, smtp = self.pop3([octets]), self.smtp()
        self.fetchrc(pop3, smtp, to={"helo": "ferry.example.test"}, max_hops=most)
        self.ferry("--state-dir", f"{self.directory}/last", status=REFUSED)
        self.assertEqual(smtp.accepted, [])
