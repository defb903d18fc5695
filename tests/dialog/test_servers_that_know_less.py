"""POP3 servers with one thing after the other taken away: no message is lost, none comes twice."""
import contextlib
import os
import signal
import sqlite3

from kit.case import PASSWORD, Case, cases
from kit.clock import shifted
from kit.messages import letter, letters
from kit.pop3 import At, Hangup, Message, Pop3Server, Pop3Session, stuffed
from kit.popferry import REFUSED, RETRY, STATE

EVERYTHING = ("TOP", "UIDL", "RESP-CODES", "PIPELINING", "USER", "SASL PLAIN")
LACKS = {
    "CAPA": {"caps": None},
    "PIPELINING": {"caps": ("TOP", "UIDL", "USER")},
    "UIDL": {"caps": ("TOP", "PIPELINING", "USER"), "without": {"UIDL"}},
    "TOP": {"caps": ("UIDL", "PIPELINING", "USER"), "without": {"TOP"}},
    "UIDL, LAST": {"caps": ("TOP", "USER"), "without": {"UIDL", "LAST"}},
    "UIDL, TOP": {"caps": ("PIPELINING", "USER"), "without": {"UIDL", "TOP"}},
    "all but RFC 1225": {"caps": None, "without": {"UIDL", "TOP", "CAPA", "AUTH", "STLS"}},
    "all but RFC 1939's minimum": {"caps": None, "without": {"UIDL", "TOP", "CAPA", "AUTH", "STLS", "LAST"}},
}


def twins():
    """Messages that share a header, and two that share everything."""
    return [letter(1, body=b"one\r\n"), letter(1, body=b"two\r\n"), letter(3), letter(3)]


class Lacking(Case):
    """What every server must allow, whatever it lacks."""

    def shores(self, how, sent, **account):
        pop3, smtp = self.pop3(sent, **how), self.smtp()
        self.fetchrc(pop3, smtp, **account)
        return pop3, smtp

    @cases(LACKS)
    def test_mail_comes_once_and_is_deleted(self, how):
        sent = letters(5) + twins()
        pop3, smtp = self.shores(how, sent)
        self.assert_silent(self.ferry())
        self.assert_arrived(smtp, sent)
        self.assertEqual(pop3.left("thomas"), [])
        pop3.mailboxes["thomas"].add(letter(6))
        self.assert_silent(self.ferry())
        self.assert_arrived(smtp, sent + [letter(6)])
        self.assertEqual(pop3.left("thomas"), [])

    @cases(LACKS)
    def test_kept_mail_comes_once_in_later_runs_too(self, how):
        sent = letters(5) + twins()
        pop3, smtp = self.shores(how, sent, keep=True)
        for _ in range(3):
            self.assert_silent(self.ferry())
            self.assert_arrived(smtp, sent)
        pop3.mailboxes["thomas"].messages.insert(2, Message(letter(6)))
        for _ in range(2):
            self.assert_silent(self.ferry())
            self.assert_arrived(smtp, sent + [letter(6)])
        self.assertEqual(len(pop3.left("thomas")), len(sent) + 1)

    @cases(LACKS)
    def test_a_kill_between_receipt_and_deletion_brings_no_duplicate(self, how):
        sent = letters(4) + twins()
        pop3, smtp = self.shores(how, sent, to={"connections": 1})
        process = self.popferry.start()

        def at_step(_, what):
            if what == "command DELE":
                os.kill(process.pid, signal.SIGKILL)
                raise Hangup
        pop3.on_step = at_step
        self.assertEqual(self.popferry.finish(process).status, -signal.SIGKILL)
        pop3.on_step = None
        pop3.stop()
        pop3.start()
        self.assertEqual(len(pop3.left("thomas")), len(sent))
        self.ferry()
        self.ferry()
        self.assertEqual(pop3.left("thomas"), [])
        # Where DELEs are not pipelined they go out while the next message is being delivered: that one may come twice.
        self.assert_arrived(smtp, sent, duplicates=0 if "PIPELINING" in (how["caps"] or ()) else 1)

    @cases(LACKS)
    def test_a_session_lost_before_quit_brings_no_duplicate(self, how):
        sent = letters(4) + twins()
        pop3, smtp = self.shores(how, sent)
        pop3.rules = [At("QUIT", session=1).close()]
        self.ferry(status=RETRY)
        self.assertEqual(len(pop3.left("thomas")), len(sent))
        self.ferry()
        self.assert_arrived(smtp, sent)
        self.assertEqual(pop3.left("thomas"), [])

    @cases(LACKS)
    def test_what_was_put_off_comes_later_and_the_rest_only_once(self, how):
        sent = letters(4)
        pop3, smtp = self.shores(how, sent, keep=True)
        smtp.judge = lambda m: b"451 4.7.1 later\r\n" if b"letter 2" in m.octets else None
        self.ferry(status=RETRY)
        self.ferry(status=RETRY)
        self.assert_arrived(smtp, sent, missing=[sent[1]])
        smtp.judge = None
        self.ferry()
        self.ferry()
        self.assert_arrived(smtp, sent)

    @cases(LACKS)
    def test_a_connection_lost_at_the_dot_leaves_one_row_of_the_message(self, how):
        pop3, smtp = self.shores(how, letters(2), keep=True, to={"connections": 1})
        smtp.rules = [At("dot", session=1, n=1).close()]
        self.ferry(status=RETRY)
        self.ferry()
        self.ferry()
        self.assert_arrived(smtp, letters(2))
        with contextlib.closing(sqlite3.connect(os.path.join(self.popferry.state, "history.db"))) as history:
            self.assertEqual(history.execute("SELECT count(*) FROM message").fetchone(), (2,))

    @cases(LACKS)
    def test_max_messages_in_keep_mode_reaches_the_last_message(self, how):
        sent = letters(5)
        pop3, smtp = self.shores(how, sent, keep=True, max_messages=2)
        for count in (2, 4, 5, 5):
            self.ferry()
            self.assertEqual(len(smtp.accepted), count)
        self.assert_arrived(smtp, sent)

    @cases(LACKS)
    def test_mail_that_was_kept_is_deleted_once_keep_is_off(self, how):
        sent = letters(3)
        pop3, smtp = self.shores(how, sent, keep=True)
        self.ferry()
        self.fetchrc(pop3, smtp)
        self.ferry()
        self.assert_arrived(smtp, sent)
        self.assertEqual(pop3.left("thomas"), [])

    @cases(LACKS)
    def test_mail_that_could_not_be_deleted_is_not_new_once_it_is_kept(self, how):
        sent = letters(3)
        pop3, smtp = self.shores(how, sent)
        pop3.rules = [At("QUIT").close()]
        self.ferry(status=RETRY)
        pop3.rules = []
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        self.ferry()
        self.assert_arrived(smtp, sent)

    @cases(LACKS)
    def test_a_signal_stops_it_between_messages(self, how):
        sent = letters(12)
        pop3, smtp = self.pop3(sent, **how), self.smtp(delay=0.1)
        self.fetchrc(pop3, smtp, to={"connections": 1})
        process = self.popferry.start()
        self.wait_for(lambda: len(smtp.accepted) >= 3)
        process.send_signal(signal.SIGTERM)
        self.expect_status(self.popferry.finish(process), RETRY)
        smtp.delay = 0
        for server in self.servers:
            server.settle(3)
        self.ferry()
        self.assert_arrived(smtp, sent)
        self.assertEqual(pop3.left("thomas"), [])

    @cases(LACKS)
    def test_what_is_refused_twice_goes_into_the_quarantine(self, how):
        sent = letters(4)
        pop3, smtp = self.shores(how, sent, on_reject="quarantine")
        smtp.judge = lambda m: b"554 5.7.1 never\r\n" if b"letter 2" in m.octets else None
        self.ferry(status=REFUSED)
        self.assertEqual(pop3.left("thomas"), [sent[1]])
        pop3.mailboxes["thomas"].add(letter(5))
        self.assert_names(self.ferry(status=None), "quarantine", "5.7.1 never")
        self.assertEqual(pop3.left("thomas"), [])
        new = os.path.join(self.popferry.state, "quarantine", "new")
        self.assertEqual(len(os.listdir(new)), 1)
        with open(os.path.join(new, os.listdir(new)[0]), "rb") as file:
            self.assertIn(b"letter 2", file.read())

    @cases(LACKS)
    def test_what_is_refused_waits_before_it_is_tried_a_third_time(self, how):
        pop3, smtp = self.shores(how, letters(1))
        smtp.judge = lambda m: b"554 5.7.1 never\r\n"
        for after in (0, 60, 120):
            self.ferry(status=REFUSED, env=shifted(after))
        self.assertEqual(len([c for s in smtp.sessions for c in s.commands if c.startswith("MAIL")]), 2)
        smtp.judge = None
        self.ferry(env=shifted(3700))
        self.assert_arrived(smtp, letters(1))

    @cases(LACKS)
    def test_an_empty_mailbox(self, how):
        self.shores(how, [])
        self.assert_silent(self.ferry())


class Identity(Case):
    """UIDs that come and go."""

    def test_identity_by_top_needs_no_retrieval_in_later_runs(self):
        pop3, smtp = self.pop3(letters(4), **LACKS["UIDL"]), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        pop3.sessions.clear()
        self.ferry()
        self.assertEqual(sorted(pop3.commands("TOP")), [f"TOP {n} 0" for n in range(1, 5)])
        self.assertEqual(pop3.commands("RETR"), [])

    def test_lines_that_a_server_writes_into_the_header_change_no_identity(self):
        def seen(octets, status):
            head, body = octets.split(b"\r\n\r\n", 1)
            return head + b"\r\n" + status + b"\r\n\r\n" + body
        for keep, how in ((True, "UIDL"), (True, "UIDL, TOP"), (False, "UIDL")):
            with self.subTest(keep=keep, how=how):
                sent = letters(3)
                pop3, smtp = self.pop3(sent, **LACKS[how]), self.smtp()
                self.fetchrc(pop3, smtp, keep=keep)
                if not keep:
                    pop3.rules = [At("QUIT").close()]
                self.ferry("--state-dir", f"{self.directory}/state-{keep}-{how}", status=None)
                pop3.rules = []
                box = pop3.mailboxes["thomas"]
                for status in (b"Status: O", b"Status: RO\r\nX-Status: A", b"X-UIDL: 65d35b67\r\nStatus: RO"):
                    box.messages = [Message(seen(m, status)) for m in sent]
                    self.ferry("--state-dir", f"{self.directory}/state-{keep}-{how}")
                self.assert_arrived(smtp, sent)

    def some(self, wanted):
        """A server that answers UIDL for the messages that wanted(n) picks."""
        class Some(Pop3Session):
            def do_uidl(self, rest):
                lines = "".join(f"{n} {m.uid}\r\n" for n, m in self.present() if wanted(n))
                return b"+OK\r\n" + lines.encode() + b".\r\n"

        class Server(Pop3Server):
            session_class = Some
        return Server

    @cases({f"{'kept' if keep else 'deleted'}{' without TOP' if not top else ''}": (keep, top)
            for keep in (True, False) for top in (True, False)})
    def test_uidl_for_only_some_messages(self, keep, top):
        sent = letters(6) + twins()
        caps = EVERYTHING if top else [c for c in EVERYTHING if c != "TOP"]
        pop3 = self.serve(self.some(lambda n: n % 2)({"thomas": (PASSWORD, sent)}, caps=caps, without=set() if top else {"TOP"}))
        smtp = self.smtp()
        self.fetchrc(pop3, smtp, keep=keep)
        for _ in range(3):
            self.assert_silent(self.ferry())
        self.assert_arrived(smtp, sent)
        self.assertEqual(len(pop3.left("thomas")), len(sent) if keep else 0)

    @cases({"with TOP": True, "without TOP": False})
    def test_uids_that_change_hands_between_sessions(self, top):
        sent = letters(6) + twins()[:2]
        which = [0]
        caps = EVERYTHING if top else [c for c in EVERYTHING if c != "TOP"]
        pop3 = self.serve(self.some(lambda n: (n + which[0]) % 2)({"thomas": (PASSWORD, sent)}, caps=caps,
                                                                  without=set() if top else {"TOP"}))
        smtp = self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        for which[0] in (0, 1, 1, 0, 1):
            self.ferry()
            self.assert_arrived(smtp, sent)
        pop3.sessions.clear()
        if top:
            self.ferry()
            self.assertLessEqual(len(pop3.commands("RETR")), 3)      # those that share a header have no other name

    @cases({"with TOP": "UIDL", "without TOP": "UIDL, TOP"})
    def test_a_server_that_learns_uidl_brings_nothing_again(self, how):
        sent = letters(4) + twins()
        pop3, smtp = self.pop3(sent, **LACKS[how]), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        pop3.without, pop3.caps = set(), EVERYTHING
        for _ in range(3):
            pop3.sessions.clear()
            self.ferry()
            self.assert_arrived(smtp, sent)
        self.assertEqual(pop3.commands("RETR"), [])

    @cases({"with TOP": "UIDL", "without TOP": "UIDL, TOP"})
    def test_a_server_that_forgets_uidl_brings_nothing_again(self, how):
        sent = letters(4)
        pop3, smtp = self.pop3(sent), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        pop3.without, pop3.caps = LACKS[how]["without"], LACKS[how]["caps"]
        for _ in range(3):
            self.ferry()
        self.assert_arrived(smtp, sent)

    def test_twins_of_a_kept_message_are_new_mail(self):
        pop3, smtp = self.pop3([letter(1)], **LACKS["UIDL"]), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        for count in (2, 3):
            pop3.mailboxes["thomas"].add(letter(1))
            self.ferry()
            self.ferry()
            self.assert_arrived(smtp, [letter(1)] * count)

    @cases({"with TOP": True, "without TOP": False})
    def test_a_twin_without_a_uid_of_a_kept_message_with_one_is_new_mail(self, top):
        caps = EVERYTHING if top else [c for c in EVERYTHING if c != "TOP"]
        pop3 = self.serve(self.some(lambda n: n == 1)({"thomas": (PASSWORD, [letter(1)])}, caps=caps, without=set() if top else {"TOP"}))
        smtp = self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        pop3.mailboxes["thomas"].add(letter(1))
        for _ in range(3):
            self.ferry()
        self.assert_arrived(smtp, [letter(1)] * 2)

    def test_what_cannot_be_looked_up_is_not_new(self):
        sent = letters(2)
        pop3, smtp = self.pop3(sent, **LACKS["UIDL, TOP"]), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        kept, pop3.mailboxes["thomas"].messages = pop3.mailboxes["thomas"].messages, []
        self.ferry()
        pop3.mailboxes["thomas"].messages = kept
        with contextlib.closing(sqlite3.connect(f"{self.popferry.state}/history.db")) as history:
            (index,) = history.execute("SELECT sql FROM sqlite_master WHERE name = 'message_since'").fetchone()
            history.execute("DROP INDEX message_since")
            self.assert_names(self.ferry(status=STATE), "message_since")
            history.execute(index)
        self.ferry()
        self.assert_arrived(smtp, sent)

    def test_what_last_calls_unread_goes_first(self):
        pop3, smtp = self.pop3(letters(5), **LACKS["all but RFC 1225"]), self.smtp()
        pop3.mailboxes["thomas"].last = 3
        self.fetchrc(pop3, smtp, to={"connections": 1})
        self.ferry()
        self.assertEqual(pop3.commands("RETR"), [f"RETR {n}" for n in (4, 5, 1, 2, 3)])
        self.assert_arrived(smtp, letters(5))

    def test_keep_days_counts_from_the_receipt_without_uidl_too(self):
        for how in ("UIDL", "UIDL, TOP"):
            with self.subTest(how):
                sent = letters(2)
                pop3, smtp = self.pop3(sent, **LACKS[how]), self.smtp()
                self.fetchrc(pop3, smtp, keep_days=3)
                state = ("--state-dir", f"{self.directory}/state-{how}")
                self.ferry(*state, env=shifted(0))
                self.ferry(*state, env=shifted(2 * 86400))
                self.assertEqual(pop3.left("thomas"), sent)
                self.ferry(*state, env=shifted(3 * 86400 + 60))
                self.assertEqual(pop3.left("thomas"), [])
                self.assert_arrived(smtp, sent)


class ReusedUids(Case):
    """A UID that was free for a run belongs to another message when it is listed again."""

    def boxes(self, pop3, *boxes, status=(0,)):
        for n, box in enumerate(boxes):
            pop3.mailboxes["thomas"].messages = [Message(octets, uid=uid) for uid, octets in box.items()]
            self.ferry(status=status[n] if n < len(status) else 0)

    def test_new_mail_of_the_same_size_comes_where_mail_is_kept(self):
        pop3, smtp = self.pop3([]), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.assertEqual(len(letter(1)), len(letter(3)))
        again = {"u2": letter(2), "u1": letter(3)}
        self.boxes(pop3, {"u1": letter(1), "u2": letter(2)}, {"u2": letter(2)}, again)
        self.assert_arrived(smtp, letters(3))
        pop3.sessions.clear()
        self.boxes(pop3, again)
        self.assertEqual(pop3.commands("RETR"), [])

    @cases({"with sizes": True, "without sizes": False})
    def test_kept_mail_that_was_gone_is_read_once_and_not_delivered(self, sizes):
        sent = letters(3)
        pop3, smtp = self.pop3(sent), self.smtp()
        bare = [] if sizes else [At("LIST").reply(b"+OK\r\n1\r\n2\r\n3\r\n.\r\n")]
        pop3.rules = bare
        self.fetchrc(pop3, smtp, keep=True, max_messages=3)
        self.ferry()
        pop3.rules = [At("STAT").reply(b"+OK 0 0\r\n"), At("LIST").reply(b"+OK\r\n.\r\n"),
                      At("UIDL").reply(b"+OK\r\n.\r\n")]
        self.ferry()
        pop3.rules = bare
        pop3.sessions.clear()
        self.ferry()
        self.assertEqual(len(pop3.commands("RETR")), 3)
        self.ferry()
        self.assertEqual(len(pop3.commands("RETR")), 3)
        self.assert_arrived(smtp, sent)

    def test_new_mail_of_another_size_comes_though_the_uid_was_marked_as_seen(self):
        pop3, smtp = self.pop3([Message(letter(n), uid=f"u{n}") for n in (1, 2)]), self.smtp()
        self.fetchrc(pop3, smtp)
        self.ferry("history", "--seen", "--yes", "thomas")
        fresh = letter(3, size=5000)
        self.boxes(pop3, {"u2": letter(2)}, {"u2": letter(2), "u1": letter(1)}, {"u2": letter(2)})
        self.assert_arrived(smtp, [])
        self.boxes(pop3, {"u2": letter(2), "u1": fresh})
        self.assert_arrived(smtp, [fresh])
        self.assertEqual(pop3.left("thomas"), [letter(2)])

    def test_another_large_message_has_a_notice_of_its_own_even_if_that_is_put_off(self):
        pop3, smtp = self.pop3([]), self.smtp()
        self.fetchrc(pop3, smtp, max_size="10k", oversize="headers")
        self.boxes(pop3, {"u1": letter(1, size=20_000)}, {})
        smtp.judge = lambda m: b"451 4.3.0 later\r\n"
        large = letter(2, size=30_000)
        again = {"u1": large}
        self.boxes(pop3, again, status=(RETRY,))
        smtp.judge = None
        self.boxes(pop3, again, again)
        self.assertEqual([m.octets.count(b"X-Popferry-Oversize: %d\r" % len(large)) for m in smtp.accepted], [0, 1])

    def test_another_message_does_not_wait_for_one_that_was_refused(self):
        pop3, smtp = self.pop3([]), self.smtp()
        self.fetchrc(pop3, smtp)
        smtp.judge = lambda m: b"554 5.7.1 never\r\n" if b"letter 1" in m.octets else None
        refused, fresh = {"u1": letter(1)}, letter(2, size=5000)
        self.boxes(pop3, refused, refused, {}, {"u1": fresh}, status=(REFUSED, REFUSED))
        self.assert_arrived(smtp, [fresh])


class Sizes(Case):
    """LIST's numbers are only a hint."""

    def bare(self):
        class Bare(Pop3Session):
            def do_list(self, rest):
                return b"+OK\r\n" + b"".join(b"%d\r\n" % n for n, _ in self.present()) + b".\r\n"

        class Server(Pop3Server):
            session_class = Bare
        return Server

    @cases({f"{'kept' if keep else 'deleted'}, {name}": (keep, how) for keep in (True, False)
            for name, how in {"all else": {}, "no UIDL": LACKS["UIDL"], "no UIDL and no TOP": LACKS["UIDL, TOP"]}.items()})
    def test_list_without_sizes(self, keep, how):
        sent = letters(4) + [letter(5, size=200_000)]
        pop3 = self.serve(self.bare()({"thomas": (PASSWORD, sent)}, **how))
        smtp = self.smtp()
        self.fetchrc(pop3, smtp, keep=keep, max_size="1M")
        for _ in range(3):
            self.ferry()
        self.assert_arrived(smtp, sent)
        self.assertEqual(len(pop3.left("thomas")), len(sent) if keep else 0)

    @cases({"too small": 0.3, "too large": 3})
    def test_listed_sizes_that_are_wrong(self, factor):
        sent = [letter(n, size=n * 5000) for n in range(1, 6)]
        pop3, smtp = self.pop3([Message(m, size=int(len(m) * factor)) for m in sent]), self.smtp()
        self.fetchrc(pop3, smtp)
        self.assert_silent(self.ferry())
        self.assert_arrived(smtp, sent)

    @cases({"with UIDL": {}, "without": LACKS["UIDL"], "without TOP": LACKS["UIDL, TOP"]})
    def test_sizes_that_change_within_and_between_sessions(self, how):
        """Qpopper counts what it has written into a message only after the first retrieval."""
        class Growing(Pop3Session):
            def do_retr(self, rest):
                message = self.messages[int(rest) - 1]
                if b"\r\nStatus: " not in message.octets:
                    head, body = message.octets.split(b"\r\n\r\n", 1)
                    uid = b"X-UIDL: %s\r\n" % message.uid.encode()
                    message.octets = head + b"\r\n" + uid + b"Status: RO\r\n\r\n" + body
                    message.listed += 24
                return super().do_retr(rest)

        class Server(Pop3Server):
            session_class = Growing

        def bare(octets):
            lines = octets.split(b"\r\n")
            return b"\r\n".join(line for line in lines if not line.startswith((b"Status: ", b"X-UIDL: ")))
        for keep in (True, False):
            with self.subTest(keep=keep):
                sent = letters(5)
                pop3 = self.serve(Server({"thomas": (PASSWORD, [Message(m, uid=f"q{n}", size=len(m)) for n, m in enumerate(sent)])},
                                         **how))
                smtp = self.smtp()
                self.fetchrc(pop3, smtp, keep=keep)
                pop3.rules = [At("QUIT", session=1).close()]
                state = ("--state-dir", f"{self.directory}/state-{keep}")
                self.ferry(*state, status=None)
                for _ in range(3):
                    self.assert_silent(self.ferry(*state))
                self.assertEqual(sorted(map(bare, self.arrivals(smtp))),
                                 sorted(m.split(b"\r\n", 1)[1] for m in sent))
                self.assertEqual(len(pop3.left("thomas")), len(sent) if keep else 0)


class Expire(Case):
    """EXPIRE 0: QUIT takes whatever was retrieved (RFC 2449 section 6.6)."""

    def server(self, messages, **how):
        class Expiring(Pop3Session):
            def do_retr(self, rest):
                reply = super().do_retr(rest)
                if reply.startswith(b"+OK"):
                    self.seen.setdefault("read", set()).add(int(rest))
                return reply

            def do_quit(self, rest):
                self.marked |= self.seen.get("read", set())
                return super().do_quit(rest)

        class Server(Pop3Server):
            session_class = Expiring
        return self.serve(Server({"thomas": (PASSWORD, messages)}, caps=EVERYTHING + ("EXPIRE 0",), **how))

    def test_delivered_mail_goes(self):
        pop3, smtp = self.server(letters(4)), self.smtp()
        self.fetchrc(pop3, smtp)
        self.assert_silent(self.ferry())
        self.assert_arrived(smtp, letters(4))
        self.assertEqual(pop3.left("thomas"), [])

    @cases({"put off": (b"451 4.7.1 later\r\n", RETRY), "refused": (b"554 5.7.1 never\r\n", 65)})
    def test_retrieved_mail_that_was_not_delivered_survives(self, reply, status):
        pop3, smtp = self.server(letters(4)), self.smtp()
        smtp.judge = lambda m: reply if b"letter 3" in m.octets else None
        self.fetchrc(pop3, smtp)
        self.ferry(status=status)
        self.assertEqual(pop3.left("thomas"), [letter(3)], "what was delivered is deleted in a session of its own")
        self.assertEqual([("RETR 1" in s.commands, "QUIT" in s.commands) for s in pop3.sessions], [(True, False), (False, True)])
        smtp.judge = None
        self.ferry()
        self.assert_arrived(smtp, letters(4))
        self.assertEqual(pop3.left("thomas"), [])

    def test_mail_for_a_destination_that_is_down_survives(self):
        pop3, smtp = self.server(letters(4)), self.smtp()
        smtp.rules = [At("greeting").reply(b"421 4.3.2 closed\r\n").close()]
        self.fetchrc(pop3, smtp)
        self.ferry(status=RETRY)
        self.assertEqual(len(pop3.left("thomas")), 4)
        smtp.rules = []
        self.ferry()
        self.assert_arrived(smtp, letters(4))

    def test_a_loop_is_left_where_it_is(self):
        loop = b"Received: from a by ferry.example.test; x\r\n" * 3 + letter(1)
        pop3, smtp = self.server([loop, letter(2)]), self.smtp()
        self.fetchrc(pop3, smtp, to={"helo": "ferry.example.test"}, max_hops=2)
        self.ferry(status=65)
        self.assertIn(loop, pop3.left("thomas"))

    def test_keep_is_warned_about(self):
        pop3, smtp = self.server(letters(2)), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.assert_names(self.ferry(), "thomas", "EXPIRE 0", "keep")
        self.assert_arrived(smtp, letters(2))


class LoginDelay(Case):
    def delayed(self, seconds):
        pop3, smtp = self.pop3(letters(1), caps=EVERYTHING + (f"LOGIN-DELAY {seconds}",)), self.smtp()
        self.fetchrc(pop3, smtp)
        self.ferry(env=shifted(0))
        pop3.mailboxes["thomas"].add(letter(2))
        pop3.sessions.clear()
        return pop3, smtp

    def test_the_next_poll_comes_later(self):
        pop3, smtp = self.delayed(900)
        self.assert_silent(self.ferry(env=shifted(600)))
        self.assertEqual(pop3.sessions, [])
        self.ferry(env=shifted(905))
        self.assert_arrived(smtp, letters(2))

    def test_status_tells_when(self):
        self.delayed(900)
        run = self.ferry("status", env=shifted(600), status=None)
        self.assertIn("LOGIN-DELAY", run.stdout)
        self.assertIn("LOGIN-DELAY", self.ferry("-v", env=shifted(600)).stderr)

    def test_naming_the_account_polls_anyway(self):
        _, smtp = self.delayed(900)
        self.ferry("run", "thomas", env=shifted(10))
        self.assert_arrived(smtp, letters(2))

    def test_a_refusal_for_the_delay_is_passing(self):
        pop3, smtp = self.pop3(letters(1), caps=EVERYTHING + ("LOGIN-DELAY 60",)), self.smtp()
        pop3.rules = [At("AUTH", times=1).reply(b"-ERR [LOGIN-DELAY] wait a minute\r\n"),
                      At("PASS", times=1).reply(b"-ERR [LOGIN-DELAY] wait a minute\r\n")]
        self.fetchrc(pop3, smtp)
        self.assert_names(self.ferry(status=RETRY, env=shifted(0)), "thomas", "LOGIN-DELAY")
        pop3.rules = []
        self.assert_silent(self.ferry(env=shifted(30)))
        self.assertEqual(smtp.accepted, [])
        self.ferry(env=shifted(65))
        self.assert_arrived(smtp, letters(1))


class Refusing(Case):
    """Commands that are there, and fail."""

    def test_a_passing_refusal_of_uidl_is_not_taken_for_no_uidl(self):
        pop3, smtp = self.pop3(letters(3)), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        pop3.rules = [At("UIDL").reply(b"-ERR [SYS/TEMP] index is being rebuilt\r\n")]
        self.assert_names(self.ferry(status=RETRY), "thomas", "UIDL", "index is being rebuilt")
        pop3.rules = []
        self.ferry()
        self.assert_arrived(smtp, letters(3))

    @cases({"every TOP": {}, "the second TOP": {"n": 2}, "the first, once": {"n": 1, "times": 1}})
    def test_top_that_is_refused_costs_a_retrieval_and_nothing_else(self, which):
        sent = letters(4)
        pop3, smtp = self.pop3(sent, **LACKS["UIDL"]), self.smtp()
        pop3.rules = [At("TOP", **which).reply(b"-ERR cannot\r\n")]
        self.fetchrc(pop3, smtp, keep=True)
        for _ in range(3):
            self.ferry()
        self.assert_arrived(smtp, sent)

    def test_top_that_brings_more_than_the_header_is_an_identity_all_the_same(self):
        class Generous(Pop3Session):
            def do_top(self, rest):
                return b"+OK\r\n" + stuffed(self.messages[int(rest.split()[0]) - 1].octets)

        class Server(Pop3Server):
            session_class = Generous
        pop3, smtp = self.serve(Server({"thomas": (PASSWORD, letters(3))}, **LACKS["UIDL"])), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        for _ in range(3):
            self.ferry()
        self.assert_arrived(smtp, letters(3))
