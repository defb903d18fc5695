"""Mail over max_size, and servers that hang up on whoever says nothing."""
import email
import email.policy

from kit.case import Case, cases
from kit.messages import letter, letters
from kit.pop3 import At, Message
from kit.popferry import RETRY, take_trace

BIG = (b"Return-Path: <alice@example.test>\r\nFrom: alice@example.test\r\nTo: thomas@example.test\r\nSubject: holiday pictures\r\n"
       b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=\"b\"\r\nContent-Transfer-Encoding: base64\r\n\r\n--b\r\n\r\n" +
       b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=\r\n" * 1000 + b"--b--\r\n")
NO_UIDL = {"caps": ("TOP", "USER"), "without": {"UIDL", "LAST"}}


class Notices(Case):
    def shores(self, messages=(BIG,), how=None, **account):
        pop3, smtp = self.pop3(list(messages), **(how or {})), self.smtp()
        self.fetchrc(pop3, smtp, **{"max_size": "10k", "oversize": "headers", **account})
        return pop3, smtp

    def assert_notice(self, accepted):
        trace, rest = take_trace(accepted.octets)
        self.assertIsNotNone(trace)
        notice = email.message_from_bytes(rest, policy=email.policy.default)
        self.assertEqual((notice["Subject"], notice["From"]), ("holiday pictures", "alice@example.test"))
        self.assertEqual(notice.get_content_type(), "text/plain")
        text = notice.get_content()
        self.assertIn(str(len(BIG)), text)
        self.assertIn("popferry run --all-sizes thomas", text)
        self.assertNotIn("QUJDREVG", text)
        self.assertEqual(notice["X-Popferry-Oversize"], str(len(BIG)))
        self.assertEqual(accepted.sender, "")

    @cases({f"{'kept' if keep else 'deleted'}{name}": (keep, how) for keep in (True, False)
            for name, how in (("", {}), (" without UIDL", NO_UIDL))})
    def test_a_notice_comes_once_and_the_message_when_asked_for(self, keep, how):
        pop3, smtp = self.shores([BIG, letter(1)], how, keep=keep, to={"connections": 1})
        for _ in range(3):
            self.assert_silent(self.ferry())
        self.assertEqual(len(smtp.accepted), 2)
        self.assert_notice(next(m for m in smtp.accepted if b"holiday" in m.octets))
        self.assertEqual(pop3.commands("RETR"), ["RETR 2"])
        self.assertEqual(pop3.left("thomas"), [BIG, letter(1)] if keep else [BIG])
        smtp.accepted.clear()
        for _ in range(2):
            self.assert_silent(self.ferry("run", "--all-sizes", "thomas"))
        self.assert_arrived(smtp, [BIG])
        self.assertEqual(pop3.left("thomas"), [BIG, letter(1)] if keep else [])

    def test_skip_tells_nothing(self):
        pop3, smtp = self.shores(oversize="skip")
        self.assert_silent(self.ferry())
        self.assertEqual((smtp.accepted, pop3.left("thomas"), pop3.commands("TOP")), ([], [BIG], []))

    def test_a_greater_max_size_brings_the_message(self):
        for size in ("1M", None):
            with self.subTest(max_size=size):
                pop3, smtp = self.shores()
                state = ("--state-dir", f"{self.directory}/state-{size}")
                self.ferry(*state)
                smtp.accepted.clear()
                self.fetchrc(pop3, smtp, max_size=size, oversize="headers")
                self.ferry(*state)
                self.assert_arrived(smtp, [BIG])
                self.assertEqual(pop3.left("thomas"), [])

    @cases({"put off": b"451 4.7.1 later\r\n", "no recipient": b"550 5.1.1 who?\r\n"})
    def test_a_notice_that_was_not_delivered_is_tried_again(self, reply):
        pop3, smtp = self.shores()
        smtp.rules = [At("RCPT", times=1).reply(reply)]
        self.ferry(status=None)
        self.assertEqual(smtp.accepted, [])
        self.ferry()
        self.ferry()
        self.assertEqual(len(smtp.accepted), 1)
        self.assert_notice(smtp.accepted[0])

    def test_a_message_that_was_asked_for_and_put_off_is_no_second_notice(self):
        pop3, smtp = self.shores()
        self.ferry()
        smtp.judge = lambda m: b"452 4.3.1 no room\r\n"
        self.ferry("run", "--all-sizes", status=RETRY)
        smtp.judge = None
        self.assert_silent(self.ferry())
        self.assertEqual(len(smtp.accepted), 1)
        self.ferry("--all-sizes")
        self.ferry()
        self.assertEqual(len(smtp.accepted), 2)
        self.assertEqual(pop3.left("thomas"), [])

    def test_only_the_delivered_one_is_deleted(self):
        other = BIG.replace(b"holiday", b"working")
        pop3, smtp = self.shores([BIG, other, letter(1)])
        self.ferry()
        smtp.judge = lambda m: b"552 5.3.4 too much\r\n" if b"working" in m.octets else None
        self.ferry("--all-sizes", status=65)
        self.assertEqual(pop3.left("thomas"), [other])

    @cases({"with UIDL": {"caps": ("UIDL", "USER"), "without": {"TOP"}}, "without": {"caps": None, "without": {"UIDL", "TOP", "LAST"}}})
    def test_without_top_it_is_left_in_peace(self, how):
        pop3, smtp = self.shores([BIG, letter(1)], how)
        self.assert_silent(self.ferry())
        self.assert_silent(self.ferry())
        self.assertEqual(pop3.left("thomas"), [BIG])
        self.assert_arrived(smtp, [letter(1)])
        self.ferry("--all-sizes")
        self.assertEqual(pop3.left("thomas"), [])

    def test_a_message_that_grew_while_it_was_delivered_to_some_goes_to_the_rest(self):
        pop3 = self.pop3([Message(BIG, uid="m", size=9000)])
        smtp = self.smtp(lmtp=True)
        smtp.rules = [At("dot", arg="anna", times=1).reply(b"451 4.3.0 later\r\n")]
        self.fetchrc(pop3, smtp, max_size="10k", oversize="headers", recipients=["thomas", "anna"])
        self.ferry(status=RETRY)
        pop3.mailboxes["thomas"].messages[0].listed = len(BIG)
        self.ferry()
        self.assertEqual([m.recipients for m in smtp.accepted], [["thomas"], ["anna"]])
        self.assertEqual(pop3.left("thomas"), [])


class Idle(Case):
    """An RFC 1939 server may hang up after ten minutes of silence, an RFC 5321 one after five; here after two seconds."""

    @cases({"pipelined": {}, "one by one": {"caps": ("UIDL",)}})
    def test_pop3_hears_noop_while_deliveries_are_slow(self, how):
        pop3, smtp = self.pop3(letters(2), **how), self.smtp(delay=3.5)
        pop3.idle = 2
        self.fetchrc(pop3, smtp, top={"timeout": 6, "final_timeout": "20s"}, to={"connections": 1})
        self.assert_silent(self.ferry())
        self.assertGreaterEqual(len(pop3.commands("NOOP")), 3)
        self.assert_arrived(smtp, letters(2))
        self.assertEqual(pop3.left("thomas"), [])

    @cases({"smtp": False, "lmtp": True})
    def test_the_other_shore_hears_noop_while_retrieval_is_slow(self, lmtp):
        pop3, smtp = self.pop3(letters(2)), self.smtp(lmtp=lmtp)
        pop3.rules = [At("RETR", n=2).delay(4).normal()]
        smtp.idle = 2
        self.fetchrc(pop3, smtp, top={"timeout": 6}, to={"connections": 1}, pipelining="off")
        self.assert_silent(self.ferry())
        self.assertGreaterEqual(len(smtp.commands("NOOP")), 2)
        self.assertEqual(len(smtp.sessions), 1)
        self.assert_arrived(smtp, letters(2))

    def test_a_session_that_noop_cannot_save_is_opened_anew(self):
        pop3, smtp = self.pop3(letters(2)), self.smtp()
        pop3.rules = [At("RETR", n=2).delay(3).normal()]
        smtp.rules = [At("NOOP", n=1, session=1).reply(b"421 4.4.2 too long\r\n").close()]
        self.fetchrc(pop3, smtp, top={"timeout": 6}, to={"connections": 1}, pipelining="off")
        self.assert_silent(self.ferry())
        self.assert_arrived(smtp, letters(2))

    def test_a_pop3_session_that_noop_cannot_save_costs_no_duplicate(self):
        pop3, smtp = self.pop3(letters(2)), self.smtp(delay=2.5)
        pop3.rules = [At("NOOP", session=1).close()]
        self.fetchrc(pop3, smtp, top={"timeout": 6, "final_timeout": "20s"}, to={"connections": 1})
        self.ferry(status=RETRY)
        smtp.delay = 0
        self.ferry()
        self.assert_arrived(smtp, letters(2))
        self.assertEqual(pop3.left("thomas"), [])


class Larger(Case):
    """Messages of 4 MB that LIST gives ten octets, for one of sixteen accounts: its share of the temporary files is 8 MiB."""

    def shores(self, count, **how):
        self.sent = [letter(n, size=4_000_000) for n in range(1, count + 1)]
        boxes = {"thomas": [Message(m, size=10) for m in self.sent], **{f"user{n}": [] for n in range(15)}}
        pop3, smtp = self.pop3(boxes, **how), self.smtp()
        self.fetchrc(pop3, smtp, top={"timeout": 6, "final_timeout": "30s", "jobs": 16, "jobs_per_host": 16},
                     to={"connections": 1})
        return pop3, smtp

    def test_more_than_was_listed_waits_at_the_server_until_there_is_room(self):
        pop3, smtp = self.shores(12)
        seen = []

        def judge(_):
            if not seen:
                self.wait_for(lambda: sum(s.sent_octets for s in pop3.sessions) >= 12 * 3_900_000, 2)
                seen.append(sum(s.sent_octets for s in pop3.sessions))
        smtp.judge = judge
        self.assert_silent(self.ferry())
        self.assertLess(seen[0], 32_000_000)    # the share, two messages, and what sockets hold
        self.assert_arrived(smtp, self.sent)
        self.assertEqual(pop3.left("thomas"), [])

    def test_the_server_hears_noop_while_the_next_question_waits(self):
        pop3, smtp = self.shores(5, caps=("UIDL",))
        pop3.idle = 2
        delays = [3.5]
        smtp.judge = lambda _: smtp.stopping.wait(delays.pop()) and None if delays else None
        self.assert_silent(self.ferry())
        self.assertGreaterEqual(len(pop3.commands("NOOP")), 2)
        self.assert_arrived(smtp, self.sent)
        self.assertEqual(pop3.left("thomas"), [])
