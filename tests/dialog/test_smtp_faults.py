"""A faulty SMTP server: whatever it does, no message is lost, what it took is not sent again, and the fault is named."""
import pathlib

from kit.case import cases
from kit.faults import FaultCase
from kit.messages import letter, letters
from kit.popferry import OK, PROTOCOL, REFUSED, RETRY
from kit.smtp import At

FAULTS = {
    "4xx": lambda at: at.reply(b"451 4.3.0 not now\r\n"),
    "5xx": lambda at: at.reply(b"550 5.7.1 never\r\n"),
    "421": lambda at: at.reply(b"421 4.3.2 shutting down\r\n").close(),
    "421 and no close": lambda at: at.reply(b"421 4.3.2 shutting down\r\n"),
    "nonsense": lambda at: at.reply(b"what do you want?\r\n"),
    "binary nonsense": lambda at: at.reply(bytes(range(1, 256)) + b"\r\n"),
    "NULs": lambda at: at.reply(b"250\0ok\r\n\0\0\r\n"),
    "a POP3 reply": lambda at: at.reply(b"+OK\r\n"),
    "a code out of range": lambda at: at.reply(b"999 what\r\n"),
    "an intermediate code": lambda at: at.reply(b"354 go on\r\n"),
    "two codes in one reply": lambda at: at.reply(b"250-one\r\n550 two\r\n"),
    "a line of 1 MB": lambda at: at.reply(b"451 " + b"x" * 1_000_000 + b"\r\n"),
    "an endless line": lambda at: at.endless(b"250 " + b"x" * 1000),
    "endless lines": lambda at: at.endless(b"250-x\r\n"),
    "a close": lambda at: at.close(),
    "a reset": lambda at: at.reset(),
    "silence": lambda at: at.stall(),
    "half a reply": lambda at: at.reply(b"25").close(),
    "half a reply, then silence": lambda at: at.reply(b"25").stall(),
}
STEPS = ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "body", "dot")


def fault(name, step, **when):
    """The rule for a fault at a step. Within the body it ends the session: a server that answered there and took the
    message all the same would ask for a duplicate."""
    rule = FAULTS[name](At(step, **when))
    return rule.close() if step == "body" else rule


PLAIN = {"extensions": ("8BITMIME",)}

# The message is taken, and this is what the client hears of it.
TAKEN = {
    "nothing and a close": lambda at: at.lose().close(),
    "nothing and a reset": lambda at: at.lose().reset(),
    "silence": lambda at: at.lose().stall(),
    "half a reply": lambda at: at.edit(lambda reply: reply[:3]).close(),
    "nonsense": lambda at: at.lose().reply(b"bananas\r\n"),
}


class EachStep(FaultCase):
    """Every fault at every step, pipelined."""

    @cases({f"{name} at {step}": (step, name) for step in STEPS for name in FAULTS})
    def test_is_survived(self, step, name):
        self.careful = False
        self.survive(smtp_rules=[fault(name, step)])


class OneByOne(FaultCase):
    """Every fault at every step of a session without PIPELINING."""

    @cases({f"{name} at {step}": (step, name) for step in STEPS[2:] for name in FAULTS})
    def test_is_survived(self, step, name):
        self.careful = False
        self.survive(smtp_rules=[fault(name, step)], smtp=PLAIN)


class SecondMessage(FaultCase):
    """The first message passes, the fault comes once, with the second one."""

    @cases({f"{name} at {step}": (step, name) for step in STEPS[2:] for name in FAULTS})
    def test_is_survived(self, step, name):
        self.careful = False
        self.survive(smtp_rules=[fault(name, step, n=2, times=1)])


class TakenAndNotTold(FaultCase):
    """The server took the message, but the client cannot know: the one window in which a duplicate may arise."""
    tsan = True

    @cases(TAKEN)
    def test_costs_one_duplicate_at_most(self, action):
        self.careful = False
        run = self.survive(smtp_rules=[action(At("dot", n=2, times=1))], duplicates=1)
        self.assertIsNotNone(run)

    @cases({f"connections {n}": n for n in (2, 4)})
    def test_costs_one_duplicate_a_session_at_most(self, connections):
        messages = [letter(n, body=b"%d\r\n" % n) for n in range(1, 25)]
        pop3, smtp = self.shores(messages)
        self.fetchrc(pop3, smtp, top={"timeout": 2, "final_timeout": "2s"}, to={"connections": connections})
        smtp.rules = [At("dot", n=3).lose().close()]
        smtp.delay = 0.02
        self.faulty_run(None, [], pop3, smtp)
        repeated = len(smtp.accepted) - len({m.octets for m in smtp.accepted})
        # what has been repeated in this very run was lost with a session, too
        lost_sessions = sum(s.ended == "server closed" for s in smtp.sessions)
        self.recover(pop3, smtp, duplicates=max(lost_sessions, repeated))


class Stages(FaultCase):
    def test_a_refused_connection_names_the_server(self):
        pop3, smtp = self.shores()
        smtp.stop()
        run = self.ferry(status=RETRY)
        self.assert_names(run, "127.0.0.1", str(smtp.port), "refused")
        self.assertEqual(len(pop3.left("thomas")), 3)
        smtp.start()
        self.recover(pop3, smtp)

    def test_a_mailbox_whose_destination_went_down_through_another_is_named(self):
        pop3, smtp = self.pop3({"thomas": letters(1), "anna": letters(2)}), self.smtp()
        smtp.rules = [At("greeting").delay(0.5).close()]
        pop3.rules = [At("RETR", user="anna").delay(1).normal()]
        self.fetchrc(pop3, smtp, top={"timeout": 3})
        run = self.ferry(status=RETRY)
        self.assert_names(run, "thomas", "anna")
        self.assertIn("closed the connection", self.popferry.run("status", "anna").stdout)

    @cases({step: step for step in ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "dot")})
    def test_the_servers_words_are_quoted(self, step):
        words = "451 4.7.1 come back in the evening"
        rules = [At(at).reply(words.encode() + b"\r\n") for at in ([step, "HELO"] if step == "EHLO" else [step])]
        run = self.survive(smtp_rules=rules, status=RETRY, words=[words])
        self.assertNotIn("\r", run.stderr)

    def test_control_characters_in_the_servers_words_do_not_reach_the_terminal(self):
        run = self.survive(smtp_rules=[At("MAIL").reply(b"451 \x1b[2Jwiped\x07\r\n")], status=RETRY, words=["451"])
        self.assertNotIn("\x1b", run.stderr)
        self.assertNotIn("\x07", run.stderr)

    @cases({"greeting": "greeting", "EHLO": "EHLO"})
    def test_a_server_that_refuses_us_altogether_marks_no_message(self, step):
        rules = [At(step).reply(b"554 5.7.1 you are on a list\r\n")]
        rules += [At("HELO").reply(b"554 5.7.1 you are on a list\r\n")] if step == "EHLO" else []
        self.survive(smtp_rules=rules, words=["554 5.7.1 you are on a list"], status={REFUSED, RETRY, PROTOCOL})

    def test_nothing_is_sent_behind_a_354_when_all_recipients_were_refused(self):
        pop3, smtp = self.shores()
        smtp.rules = [At("RCPT").reply(b"550 5.1.1 unknown\r\n"), At("DATA").reply(b"354 go on all the same\r\n").stall(5)]
        self.faulty_run(None, ["550 5.1.1 unknown"], pop3, smtp)
        for session in smtp.sessions:
            self.assertNotIn(b"Subject", b"".join(octets for who, octets in session.transcript if who == "C:"))
            self.assertNotIn(b"\r\n.\r\n", b"".join(octets for who, octets in session.transcript if who == "C:"))
        self.recover(pop3, smtp)

    @cases({"4xx": b"452 4.3.1 no room\r\n", "5xx": b"552 5.3.4 too much\r\n", "421": b"421 4.3.0 going down\r\n"})
    def test_a_reply_within_the_body_ends_the_transaction_without_a_dot(self, reply):
        big = letter(1, size=3_000_000)
        pop3, smtp = self.shores([big, letter(2)])
        smtp.rules = [At("body", octets=100_000, times=1).reply(reply).stall()]
        self.faulty_run(None, [], pop3, smtp)
        self.assertNotIn(big[-50:], b"".join(m.octets for m in smtp.accepted))
        self.recover(pop3, smtp)

    @cases({"a close": lambda at: at.close(), "a reset": lambda at: at.reset(), "silence": lambda at: at.stall()})
    def test_a_large_body_is_cut_off(self, action):
        self.survive(smtp_rules=[action(At("body", octets=500_000))], messages=[letter(1, size=20_000_000), letter(2)])

    @cases({f"at {step} {n}": (step, n) for step in ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "dot") for n in (1, 2)})
    def test_421_at_any_point(self, step, n):
        self.survive(smtp_rules=[At(step, n=n).reply(b"421 4.3.2 restarting\r\n").close()])

    def test_421_once_is_made_up_for_in_the_same_run(self):
        pop3, smtp = self.shores()
        smtp.rules = [At("MAIL", n=2, times=1).reply(b"421 4.3.2 restarting\r\n").close()]
        self.faulty_run(OK, [], pop3, smtp)

    def test_a_close_between_two_messages_is_made_up_for_in_the_same_run(self):
        pop3, smtp = self.shores()
        smtp.rules = [At("MAIL", n=2, times=1).close()]
        self.faulty_run({OK, RETRY}, [], pop3, smtp)
        self.recover(pop3, smtp)


    @cases({
        "a close": lambda: At("dot").normal().close(),
        "421 behind the 250": lambda: At("dot").edit(lambda reply: reply + b"421 4.7.0 one is enough\r\n").close(),
        "421 to the next MAIL": lambda: At("MAIL", n=2).reply(b"421 4.7.0 one is enough\r\n").close(),
    })
    def test_a_server_that_takes_one_message_a_session_gets_them_all_in_one_run(self, rule):
        pop3, smtp = self.shores([letter(n, body=b"%d\r\n" % n) for n in range(1, 31)])
        self.fetchrc(pop3, smtp, top={"timeout": 5}, to={"connections": 4})
        smtp.rules, smtp.delay = [rule()], 0.03
        self.ferry()
        self.assert_arrived(smtp, self.sent)
        self.assertEqual(pop3.left("thomas"), [])


class Refusals(FaultCase):
    def test_greylisting_passes_in_the_next_run(self):
        self.survive(smtp_rules=[At("RCPT").reply(b"450 4.2.0 greylisted, try again\r\n")], status=RETRY, words=["greylisted"])

    def test_a_message_over_the_servers_size_is_refused_before_its_body_goes_out(self):
        big = letter(2, size=9_000)
        pop3, smtp = self.shores([letter(1), big, letter(3)], smtp={"extensions": ("PIPELINING", "SIZE 5000")})
        self.faulty_run(REFUSED, ["5000"], pop3, smtp)
        self.assert_arrived(smtp, self.sent, missing=[big])
        self.assertEqual(pop3.left("thomas"), [big])
        for session in smtp.sessions:
            self.assertNotIn("abcdefghij", str(session.transcript))

    @cases({"552": b"552 5.2.2 mailbox full\r\n", "571": b"571 5.7.1 not wanted here\r\n", "554": b"554 5.7.1 spam\r\n"})
    def test_a_refused_message_stays_and_the_others_pass(self, reply):
        bad = letter(2, body=b"evil\r\n")
        pop3, smtp = self.shores([letter(1), bad, letter(3)])
        smtp.judge = lambda message: reply if b"evil" in message.octets else None
        self.faulty_run(REFUSED, [reply.decode().strip()], pop3, smtp)
        self.assert_arrived(smtp, self.sent, missing=[bad])
        self.assertEqual(pop3.left("thomas"), [bad])
        self.faulty_run(REFUSED, [reply.decode().strip()], pop3, smtp)      # again in the next run
        pop3.sessions.clear()
        self.faulty_run(REFUSED, [reply.decode().strip()], pop3, smtp)      # then not before an hour, but it is told
        self.assertEqual(pop3.commands("RETR"), [])
        self.assertEqual(pop3.left("thomas"), [bad])

    @cases({f"{code} at {step}": (code, step) for code in (b"451 4.0.0", b"550 5.0.0") for step in ("MAIL", "DATA")})
    def test_a_refusal_of_one_message_at(self, code, step):
        reply = code + b" not this one\r\n"
        pop3, smtp = self.shores(smtp=PLAIN)
        smtp.rules = [At(step, n=2, times=1).reply(reply)]
        self.faulty_run(RETRY if code.startswith(b"4") else REFUSED, ["not this one"], pop3, smtp)
        self.assertEqual(len(smtp.accepted), 2)
        self.recover(pop3, smtp)

    @cases({"for now": b"451 4.2.1 disk full\r\n", "for good": b"550 5.1.1 no such user\r\n"})
    def test_a_partly_accepted_list_is_finished_later_for_those_still_owed_only(self, reply):
        pop3, smtp = self.shores(recipients=["thomas", "anna", "karl"])
        smtp.refuse = {"anna@localhost": reply}
        run = self.ferry(status=None)
        self.assertNotEqual(run.status, OK)
        self.assert_names(run, "thomas", "anna@localhost", reply.decode().strip())
        self.assertEqual(len(pop3.left("thomas")), 3)
        self.assertEqual([m.recipients for m in smtp.accepted], [["thomas@localhost", "karl@localhost"]] * 3)
        smtp.refuse = {}
        del smtp.accepted[:]
        self.ferry()
        self.assertEqual([m.recipients for m in smtp.accepted], [["anna@localhost"]] * 3)
        self.assert_arrived(smtp, self.sent)
        self.assertEqual(pop3.left("thomas"), [])

    def test_a_recipient_refused_for_good_marks_no_message(self):
        pop3, smtp = self.shores()
        smtp.refuse = {"thomas@localhost": b"550 5.1.1 no such user\r\n"}
        for _ in range(3):
            self.faulty_run(None, ["no such user"], pop3, smtp)
        smtp.refuse = {}
        self.ferry()
        self.assert_arrived(smtp, self.sent)

    def test_recipients_of_a_later_fetchrc_concern_new_messages_only(self):
        pop3, smtp = self.shores(recipients=["thomas", "anna"])
        smtp.refuse = {"anna@localhost": b"451 4.2.1 later\r\n"}
        self.ferry(status=RETRY)
        smtp.refuse = {}
        del smtp.accepted[:]
        self.fetchrc(pop3, smtp, recipients=["karl"])
        pop3.mailboxes["thomas"].add(letter(9))
        self.ferry()
        self.assertEqual(sorted(m.recipients for m in smtp.accepted), [["anna@localhost"]] * 3 + [["karl@localhost"]])


class Lmtp(FaultCase):
    """RFC 2033: a reply for each recipient behind the dot."""

    def shores(self, messages=None, **how):
        return super().shores(messages, smtp={"lmtp": True}, **how)

    def test_every_recipient_gets_the_message(self):
        pop3, smtp = self.shores(recipients=["thomas", "anna"])
        self.ferry()
        self.assertEqual(sorted(m.recipients for m in smtp.accepted), [["anna"]] * 3 + [["thomas"]] * 3)
        self.assertEqual(pop3.left("thomas"), [])

    @cases({"for now": b"452 4.2.2 over quota\r\n", "for good": b"552 5.2.2 over quota\r\n"})
    def test_partial_success_is_finished_later(self, reply):
        pop3, smtp = self.shores(recipients=["thomas", "anna"])
        smtp.rules = [At("dot", arg="anna").reply(reply)]
        run = self.ferry(status=None)
        self.assertNotEqual(run.status, OK)
        self.assert_names(run, "anna", "over quota")
        self.assertEqual([m.recipients for m in smtp.accepted], [["thomas"]] * 3)
        self.assertEqual(len(pop3.left("thomas")), 3)
        smtp.rules = []
        self.ferry("run", "thomas", status=None)
        self.assertEqual(sorted(m.recipients for m in smtp.accepted), [["anna"]] * 3 + [["thomas"]] * 3)
        self.assertEqual(pop3.left("thomas"), [])

    @cases({"a close": lambda at: at.close(), "silence": lambda at: at.stall(), "nonsense": lambda at: at.reply(b"+OK\r\n")})
    def test_an_end_between_two_recipients_keeps_the_first_ones_receipt(self, action):
        self.careful = False
        pop3, smtp = self.shores(recipients=["thomas", "anna"])
        smtp.rules = [action(At("dot", arg="anna", times=1))]
        self.ferry(status=None)
        smtp.rules = []
        self.ferry(status=None)
        self.assertEqual(pop3.left("thomas"), [])
        self.assertEqual(sorted(m.recipients for m in smtp.accepted), [["anna"]] * 3 + [["thomas"]] * 3)

    @cases({f"{name} at {step}": (step, name) for step in ("greeting", "LHLO", "MAIL", "RCPT", "DATA", "dot") for name in
            ("4xx", "5xx", "421", "nonsense", "a close", "silence", "an endless line")})
    def test_is_survived(self, step, name):
        self.careful = False
        self.survive(smtp_rules=[fault(name, step)])


class OnReject(FaultCase):
    """Refused for good: on the second refusal, and never when all messages of a run were refused alike."""
    tsan = True

    def refused_twice(self, **account):
        self.bad = letter(2, body=b"evil\r\n")
        pop3, smtp = self.shores([letter(1), self.bad, letter(3)], **account)
        smtp.judge = lambda message: b"554 5.7.1 spam\r\n" if b"evil" in message.octets and message.recipients == ["thomas@localhost"] else None
        self.ferry(status=REFUSED)
        self.assertEqual(pop3.left("thomas"), [self.bad])
        pop3.mailboxes["thomas"].add(letter(4))
        self.ferry(status=None)
        return pop3, smtp

    def test_keep_leaves_it_on_the_server(self):
        pop3, _ = self.refused_twice()
        self.ferry(status=None)
        self.assertEqual(pop3.left("thomas"), [self.bad])

    def test_quarantine_stores_it_and_then_deletes_it(self):
        pop3, smtp = self.refused_twice(on_reject="quarantine")
        self.ferry(status=None)
        self.assertEqual(pop3.left("thomas"), [])
        stored = self.quarantined()
        self.assertEqual(len(stored), 1)
        self.assertIn(b"evil", stored[0])

    def test_forward_sends_it_on_with_the_servers_words_and_then_deletes_it(self):
        pop3, smtp = self.refused_twice(on_reject="forward", reject_recipient="postmaster@example.test")
        self.ferry(status=None)
        self.assertEqual(pop3.left("thomas"), [])
        notes = [m for m in smtp.accepted if m.recipients == ["postmaster@example.test"]]
        self.assertEqual(len(notes), 1)
        for words in (b"message/rfc822", b"554 5.7.1 spam", b"evil"):
            self.assertIn(words, notes[0].octets)

    def test_never_when_all_messages_of_a_run_were_refused_alike(self):
        pop3, smtp = self.shores(on_reject="quarantine")
        smtp.rules = [At("dot").reply(b"554 5.7.1 broken milter\r\n")]
        for _ in range(3):
            self.ferry("run", "thomas", status=None)
        self.assertEqual((len(pop3.left("thomas")), self.quarantined()), (3, []))

    def test_never_even_if_one_of_them_waited_while_others_were_taken(self):
        pop3, smtp = self.shores([letter(1), letter(2)], on_reject="quarantine")
        smtp.judge = lambda message: b"451 4.7.1 later\r\n" if b"letter 1\r\n" in message.octets else None
        self.ferry(status=RETRY)
        smtp.judge = lambda message: b"554 5.7.1 broken milter\r\n"
        for n in (3, 4, 5):
            pop3.mailboxes["thomas"].add(letter(n))
        for _ in range(3):
            self.ferry("run", "thomas", status=REFUSED)
        self.assertEqual((len(pop3.left("thomas")), self.quarantined()), (4, []))

    def test_never_when_the_messages_of_several_accounts_were_refused_alike(self):
        pop3, smtp = self.pop3({name: letters(1) for name in ("thomas", "anna")}), self.smtp()
        smtp.judge = lambda message: b"554 5.7.1 broken milter\r\n"
        self.fetchrc(pop3, smtp, top={"jobs": 1}, on_reject="quarantine")
        self.ferry(status=REFUSED)
        self.ferry(status=REFUSED)
        # The first account cannot know what becomes of the second one.
        self.assertEqual((len(pop3.left("thomas") + pop3.left("anna")), len(self.quarantined())), (1, 1))

    def test_never_while_a_recipient_is_only_put_off(self):
        pop3, smtp = self.shores([letter(1), letter(2)], on_reject="quarantine", recipients=["anna", "karl"])
        smtp.refuse = {"karl@localhost": b"450 4.7.1 greylisted\r\n"}
        smtp.judge = lambda message: b"554 5.7.1 spam\r\n" if b"letter 1\r\n" in message.octets and "anna@localhost" in message.recipients else None
        for _ in range(2):
            self.assert_names(self.ferry(status=REFUSED), "554 5.7.1 spam")
        self.assertEqual((len(pop3.left("thomas")), self.quarantined()), (2, []))

    def test_a_refused_notice_leaves_the_message_where_it_is(self):
        large = letter(1, body=b"x" * 60 + b"\r\n")
        pop3, smtp = self.shores([large, letter(2, body=b"2\r\n")], on_reject="quarantine", max_size=230, oversize="headers")
        smtp.judge = lambda message: b"554 5.7.1 no\r\n" if b"letter 1\r\n" in message.octets else None
        for _ in range(3):
            self.ferry(status=REFUSED)
        self.assertEqual((pop3.left("thomas"), self.quarantined(), pop3.commands("RETR 1")), ([large], [], []))

    def test_a_refusal_that_is_dealt_with_is_told_once(self):
        self.bad = letter(2, body=b"evil\r\n")
        pop3, smtp = self.shores([letter(1), self.bad], on_reject="quarantine")
        smtp.judge = lambda message: b"554 5.7.1 spam\r\n" if b"evil" in message.octets else None
        self.ferry(status=REFUSED)
        run = self.ferry(status=REFUSED)
        self.assertEqual(run.stderr.count("554 5.7.1 spam"), 1, run.stderr)
        self.assert_names(run, "thomas", "quarantine")
        self.assertEqual((pop3.left("thomas"), len(self.quarantined())), ([], 1))
        self.assert_silent(self.ferry())

    def test_noop_keeps_the_pop3_session_alive_while_it_is_forwarded(self):
        pop3, smtp = self.shores([letter(1)], on_reject="forward", reject_recipient="postmaster@example.test")
        self.fetchrc(pop3, smtp, top={"timeout": 3, "final_timeout": "30s"}, on_reject="forward", reject_recipient="postmaster@example.test")
        smtp.judge = lambda message: None if message.recipients == ["postmaster@example.test"] else b"554 5.7.1 no\r\n"
        self.ferry(status=REFUSED)
        pop3.idle, smtp.delay = 5, 6
        self.ferry(status=REFUSED, timeout=60)
        self.assertTrue(pop3.commands("NOOP"))
        self.assertEqual(pop3.left("thomas"), [])

    def quarantined(self):
        found = [p for p in pathlib.Path(self.popferry.state, "quarantine").rglob("*") if p.is_file() and p.parent.name in ("new", "cur")]
        return [p.read_bytes() for p in found]


class SlowServer(FaultCase):
    def test_noop_keeps_the_pop3_session_alive_while_deliveries_are_slow(self):
        pop3, smtp = self.shores(letters(4))
        pop3.idle, smtp.delay = 3, 2
        self.fetchrc(pop3, smtp, top={"timeout": 6, "final_timeout": "30s"}, to={"connections": 1})
        self.ferry(timeout=60)
        self.assert_arrived(smtp, self.sent)
        self.assertEqual(pop3.left("thomas"), [])
        self.assertTrue(pop3.commands("NOOP"))

    def test_noop_keeps_the_smtp_session_alive_while_retrieval_is_slow(self):
        pop3, smtp = self.shores(letters(3))
        smtp.idle = 3
        pop3.rules = [At("RETR", n=2).drip(0.1, 6)]
        self.fetchrc(pop3, smtp, top={"timeout": 6}, to={"connections": 1})
        self.ferry(timeout=60)
        self.assert_arrived(smtp, self.sent)
        self.assertEqual(len(smtp.sessions), 1)

    def test_final_timeout_bounds_the_wait_for_the_last_reply(self):
        pop3, smtp = self.shores()
        smtp.rules = [At("dot").lose().stall()]
        self.faulty_run(RETRY, [], pop3, smtp)
        self.recover(pop3, smtp, duplicates=1)
