"""A faulty POP3 server: whatever it does, no message is lost, none comes twice, and the fault is named."""
import os
import shutil
import tempfile

from kit.case import PASSWORD, cases
from kit.faults import NO_PIPELINING, FaultCase
from kit.messages import letter, letters
from kit.pop3 import After, At, Message, stuffed
from kit.popferry import LOGIN, OK, PROTOCOL, RETRY
from kit.script import Rule

GARBAGE = bytes(range(1, 256)) + b"\r\n"
LISTING = ("STAT", "LIST", "UIDL")
FAULTS = {
    "-ERR": lambda at: at.reply(b"-ERR not today\r\n"),
    "garbage": lambda at: at.reply(GARBAGE),
    "an empty line": lambda at: at.reply(b"\r\n"),
    "NULs": lambda at: at.reply(b"\0\0\0\0\r\n"),
    "an SMTP reply": lambda at: at.reply(b"250 ok\r\n"),
    "+OK alone": lambda at: at.reply(b"+OK\r\n"),
    "a close": lambda at: at.close(),
    "a reset": lambda at: at.reset(),
    "a close after the effect": lambda at: at.lose().close(),
    "silence": lambda at: at.stall(),
    "silence after the effect": lambda at: at.lose().stall(),
    "an endless line": lambda at: at.endless(b"+OK" + b"x" * 1000),
    "endless lines": lambda at: at.endless(b"+OK x\r\n"),
    "half a reply": lambda at: at.edit(lambda reply: reply[:len(reply) // 2]).close(),
    "a reply too many": lambda at: at.edit(lambda reply: reply + b"+OK 1 one\r\n"),
    "half a reply, then silence": lambda at: at.edit(lambda reply: reply[:len(reply) // 2]).stall(),
}
STEPS = ("greeting", "CAPA", "USER", "PASS", "STAT", "LIST", "UIDL", "RETR", "DELE", "QUIT")


class EachStep(FaultCase):
    """Every fault at every step, pipelined."""

    @cases({f"{fault} at {step}": (step, fault) for step in STEPS for fault in FAULTS})
    def test_is_survived(self, step, fault):
        self.careful = False
        caps = ("UIDL", "TOP", "PIPELINING", "USER") if step in ("USER", "PASS") else ("UIDL", "TOP", "PIPELINING", "SASL PLAIN")
        self.survive([FAULTS[fault](At(step))], pop3={"caps": caps})


class OneByOne(FaultCase):
    """Every fault at the steps of a session without PIPELINING."""

    @cases({f"{fault} at {step}": (step, fault) for step in ("STAT", "LIST", "UIDL", "RETR", "DELE", "QUIT") for fault in FAULTS})
    def test_is_survived(self, step, fault):
        self.careful = False
        self.survive([FAULTS[fault](At(step))], pop3=NO_PIPELINING)


class SecondOfItsKind(FaultCase):
    """The first RETR or DELE goes well, the second does not."""

    @cases({f"{fault} at {step}": (step, fault) for step in ("RETR", "DELE") for fault in FAULTS})
    def test_is_survived(self, step, fault):
        self.careful = False
        self.survive([FAULTS[fault](At(step, n=2))])


def octets_of_a_session(case, **how):
    """How many octets the server sends in a clean session."""
    pop3, _ = case.shores(**how)
    case.ferry()
    count = pop3.sessions[0].sent_octets
    case.afresh()
    return count


class Dropped(FaultCase):
    """The connection drops, or falls silent, after every octet of a short session."""
    SHORT = [b"A: 1\r\n\r\none\r\n", b"A: 2\r\n\r\n.two\r\n"]
    PARTS = {f"part {n}": n for n in range(12)}

    def cut_at(self, part, every, action, **how):
        total = octets_of_a_session(self, messages=self.SHORT, **how)
        offsets = range(0, total, every)
        for sent in offsets[part::len(self.PARTS)]:
            with self.subTest(octets=sent):
                self.survive([action(After(sent))], messages=self.SHORT, **how)
            self.afresh()

    @cases(PARTS)
    def test_at_every_octet_in_delete_mode(self, part):
        self.cut_at(part, 1, Rule.close)

    @cases(PARTS)
    def test_at_every_seventh_octet_in_keep_mode(self, part):
        self.cut_at(part, 7, Rule.close, keep=True)

    @cases(PARTS)
    def test_at_every_fifth_octet_without_pipelining(self, part):
        self.cut_at(part, 5, Rule.reset, pop3=NO_PIPELINING)

    @cases(PARTS)
    def test_silence_after_some_octets(self, part):
        self.cut_at(part, 23, Rule.stall)


class Greeting(FaultCase):
    @cases({
        "-ERR": (b"-ERR too many connections\r\n", RETRY, "too many connections"),
        "-ERR [SYS/TEMP]": (b"-ERR [SYS/TEMP] later\r\n", RETRY, "later"),
        "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", PROTOCOL, ""),
        "a web page": (b"HTTP/1.1 400 Bad Request\r\n\r\n<html>", PROTOCOL, ""),
    })
    def test_that_is_no_welcome(self, greeting, status, words):
        self.survive([At("greeting").reply(greeting).close()], status=status, words=[words, "127.0.0.1"])

    def test_a_refused_connection(self):
        pop3, smtp = self.shores()
        pop3.stop()
        run = self.ferry(status=RETRY)
        self.assert_names(run, "thomas", "127.0.0.1", "refused")
        pop3.start()
        self.recover(pop3, smtp)


class LoginCodes(FaultCase):
    @cases({
        "[IN-USE]": ("-ERR [IN-USE] another session", RETRY), "[SYS/TEMP]": ("-ERR [SYS/TEMP] disk trouble", RETRY),
        "[LOGIN-DELAY]": ("-ERR [LOGIN-DELAY] wait a minute", RETRY), "[AUTH]": ("-ERR [AUTH] no such user", LOGIN),
        "no code": ("-ERR bad login", LOGIN), "[sys/temp] in small letters": ("-ERR [sys/temp] disk trouble", RETRY),
    })
    def test_are_told_apart(self, reply, status):
        for step in ("AUTH", "PASS"):
            with self.subTest(step=step):
                caps = ("UIDL", "USER") if step == "PASS" else ("UIDL", "SASL PLAIN")
                self.survive([At(step).reply(reply.encode() + b"\r\n")], pop3={"caps": caps}, status=status, words=[reply])
            self.afresh()

    @cases({"CRAM-MD5": "cram-md5", "LOGIN": "login"})
    def test_in_use_is_told_apart_in_a_login_of_several_steps(self, auth):
        caps = ("UIDL", "SASL PLAIN LOGIN CRAM-MD5")
        run = self.survive([At("login").reply(b"-ERR [IN-USE] another session\r\n").close()], pop3={"caps": caps}, auth=auth,
                           status=RETRY, words=["[IN-USE]"])
        self.assertNotIn("password", run.stderr.lower())

    def test_a_refused_login_is_left_alone_for_a_while_until_named(self):
        pop3, smtp = self.shores()
        pop3.rules = [At("AUTH").reply(b"-ERR [AUTH] no\r\n")]
        self.ferry(status=LOGIN)
        pop3.rules = []
        sessions = len(pop3.sessions)
        self.ferry(status=None)
        self.assertEqual(len(pop3.sessions), sessions, "cron locks accounts that way")
        self.recover(pop3, smtp)

    def test_a_new_password_in_an_included_file_is_tried_at_once(self):
        pop3 = self.pop3(letters(1))
        self.fetchrc(pop3, self.smtp(), password="wrong")
        accounts = os.path.join(self.directory, "accounts")
        with open(self.popferry.fetchrc) as file:
            top, text = file.read().split("account ", 1)
        self.popferry.configure(top + 'include("accounts")\n')
        self.write(accounts, "account " + text)
        self.ferry(status=LOGIN)
        self.assert_names(self.ferry(status=LOGIN), "left alone")
        self.write(accounts, "account " + text.replace('"wrong"', f'"{PASSWORD}"'))
        self.ferry()

    def test_a_credential_ends_the_waiting_when_its_length_changes_but_not_when_it_is_made_anew(self):
        pop3 = self.pop3(letters(1))
        self.fetchrc(pop3, self.smtp(), password=None, credential="gmx")
        with open(self.popferry.fetchrc) as file:
            text = file.read()

        def start(password, status):    # as a service does
            credentials = tempfile.mkdtemp(dir=self.directory)
            os.rename(credentials, os.path.join(self.directory, "credentials"))
            self.write(os.path.join(self.directory, "credentials", "fetchrc"), text)
            self.write(os.path.join(self.directory, "credentials", "gmx"), password)
            self.popferry.fetchrc = os.path.join(self.directory, "credentials", "fetchrc")
            run = self.ferry(status=status, env={"CREDENTIALS_DIRECTORY": os.path.join(self.directory, "credentials")})
            shutil.rmtree(os.path.join(self.directory, "credentials"))
            return run

        start("wrong", LOGIN)
        self.assert_names(start("wrong", LOGIN), "left alone")
        start(PASSWORD, OK)

    def write(self, path, text):
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o600)

    def test_a_new_password_is_tried_at_once(self):
        pop3, smtp = self.shores()
        options = self.fetchrc(pop3, smtp)
        options["account"]["thomas"]["password"] = "old"
        self.popferry.configure(options)
        self.ferry(status=LOGIN)
        self.fetchrc(pop3, smtp)
        self.ferry()
        self.assert_arrived(smtp, self.sent)


class Retrieval(FaultCase):
    def test_one_message_that_cannot_be_retrieved_does_not_stop_the_others(self):
        pop3, smtp = self.shores()
        pop3.rules = [At("RETR", arg="2").reply(b"-ERR message is damaged\r\n")]
        run = self.faulty_run(None, ["message is damaged"], pop3, smtp)
        self.assertNotEqual(run.status, OK)
        self.assertEqual(pop3.left("thomas"), [self.sent[1]])
        self.assert_arrived(smtp, [self.sent[0], self.sent[2]])
        self.recover(pop3, smtp)

    def test_a_damaged_message_is_told_in_every_run_and_never_stops_the_others(self):
        pop3, smtp = self.shores()
        pop3.rules = [At("RETR", arg="1").reply(b"-ERR message is damaged\r\n")]
        for n in (4, 5, 6):
            self.faulty_run(None, ["message is damaged"], pop3, smtp)
            pop3.mailboxes["thomas"].add(letter(n))
            self.sent.append(letter(n))
        self.recover(pop3, smtp)

    @cases({"too large": 10_000, "too small": 3, "zero": 0, "monstrous": 10 ** 15, "past 64 bits": 10 ** 30})
    def test_an_announced_size_that_is_wrong(self, size):
        messages = letters(3)
        pop3, smtp = self.shores([Message(messages[0], size=size), messages[1], Message(messages[2], size=size)])
        self.sent = messages
        self.faulty_run(None, [], pop3, smtp)
        self.recover(pop3, smtp)

    def test_an_answer_without_an_end_is_not_delivered(self):
        pop3, smtp = self.shores()
        pop3.rules = [At("RETR", n=2).edit(lambda reply: reply[:-3]).close()]
        self.faulty_run({RETRY, PROTOCOL}, [], pop3, smtp)
        self.assertLessEqual(len(smtp.accepted), 1)
        self.recover(pop3, smtp)

    def test_an_endless_message_is_capped(self):
        self.survive([At("RETR", n=2).call(lambda session: session.send(b"+OK\r\n")).endless(b"more and more\r\n")], max_size="2M")

    def test_an_octet_a_second_is_no_progress(self):
        run = self.survive([At("RETR", n=1).drip(1.0)])
        self.assertNotEqual(run.status, OK)

    def test_an_octet_a_second_in_a_reply_line_is_no_progress(self):
        run = self.survive([At("STAT").drip(1.0), At("LIST").drip(1.0), At("UIDL").drip(1.0)])
        self.assertNotEqual(run.status, OK)

    def test_a_slow_line_that_makes_progress_is_waited_for(self):
        pop3, smtp = self.shores([letter(1, size=12_000)])
        pop3.rules = [At("RETR").drip(0.25, 1000)]
        self.ferry()
        self.assert_arrived(smtp, self.sent)


class Listings(FaultCase):
    """What STAT, LIST and UIDL say does not fit together."""

    def replies(self, **steps):
        return [At(step).reply(reply if isinstance(reply, bytes) else b"+OK\r\n" + stuffed(reply.encode("latin-1")))
                for step, reply in steps.items()]

    @cases({
        "STAT says none": {"STAT": b"+OK 0 0\r\n"}, "STAT says more": {"STAT": b"+OK 9 9999\r\n"},
        "STAT without numbers": {"STAT": b"+OK\r\n"}, "STAT with too large numbers": {"STAT": b"+OK 99999999999999999999 1\r\n"},
        "STAT with a negative number": {"STAT": b"+OK -3 -3\r\n"}, "STAT with a million": {"STAT": b"+OK 4000000000 5\r\n"},
        "LIST is empty": {"LIST": ""}, "LIST lacks one": {"LIST": "1 20\r\n3 20\r\n"}, "LIST without sizes": {"LIST": "1\r\n2\r\n3\r\n"},
        "LIST names one twice": {"LIST": "1 20\r\n2 20\r\n2 20\r\n3 20\r\n"}, "LIST is garbage": {"LIST": "one\r\ntwo\r\n\r\n"},
        "LIST names zero": {"LIST": "0 20\r\n1 20\r\n2 20\r\n3 20\r\n"}, "LIST out of order": {"LIST": "3 20\r\n1 20\r\n2 20\r\n"},
        "LIST names a monstrous number": {"LIST": "1 20\r\n2 20\r\n3 20\r\n99999999999999999999999 20\r\n4294967297 20\r\n"},
        "UIDL is empty": {"UIDL": ""}, "UIDL lacks one": {"UIDL": "1 a\r\n3 c\r\n"}, "UIDL without UIDs": {"UIDL": "1\r\n2 \r\n3\r\n"},
        "UIDL names one twice": {"UIDL": "1 a\r\n2 b\r\n2 x\r\n3 c\r\n"}, "UIDL is garbage": {"UIDL": "\0\0\r\n\xff\r\n"},
        "UIDL names one too many": {"UIDL": "1 a\r\n2 b\r\n3 c\r\n4 d\r\n"}, "UIDL with NULs": {"UIDL": "1 a\0b\r\n2 a\0c\r\n3 a\r\n"},
        "UIDL with over-long UIDs": {"UIDL": f"1 {'a' * 5000}\r\n2 {'a' * 5001}\r\n3 {'a' * 100000}\r\n"},
        "UIDL names a monstrous number": {"UIDL": "1 a\r\n2 b\r\n3 c\r\n18446744073709551617 x\r\n"},
        "a line of 1 MB in LIST": {"LIST": "1 20\r\n2 " + "2" * 1_000_000 + "\r\n3 20\r\n"},
        "a line of 1 MB in UIDL": {"UIDL": "1 a\r\n2 " + "b" * 1_000_000 + "\r\n3 c\r\n"},
        "a status line of 1 MB": {"STAT": b"+OK 3 60 " + b"x" * 1_000_000 + b"\r\n"},
    })
    def test_that_do_not_fit(self, steps):
        self.survive(self.replies(**steps))

    def test_mail_that_stat_tells_of_and_nothing_lists_is_a_fault(self):
        self.survive(self.replies(LIST="", UIDL=""), status=PROTOCOL, words=["none of the 3 messages"])

    def test_two_hundred_thousand_lines(self):
        count = 200_000
        pop3, smtp = self.shores()
        pop3.rules = self.replies(STAT=b"+OK %d %d\r\n" % (count, count * 20),
                                  LIST="".join(f"{n} 20\r\n" for n in range(1, count + 1)),
                                  UIDL="".join(f"{n} u{n}\r\n" for n in range(1, count + 1)))
        self.fetchrc(pop3, smtp, max_messages=3, keep=True)
        self.ferry(status=None)
        self.assert_arrived(smtp, self.sent)

    def test_an_empty_listing_does_not_bring_kept_mail_again(self):
        pop3, smtp = self.shores(keep=True)
        self.ferry()
        pop3.rules = self.replies(STAT=b"+OK 0 0\r\n", LIST="", UIDL="")
        self.ferry()
        self.recover(pop3, smtp, keep=True)

    def test_a_partial_listing_does_not_bring_kept_mail_again(self):
        pop3, smtp = self.shores(keep=True)
        self.ferry()
        pop3.mailboxes["thomas"].messages, all_of_them = pop3.mailboxes["thomas"].messages[:1], pop3.mailboxes["thomas"].messages
        self.ferry()
        pop3.mailboxes["thomas"].messages = all_of_them
        self.recover(pop3, smtp, keep=True)


class Deletion(FaultCase):
    def test_a_refused_dele_is_made_up_for_without_another_retrieval(self):
        pop3, smtp = self.shores()
        pop3.rules = [At("DELE", arg="2").reply(b"-ERR cannot\r\n")]
        self.ferry(status=None)
        self.assertEqual(pop3.left("thomas"), [self.sent[1]])
        pop3.sessions.clear()
        self.recover(pop3, smtp)
        self.assertEqual(pop3.commands("RETR"), [])

    @cases({"pipelined": {}, "one by one": {"pipelining": "off"}})
    def test_a_dele_that_ends_the_session_holds_back_no_other(self, how):
        pop3, smtp = self.shores(**how)
        pop3.rules = [At("DELE", arg="2").close()]
        self.ferry(status=RETRY)
        self.assertEqual(pop3.left("thomas"), [self.sent[1]])
        pop3.sessions.clear()
        self.recover(pop3, smtp)
        self.assertEqual(pop3.commands("RETR"), [])

    def test_quit_refused_means_that_the_deletions_do_not_stand(self):
        pop3, smtp = self.shores()
        pop3.rules = [At("QUIT").reply(b"-ERR some deleted messages not removed\r\n")]
        self.ferry(status=None)
        self.assertEqual(len(pop3.left("thomas")), 3)
        pop3.sessions.clear()
        self.recover(pop3, smtp)
        self.assertEqual(pop3.commands("RETR"), [])

    def test_deletions_that_the_server_confirmed_and_lost_are_made_up_for(self):
        pop3, smtp = self.shores()
        pop3.rules = [At("QUIT").reply(b"+OK bye\r\n")]
        self.ferry()
        self.assertEqual(len(pop3.left("thomas")), 3)
        self.recover(pop3, smtp)

    def test_quit_without_an_answer_is_told_and_made_up_for(self):
        for done in (At("QUIT").lose().close(), At("QUIT").close()):
            run = self.survive([done])
            self.assertNotEqual(run.status, OK)
            self.afresh()


class SecondSession(FaultCase):
    """Where a message ends the session, the others are deleted in one of their own."""

    @cases({"pipelined": {}, "one by one": NO_PIPELINING})
    def test_a_message_that_breaks_every_session_does_not_keep_the_others(self, how):
        pop3, smtp = self.shores(pop3=how)
        pop3.rules = [At("RETR", n=2).close()]
        self.faulty_run(RETRY, [], pop3, smtp)
        self.assertEqual(pop3.left("thomas"), self.sent[1:])
        self.faulty_run(RETRY, [], pop3, smtp)
        self.assertEqual(pop3.left("thomas"), [self.sent[1]], "the one that broke it was tried last")
        self.recover(pop3, smtp)

    def test_nothing_but_the_same_messages_is_deleted_there(self):
        pop3, smtp = self.shores([letter(n) for n in (1, 2, 3)])
        pop3.rules = [At("RETR", n=3).close()]
        stays = [letter(7), letter(8, body=b"another one under the UID of letter 2\r\n")]

        def meanwhile(message):
            if b"letter 2" in message.octets:
                messages = pop3.mailboxes["thomas"].messages
                messages[:2] = [Message(stays[0]), messages[0], Message(stays[1], uid=messages[1].uid)]
        smtp.judge = meanwhile
        self.ferry(status=RETRY)
        self.assertEqual(pop3.left("thomas"), [*stays, letter(3)])
        smtp.judge, pop3.rules = None, []
        self.ferry()
        self.assert_arrived(smtp, [letter(1), letter(2), letter(3), *stays])

    def test_a_uid_that_was_free_there_is_not_trusted_in_the_next_run(self):
        one, two = (b"Subject: %s\r\n\r\nas long as the other\r\n" % name for name in (b"a", b"b"))
        pop3, smtp = self.shores([Message(one, uid="1"), letter(2)])
        pop3.rules = [At("RETR", n=2).close()]
        mailbox = pop3.mailboxes["thomas"]

        def meanwhile(message):
            mailbox.messages = mailbox.messages[1:]
        smtp.judge = meanwhile
        self.ferry(status=RETRY)
        smtp.judge, pop3.rules = None, []
        mailbox.add(two, uid="1")
        self.ferry()
        self.assert_arrived(smtp, [one, letter(2), two])
        self.assertEqual(pop3.left("thomas"), [])

    def test_a_login_that_comes_too_soon_is_tried_again(self):
        pop3, smtp = self.shores(pop3={"caps": ("UIDL", "TOP", "PIPELINING", "USER")})
        pop3.rules = [At("RETR", n=2).close(), At("PASS", session=2).reply(b"-ERR [IN-USE] still open\r\n")]
        self.faulty_run(RETRY, [], pop3, smtp)
        self.assertEqual(pop3.left("thomas"), self.sent[1:])

    def test_a_server_that_is_gone_leaves_them_for_the_next_run(self):
        pop3, smtp = self.shores()
        pop3.rules = [At("RETR", n=2).close(), At("greeting", session=2).close()]
        run = self.faulty_run(RETRY, [], pop3, smtp)
        self.assertEqual(run.stderr.count("\n"), 1, "the fault is told once")
        self.assertEqual(len(pop3.left("thomas")), 3)
        self.recover(pop3, smtp)

    def test_none_is_opened_where_nothing_is_to_be_deleted(self):
        pop3, smtp = self.shores(keep=True)
        pop3.rules = [At("RETR", n=2).close()]
        self.faulty_run(RETRY, [], pop3, smtp)
        self.assertEqual(len(pop3.sessions), 1)

    def test_none_is_opened_within_a_login_delay(self):
        pop3, smtp = self.shores(pop3={"caps": ("UIDL", "TOP", "PIPELINING", "SASL PLAIN", "LOGIN-DELAY 60")})
        pop3.rules = [At("RETR", n=2).close()]
        self.faulty_run(RETRY, [], pop3, smtp)
        self.assertEqual(len(pop3.sessions), 1)


class Injection(FaultCase):
    """Octets that nobody asked for."""

    @cases({step: step for step in ("greeting", "CAPA", "AUTH")})
    def test_a_reply_before_its_question(self, step):
        self.careful = False
        self.survive([At(step).edit(lambda reply: reply + b"+OK 1 20\r\n")])

    def test_octets_behind_stls_are_never_taken_for_an_answer(self):
        pop3, smtp = self.shores(pop3={"tls": "starttls"})
        pop3.rules = [At("STLS").edit(lambda reply: reply + b"+OK\r\nSASL PLAIN\r\n.\r\n+OK logged in\r\n")]
        self.ferry(status={PROTOCOL, RETRY})
        self.assertEqual((pop3.commands("AUTH"), pop3.commands("PASS"), smtp.accepted), ([], [], []))
        self.recover(pop3, smtp)

    @cases({"refused": (b"-ERR no TLS today\r\n", PROTOCOL), "nonsense": (b"what?\r\n", {PROTOCOL, RETRY})})
    def test_stls_taken_away_is_never_answered_with_clear_text(self, reply, status):
        pop3, smtp = self.shores(pop3={"tls": "starttls"})
        pop3.rules = [At("STLS").reply(reply)]
        self.ferry(status=status)
        self.assertEqual((pop3.commands("AUTH"), pop3.commands("USER")), ([], []))
        self.recover(pop3, smtp)

    def test_stls_not_announced_is_never_answered_with_clear_text(self):
        pop3, smtp = self.shores(pop3={"tls": "starttls"})
        pop3.rules = [At("CAPA").reply(b"+OK\r\nUSER\r\nSASL PLAIN\r\n.\r\n"), At("STLS").reply(b"-ERR unknown\r\n")]
        self.ferry(status=PROTOCOL)
        self.assertEqual((pop3.commands("AUTH"), pop3.commands("USER")), ([], []))
