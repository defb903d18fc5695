"""The main job: new mail arrives once, byte for byte, and leaves the far shore only then."""
from kit.case import PASSWORD, Case, cases
from kit.clock import shifted
from kit.messages import ODD, letter, letters
from kit.pop3 import At, Message, Pop3Server
from kit.popferry import LOGIN, REFUSED, RETRY, expected, take_trace


class DeliverAndDelete(Case):
    tsan = True

    def test_new_messages_arrive_once_and_leave_the_mailbox(self):
        sent = letters(5)
        pop3, smtp = self.pop3(sent), self.smtp()
        self.fetchrc(pop3, smtp)
        run = self.ferry()
        self.assert_silent(run)
        self.assert_arrived(smtp, sent)
        self.assertEqual(pop3.left("thomas"), [])
        self.assertEqual(sorted(pop3.commands("DELE")), [f"DELE {n}" for n in range(1, 6)])

    def test_a_second_run_fetches_nothing(self):
        pop3, smtp = self.pop3(letters(3)), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        pop3.sessions.clear()
        self.assert_silent(self.ferry())
        self.assertEqual(len(smtp.accepted), 3)
        self.assertEqual(pop3.commands("RETR"), [])
        self.assertEqual(len(pop3.left("thomas")), 3)

    def test_kept_mail_stays_and_new_mail_is_fetched_alone(self):
        sent = letters(3)
        pop3, smtp = self.pop3(sent), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        pop3.mailboxes["thomas"].add(letter(4))
        self.ferry()
        self.assert_arrived(smtp, sent + [letter(4)])
        self.assertEqual(pop3.commands("DELE"), [])

    def test_kept_mail_is_deleted_without_another_retrieval_once_keep_is_off(self):
        pop3, smtp = self.pop3(letters(3)), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        pop3.sessions.clear()
        self.fetchrc(pop3, smtp)
        self.ferry()
        self.assertEqual((pop3.commands("RETR"), pop3.left("thomas")), ([], []))
        self.assertEqual(len(smtp.accepted), 3)

    def test_an_empty_mailbox_is_no_fault_and_opens_no_smtp_session(self):
        pop3, smtp = self.pop3([]), self.smtp()
        self.fetchrc(pop3, smtp)
        self.assert_silent(self.ferry())
        self.assertEqual(smtp.sessions, [])

    def test_the_oldest_message_goes_first(self):
        sent = letters(6)
        pop3, smtp = self.pop3(sent), self.smtp()
        self.fetchrc(pop3, smtp, to={"connections": 1})
        self.ferry()
        self.assertEqual(self.arrivals(smtp), [expected(m) for m in sent])

    def test_a_session_is_used_for_many_messages_and_ended_with_quit(self):
        pop3, smtp = self.pop3(letters(8)), self.smtp()
        self.fetchrc(pop3, smtp, to={"connections": 1})
        self.ferry()
        self.assertEqual(len(smtp.sessions), 1)
        self.assertEqual(len(smtp.commands("QUIT")), 1)
        self.assertEqual(len(pop3.commands("QUIT")), 1)

    def test_no_more_sessions_are_opened_than_connections_says(self):
        pop3, smtp = self.pop3(letters(30)), self.smtp(delay=0.02)
        self.fetchrc(pop3, smtp, to={"connections": 3})
        self.ferry()
        self.assertEqual(len(smtp.accepted), 30)
        self.assertLessEqual(len(smtp.sessions), 3)

    def test_several_accounts_cross_in_one_run(self):
        boxes = {user: letters(4, sender=f"{user}@example.test") for user in ("thomas", "anna", "karl", "lisa")}
        pop3, smtp = self.pop3(boxes), self.smtp()
        self.fetchrc(pop3, smtp)
        self.assert_silent(self.ferry())
        self.assert_arrived(smtp, [m for box in boxes.values() for m in box])
        for user, box in boxes.items():
            mine = [m for m in smtp.accepted if m.recipients == [f"{user}@localhost"]]
            self.assertEqual(len(mine), len(box))
            self.assertEqual(pop3.left(user), [])

    def test_naming_an_account_polls_that_one_alone(self):
        pop3, smtp = self.pop3({"thomas": letters(1), "anna": letters(1)}), self.smtp()
        self.fetchrc(pop3, smtp)
        self.ferry("run", "anna")
        self.assertEqual([len(pop3.left(u)) for u in ("thomas", "anna")], [1, 0])

    def test_a_disabled_account_is_left_alone(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp()
        self.fetchrc(pop3, smtp, enabled=False)
        self.ferry(status=None)
        self.assertEqual(pop3.sessions, [])

    @cases({"one by one": ["USER", "UIDL", "TOP", "SASL PLAIN"], "nothing announced": [], "no CAPA at all": None})
    def test_servers_without_pipelining_are_asked_one_by_one(self, caps):
        sent = letters(4)
        pop3, smtp = self.pop3(sent, caps=caps), self.smtp(extensions=("8BITMIME",))
        self.fetchrc(pop3, smtp)
        self.ferry()
        self.assert_arrived(smtp, sent)
        self.assertEqual(pop3.left("thomas"), [])

    def test_pipelining_off_asks_one_by_one_even_where_it_is_announced(self):
        class Strict(Pop3Server):
            pipelining = False
        pop3, smtp = self.serve(Strict({"thomas": (PASSWORD, letters(4))})), self.smtp()
        self.fetchrc(pop3, smtp, pipelining="off")
        self.ferry()
        self.assert_arrived(smtp, letters(4))

    @cases({"IPv4": ("192.0.2.1", "[192.0.2.1]"), "IPv6": ("2001:db8::1", "[IPv6:2001:db8::1]"), "in brackets": ("[192.0.2.1]", "[192.0.2.1]")})
    def test_an_address_greets_as_an_address_literal(self, helo, literal):
        pop3, smtp = self.pop3(letters(1)), self.smtp()
        self.fetchrc(pop3, smtp, to={"helo": helo})
        self.ferry()
        self.assertEqual(smtp.commands("EHLO")[0], "EHLO " + literal)
        self.assert_arrived(smtp, letters(1))

    def test_helo_is_used_when_ehlo_is_refused(self):
        pop3, smtp = self.pop3(letters(2)), self.smtp(without={"EHLO"}, extensions=())
        self.fetchrc(pop3, smtp)
        self.ferry()
        self.assert_arrived(smtp, letters(2))
        self.assertTrue(smtp.commands("HELO"))

    def test_a_server_that_closes_after_some_messages_is_reconnected(self):
        sent = letters(9)
        pop3, smtp = self.pop3(sent), self.smtp()
        smtp.rules = [At("MAIL", n=4).reply(b"421 4.7.0 enough for one session\r\n").close()]
        self.fetchrc(pop3, smtp, to={"connections": 1})
        self.assert_silent(self.ferry())
        self.assert_arrived(smtp, sent)
        self.assertEqual(pop3.left("thomas"), [])



class Bytes(Case):
    def cross(self, octets, **account):
        pop3, smtp = self.pop3([octets]), self.smtp()
        self.fetchrc(pop3, smtp, **account)
        self.assert_silent(self.ferry())
        self.assert_arrived(smtp, [octets])
        self.assertEqual(pop3.left("thomas"), [])
        return smtp

    @cases(ODD)
    def test_arrives_octet_for_octet(self, octets):
        self.cross(octets)

    def test_odd_messages_pass_together_through_one_pipelined_session(self):
        sent = list(ODD.values()) + letters(5)
        pop3, smtp = self.pop3(sent), self.smtp()
        self.fetchrc(pop3, smtp, to={"connections": 1})
        self.assert_silent(self.ferry())
        self.assert_arrived(smtp, sent)
        self.assertEqual(pop3.left("thomas"), [])

    def test_odd_messages_pass_one_by_one(self):
        sent = list(ODD.values())
        pop3, smtp = self.pop3(sent, caps=("UIDL",)), self.smtp(extensions=())
        self.fetchrc(pop3, smtp)
        self.assert_silent(self.ferry())
        self.assert_arrived(smtp, sent)

    def test_odd_messages_pass_in_chunks(self):
        sent = list(ODD.values())
        pop3, smtp = self.pop3(sent), self.smtp(extensions=("PIPELINING", "SIZE", "8BITMIME", "CHUNKING"))
        self.fetchrc(pop3, smtp, to={"chunking": True})
        self.assert_silent(self.ferry())
        self.assert_arrived(smtp, sent)
        self.assertEqual(smtp.commands("DATA"), [])

    @cases({f"{n} octets at a time": n for n in (1, 2, 3, 7)})
    def test_the_end_is_found_wherever_the_octets_are_cut(self, n):
        octets = b"Subject: x\r\n\r\n.\r\n..\r\n.a\n.\nb\r\n\r\n.\r\n"
        pop3, smtp = self.pop3([octets, letter(2)]), self.smtp()
        pop3.rules = [At("RETR").drip(0.001, n)]
        self.fetchrc(pop3, smtp)
        self.ferry()
        self.assert_arrived(smtp, [octets, letter(2)])

    def test_a_large_message_costs_no_large_memory(self):
        octets = letter(1, size=60_000_000)
        pop3, smtp = self.pop3([octets]), self.smtp()
        self.fetchrc(pop3, smtp, top={"timeout": 30})
        run = self.ferry()
        self.assert_arrived(smtp, [octets])
        self.assertGreater(run.peak, 0)
        self.assert_small(run, 32)


class Envelope(Case):
    def one(self, octets, **account):
        pop3, smtp = self.pop3([octets]), self.smtp()
        self.fetchrc(pop3, smtp, **account)
        self.ferry()
        self.assertEqual(len(smtp.accepted), 1)
        return smtp.accepted[0]

    def test_return_path_becomes_the_sender_and_is_taken_off(self):
        got = self.one(letter(1, sender="bob@example.test"))
        self.assertEqual(got.sender, "bob@example.test")
        self.assertNotIn(b"Return-Path", got.octets)

    @cases({"empty": b"<>", "no address": b"not an address", "with a space": b"<a b@example.test>",
            "angle within": b"<a<b@example.test>", "too long": b"<" + b"a" * 300 + b"@example.test>", "NUL": b"<a\0@example.test>"})
    def test_an_unusable_return_path_gives_the_null_sender(self, path):
        self.assertEqual(self.one(b"Return-Path: " + path + b"\r\n\r\nx\r\n").sender, "")

    def test_a_return_path_smuggles_nothing_into_the_command(self):
        got = self.one(b"Return-Path: <a@b> AUTH=<>\r\n\r\nx\r\n")
        self.assertNotIn("AUTH", got.parameters)

    def test_no_return_path_gives_the_null_sender(self):
        self.assertEqual(self.one(b"Subject: x\r\n\r\nx\r\n").sender, "")

    def test_a_fixed_sender(self):
        self.assertEqual(self.one(letter(1), sender="ferry@example.test").sender, "ferry@example.test")

    def test_the_null_sender_when_asked_for(self):
        self.assertEqual(self.one(letter(1), sender="<>").sender, "")

    def test_a_bare_recipient_gets_the_recipient_domain(self):
        self.assertEqual(self.one(letter(1)).recipients, ["thomas@localhost"])

    def test_several_recipients_share_one_transaction(self):
        got = self.one(letter(1), recipients=["thomas", "anna@example.test", "karl"])
        self.assertEqual(got.recipients, ["thomas@localhost", "anna@example.test", "karl@localhost"])

    def test_size_and_body_are_announced(self):
        got = self.one(letter(1, body="Grüße\r\n".encode()))
        self.assertIn("BODY=8BITMIME", got.parameters)
        self.assertRegex(got.parameters, r"SIZE=\d+")
        size = int(got.parameters.split("SIZE=")[1].split()[0])
        self.assertGreaterEqual(size, len(got.octets) - 10)

    def test_nothing_is_announced_to_a_server_that_knows_nothing(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp(extensions=())
        self.fetchrc(pop3, smtp)
        self.ferry()
        self.assertEqual(smtp.accepted[0].parameters, "")

    def test_the_trace_header_names_host_protocol_and_recipient(self):
        trace, _ = take_trace(self.one(letter(1)).octets)
        self.assertEqual((trace["host"], trace["ip"], trace["with"]), (b"127.0.0.1", b"127.0.0.1", b"POP3"))
        self.assertEqual(trace["for"], b"thomas@localhost")

    def test_the_trace_header_of_several_recipients_names_none(self):
        trace, _ = take_trace(self.one(letter(1), recipients=["thomas", "anna"]).octets)
        self.assertIsNone(trace["for"])


class Limits(Case):
    def test_messages_over_max_size_stay(self):
        small, big = letter(1), letter(2, size=20_000)
        pop3, smtp = self.pop3([big, small]), self.smtp()
        self.fetchrc(pop3, smtp, max_size="10k")
        self.ferry()
        self.assert_arrived(smtp, [small])
        self.assertEqual(pop3.left("thomas"), [big])
        self.ferry("--all-sizes")
        self.assert_arrived(smtp, [small, big])
        self.assertEqual(pop3.left("thomas"), [])

    def test_max_messages_bounds_a_run_and_the_rest_follows(self):
        sent = letters(7)
        pop3, smtp = self.pop3(sent), self.smtp()
        self.fetchrc(pop3, smtp, max_messages=3, to={"connections": 1})
        for count in (3, 6, 7):
            self.ferry()
            self.assert_arrived(smtp, sent[:count])
            self.assertEqual(pop3.left("thomas"), sent[count:])

    def test_max_messages_starves_nothing_behind_mail_that_is_put_off(self):
        sent = letters(5)
        pop3, smtp = self.pop3(sent), self.smtp()
        smtp.judge = lambda m: b"451 4.3.0 later\r\n" if b"letter 1\r" in m.octets or b"letter 2\r" in m.octets else None
        self.fetchrc(pop3, smtp, max_messages=2, to={"connections": 1})
        for _ in range(4):
            self.ferry(status=None)
        self.assert_arrived(smtp, sent[2:])
        smtp.judge = None
        self.ferry()
        self.assert_arrived(smtp, sent)

    def test_max_messages_starves_nothing_behind_mail_that_one_recipient_does_not_get(self):
        sent = letters(5)
        pop3, smtp = self.pop3(sent), self.smtp(refuse={"gone@localhost": b"550 5.1.1 no such user\r\n"})
        self.fetchrc(pop3, smtp, max_messages=2, recipients=["thomas", "gone"])
        for _ in range(3):
            self.ferry(status=None)
        self.assert_arrived(smtp, sent)

    def test_max_messages_in_keep_mode_reaches_new_mail_behind_sizes_that_change(self):
        sent = letters(4)
        pop3, smtp = self.pop3(sent[:3]), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        self.fetchrc(pop3, smtp, keep=True, max_messages=2)
        pop3.mailboxes["thomas"].add(sent[3])
        for message in pop3.mailboxes["thomas"].messages[:3]:
            message.listed = message.size + 10
        self.ferry()
        self.assert_arrived(smtp, sent)

    def test_max_messages_in_keep_mode_bounds_what_turns_out_to_be_new_too(self):
        old, new = letters(3), [letter(n, body=b"of another size\r\n") for n in range(4, 7)]
        pop3, smtp = self.pop3([Message(m, uid=f"u{n}") for n, m in enumerate(old)]), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        self.fetchrc(pop3, smtp, keep=True, max_messages=2)
        pop3.mailboxes["thomas"].messages = [Message(m, uid=f"u{n}") for n, m in enumerate(new)]
        for count in (5, 6, 6):
            self.ferry()
            self.assertEqual(len(smtp.accepted), count)
        self.assert_arrived(smtp, old + new)

    def test_max_messages_in_keep_mode_goes_on_where_it_stopped(self):
        sent = letters(5)
        pop3, smtp = self.pop3(sent), self.smtp()
        self.fetchrc(pop3, smtp, max_messages=2, keep=True)
        for _ in range(4):
            self.ferry()
        self.assert_arrived(smtp, sent)

    def test_keep_days_deletes_when_the_time_has_come(self):
        sent = letters(2)
        pop3, smtp = self.pop3(sent), self.smtp()
        self.fetchrc(pop3, smtp, keep_days=3)
        self.ferry(env=shifted(0))
        self.ferry(env=shifted(2 * 86400))
        self.assertEqual(pop3.left("thomas"), sent)
        self.ferry(env=shifted(3 * 86400 + 60))
        self.assertEqual(pop3.left("thomas"), [])
        self.assert_arrived(smtp, sent)

    def test_nothing_is_deleted_for_its_age_while_the_clock_stands_before_the_newest_receipt(self):
        sent = letters(2)
        pop3, smtp = self.pop3(sent), self.smtp()
        self.fetchrc(pop3, smtp, keep_days=1)
        self.ferry(env=shifted(-10 * 86400))
        pop3.mailboxes["thomas"].add(letter(3))
        self.ferry(env=shifted(30 * 86400), status=None)
        pop3.mailboxes["thomas"].messages[:0] = [Message(m, uid=f"again-{i}") for i, m in enumerate(sent)]
        self.ferry(env=shifted(0))
        self.assertGreaterEqual(len(pop3.left("thomas")), 1)
        self.assertIn(letter(3), pop3.left("thomas"))


    def test_the_clock_is_no_matter_where_no_age_is(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp()
        self.fetchrc(pop3, smtp)
        self.ferry(env=shifted(400 * 86400))
        pop3.mailboxes["thomas"].add(letter(2))
        for _ in range(2):
            self.assert_silent(self.ferry())
        self.assertEqual(pop3.left("thomas"), [])

    def test_no_message_waits_longer_than_a_day_for_a_clock_that_was_wrong(self):
        sent = letters(2)
        pop3, smtp = self.pop3(sent), self.smtp(judge=lambda m: b"554 5.7.1 no\r\n")
        self.fetchrc(pop3, smtp)
        for _ in range(2):
            self.ferry(env=shifted(400 * 86400), status=REFUSED)
        smtp.judge = None
        self.ferry(env=shifted(0))
        self.assert_arrived(smtp, sent)


class Identity(Case):
    def reuse(self, pop3, runs):
        """The UID of a delivered message is given, after an empty listing, to another one of the same size."""
        one, two = (b"Subject: %s\r\n\r\nas long as the other\r\n" % name for name in (b"a", b"b"))
        mailbox = pop3.mailboxes["thomas"]
        mailbox.add(one, uid="1")
        runs[0]()
        mailbox.messages = []
        runs[1]()
        mailbox.add(two, uid="1")
        for run in runs[2:]:
            run()
        self.assert_arrived(self.smtp_server, [one, two])
        self.assertEqual(pop3.left("thomas"), [])

    def shores(self, **account):
        pop3, self.smtp_server = self.pop3([]), self.smtp()
        self.options = self.fetchrc(pop3, self.smtp_server, **account)
        return pop3

    def test_a_uid_that_is_reused_after_an_unconfirmed_deletion(self):
        pop3 = self.shores()
        pop3.rules = [At("QUIT", session=1).lose().close()]
        self.reuse(pop3, [lambda: self.ferry(status=RETRY), self.ferry, self.ferry])

    def test_a_uid_that_is_reused_where_mail_is_kept_for_some_days(self):
        pop3 = self.shores(keep_days=3)
        late = lambda: self.ferry(env=shifted(4 * 86400))
        self.reuse(pop3, [lambda: self.ferry(env=shifted(0)), lambda: self.ferry(env=shifted(0)),
                          lambda: self.ferry(env=shifted(0)), late, lambda: self.ferry(env=shifted(8 * 86400))])

    def test_a_uid_that_is_reused_where_mail_was_kept(self):
        pop3 = self.shores(keep=True)

        def no_longer():
            self.options["account"]["thomas"]["keep"] = False
            self.popferry.configure(self.options)
            self.ferry()
        self.reuse(pop3, [self.ferry, self.ferry, self.ferry, no_longer])

    def test_mail_that_comes_back_after_an_empty_listing_is_looked_at_once_and_deleted(self):
        pop3 = self.shores(keep_days=3)
        messages = [Message(m) for m in letters(3)]
        for listed in (messages, [], messages):
            pop3.mailboxes["thomas"].messages = list(listed)
            self.ferry(env=shifted(0))
        self.assertEqual(len(pop3.commands("RETR")), 6)
        self.ferry(env=shifted(4 * 86400))
        self.assertEqual((len(pop3.commands("RETR")), pop3.left("thomas")), (6, []))
        self.assert_arrived(self.smtp_server, letters(3))

    def test_a_uid_that_is_reused_for_another_message_costs_none(self):
        one, two = letter(1), letter(2, body=b"Quite another one.\r\n")
        pop3, smtp = self.pop3([Message(one, uid="same")]), self.smtp()
        self.fetchrc(pop3, smtp)
        self.ferry()
        pop3.mailboxes["thomas"].add(two, uid="same")
        self.ferry()
        self.assert_arrived(smtp, [one, two])
        self.assertEqual(pop3.left("thomas"), [])

    def test_a_uid_that_is_reused_for_a_message_of_the_same_size_costs_none(self):
        one, two = letter(1, body=b"aaaa\r\n"), letter(1, body=b"bbbb\r\n")
        pop3, smtp = self.pop3([Message(one, uid="same")]), self.smtp()
        self.fetchrc(pop3, smtp)
        self.ferry()
        self.ferry()
        pop3.mailboxes["thomas"].add(two, uid="same")
        self.ferry()
        self.assert_arrived(smtp, [one, two])

    def test_a_uid_that_is_reused_while_mail_is_kept_costs_none(self):
        one, two = letter(1), letter(2, body=b"Quite another one.\r\n")
        pop3, smtp = self.pop3([Message(one, uid="same")]), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        pop3.mailboxes["thomas"].messages = [Message(two, uid="same")]
        self.ferry()
        self.ferry()
        self.assert_arrived(smtp, [one, two])

    def test_a_uid_that_stands_twice_identifies_nothing(self):
        sent = letters(3)
        pop3, smtp = self.pop3([Message(m, uid="twice") for m in sent[:2]] + [sent[2]]), self.smtp()
        self.fetchrc(pop3, smtp)
        self.ferry()
        self.assert_arrived(smtp, sent)
        self.assertEqual(pop3.left("thomas"), [])

    def test_a_uid_that_stands_twice_in_kept_mail_comes_once(self):
        sent = letters(3)
        pop3, smtp = self.pop3([Message(m, uid="twice") for m in sent]), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        for _ in range(3):
            self.ferry()
        self.assert_arrived(smtp, sent)

    def test_a_size_that_changes_is_no_new_message(self):
        message = letter(1)
        pop3, smtp = self.pop3([Message(message, uid="m")]), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        head, body = message.split(b"\r\n\r\n", 1)
        grown = head + b"\r\nStatus: RO\r\nX-UIDL: 65d35b67\r\n\r\n" + body
        pop3.mailboxes["thomas"].messages = [Message(grown, uid="m")]
        self.ferry()
        self.ferry()
        self.assertEqual(len(smtp.accepted), 1)
        self.fetchrc(pop3, smtp)
        self.ferry()
        self.assertEqual((len(smtp.accepted), pop3.left("thomas")), (1, []))

    def test_renumbering_between_sessions_does_no_harm(self):
        sent = letters(6)
        pop3, smtp = self.pop3(sent), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        pop3.mailboxes["thomas"].messages.reverse()
        pop3.mailboxes["thomas"].messages.insert(2, Message(letter(7), uid="new"))
        self.ferry()
        self.assert_arrived(smtp, sent + [letter(7)])

    @cases({"one octet": "a", "70 octets": "x" * 70, "odd characters": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "over-long": "y" * 200,
            "an 8-bit one": "gr\xfc\xdfe", "digits": "1"})
    def test_uids_of_every_kind(self, uid):
        pop3, smtp = self.pop3([Message(letter(1), uid=uid), letter(2)]), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        self.ferry()
        self.assert_arrived(smtp, letters(2))
        self.fetchrc(pop3, smtp)
        self.ferry()
        self.assertEqual(pop3.left("thomas"), [])
        self.assertEqual(len(smtp.accepted), 2)

    def test_without_uidl_mail_is_deleted_and_comes_once(self):
        sent = letters(3)
        pop3, smtp = self.pop3(sent, without={"UIDL"}, caps=("TOP",)), self.smtp()
        self.fetchrc(pop3, smtp)
        self.ferry()
        self.ferry()
        self.assert_arrived(smtp, sent)
        self.assertEqual(pop3.left("thomas"), [])

    def test_without_uidl_kept_mail_comes_once(self):
        sent = letters(3)
        pop3, smtp = self.pop3(sent, without={"UIDL", "LAST"}, caps=("TOP",)), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        self.ferry(status=None)
        self.assert_arrived(smtp, sent)


class Accounts(Case):
    tsan = True

    def test_a_refused_login_does_not_stop_the_others(self):
        pop3, smtp = self.pop3({"thomas": letters(2), "anna": letters(2)}), self.smtp()
        options = self.fetchrc(pop3, smtp)
        options["account"]["anna"]["password"] = "not it"
        self.popferry.configure(options)
        run = self.ferry(status=LOGIN)
        self.assert_names(run, "anna", "127.0.0.1", "[AUTH] wrong password")
        self.assertNotIn("thomas", run.stderr)
        self.assertEqual(pop3.left("thomas"), [])

    def test_an_account_that_hangs_does_not_delay_the_others(self):
        slow, quick, smtp = self.pop3({"anna": letters(2)}), self.pop3(letters(2)), self.smtp()
        slow.rules = [At("RETR").stall()]
        options = self.fetchrc(quick, smtp, top={"timeout": 3})
        options["account"]["anna"] = self.account(slow, "anna")
        self.popferry.configure(options)
        process = self.popferry.start()
        self.wait_for(lambda: quick.left("thomas") == [], 2.5)
        run = self.popferry.finish(process)
        self.expect_status(run, RETRY)
        self.assert_names(run, "anna")
        self.assertEqual(len(slow.left("anna")), 2)

    def test_jobs_per_host_bounds_the_sessions_on_one_host(self):
        users = {f"user{n}": letters(1) for n in range(9)}
        pop3, smtp = self.pop3(users), self.smtp()
        pop3.rules = [At("LIST").delay(0.1).normal()]
        peak = []
        pop3.on_step = lambda n, what: peak.append(sum(s.is_alive() and s.user is not None for s in pop3.sessions))
        self.fetchrc(pop3, smtp, top={"jobs_per_host": 2})
        self.ferry()
        self.assertEqual(len(smtp.accepted), 9)
        self.assertLessEqual(max(peak), 3)      # a session that has just said goodbye may still be counted

    def test_twenty_accounts_at_once(self):
        users = {f"user{n}": letters(5, sender=f"u{n}@example.test") for n in range(20)}
        pop3, smtp = self.pop3(users), self.smtp()
        self.fetchrc(pop3, smtp, top={"jobs": 20, "jobs_per_host": 20})
        self.assert_silent(self.ferry())
        self.assert_arrived(smtp, [m for box in users.values() for m in box])
        self.assertEqual([m for u in users for m in pop3.left(u)], [])
