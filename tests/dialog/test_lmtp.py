"""LMTP (RFC 2033): a reply for each recipient after the dot."""
import os

from kit.case import Case, cases
from kit.messages import ODD, letters
from kit.pop3 import At
from kit.popferry import REFUSED, RETRY

WHOM = ["thomas", "anna", "karl"]
LATER, NEVER = b"451 4.3.0 later\r\n", b"552 5.2.2 mailbox full\r\n"


class Lmtp(Case):
    def shores(self, sent, local=False, **account):
        where = {"path": os.path.join(self.directory, "lmtp")} if local else {}
        pop3, smtp = self.pop3(sent), self.smtp(lmtp=True, **where)
        self.fetchrc(pop3, smtp, **{"recipients": WHOM, **account})
        return pop3, smtp

    def got(self, smtp):
        """(recipient, letter) of all that was accepted, sorted."""
        return sorted((m.recipients[0], m.octets.split(b"Subject: letter ")[1].split(b"\r\n")[0].decode()) for m in smtp.accepted)

    @cases({"TCP": False, "a socket": True})
    def test_each_recipient_gets_each_message_once(self, local):
        sent = letters(5)
        pop3, smtp = self.shores(sent, local)
        self.assert_silent(self.ferry())
        self.assertEqual(self.got(smtp), sorted((who, str(n)) for who in WHOM for n in range(1, 6)))
        self.assertEqual(pop3.left("thomas"), [])
        self.assertTrue(smtp.commands("LHLO"))
        self.assertEqual(smtp.commands("EHLO"), [])

    def test_odd_messages_pass(self):
        sent = list(ODD.values())
        _, smtp = self.shores(sent, True, recipients=["thomas"])
        self.assert_silent(self.ferry())
        self.assert_arrived(smtp, sent)

    def test_a_name_without_a_domain_stays_one(self):
        _, smtp = self.shores(letters(1), recipients=["thomas"])
        self.ferry()
        self.assertEqual(smtp.commands("RCPT"), ["RCPT TO:<thomas>"])

    @cases({"put off": (LATER, RETRY), "refused": (NEVER, REFUSED)})
    def test_what_some_did_not_get_is_finished_later(self, reply, status):
        sent = letters(3)
        pop3, smtp = self.shores(sent)
        smtp.rules = [At("dot", arg="anna").reply(reply)]
        run = self.ferry(status=status)
        self.assert_names(run, "thomas", "<anna>", reply.decode().strip()[4:])
        self.assertEqual(pop3.left("thomas"), sent)
        self.assertEqual(self.got(smtp), sorted((who, str(n)) for who in ("thomas", "karl") for n in (1, 2, 3)))
        smtp.rules, smtp.accepted[:] = [], []
        self.ferry()
        self.assertEqual(self.got(smtp), [("anna", "1"), ("anna", "2"), ("anna", "3")])
        self.assertEqual(pop3.left("thomas"), [])

    def test_one_refused_and_one_put_off(self):
        pop3, smtp = self.shores(letters(1))
        smtp.rules = [At("dot", arg="anna").reply(NEVER), At("dot", arg="karl").reply(LATER)]
        self.ferry(status=REFUSED)
        smtp.rules = [At("dot", arg="anna").reply(NEVER)]
        self.ferry(status=REFUSED)
        self.assertEqual(self.got(smtp), [("karl", "1"), ("thomas", "1")])
        self.assertEqual(len(pop3.left("thomas")), 1)

    @cases({"refused first": (NEVER, LATER), "put off first": (LATER, NEVER)})
    def test_on_reject_takes_it_from_nobody_who_is_only_put_off(self, *replies):
        pop3, smtp = self.shores(letters(1), recipients=["anna", "karl"], on_reject="quarantine")
        smtp.rules = [At("dot", arg=who).reply(reply) for who, reply in zip(("anna", "karl"), replies)]
        for _ in range(3):
            self.assert_names(self.ferry(status=REFUSED), "mailbox full")
        self.assertEqual(len(pop3.left("thomas")), 1)
        patient = "karl" if replies[0] == NEVER else "anna"
        smtp.rules = [rule for rule in smtp.rules if rule.arg != patient]
        self.ferry(status=REFUSED)
        self.assertEqual(self.got(smtp), [(patient, "1")], "the next run, not hours later")

    @cases({"hangs up": lambda at: at.lose().close(), "is silent": lambda at: at.lose().stall()})
    def test_a_server_that_never_gives_the_second_reply_costs_one_message_a_session(self, how):
        pop3, smtp = self.shores(letters(5), recipients=["thomas", "anna"])
        self.fetchrc(pop3, smtp, top={"timeout": 2, "final_timeout": "2s"}, to={"connections": 1}, recipients=["thomas", "anna"])
        smtp.rules = [how(At("dot", arg="anna"))]
        run = self.ferry(status=RETRY)
        self.assertEqual(self.got(smtp), [("anna", "1"), ("thomas", "1")])
        self.assert_names(run, "thomas", "once more")
        smtp.rules = []
        self.ferry()
        self.assertEqual([self.got(smtp).count(("anna", str(n))) for n in range(1, 6)], [2, 1, 1, 1, 1])
        self.assertEqual(pop3.left("thomas"), [])

    def test_all_refuse_it(self):
        pop3, smtp = self.shores(letters(2))
        smtp.rules = [At("dot").reply(NEVER)]
        self.ferry(status=REFUSED)
        self.assertEqual((smtp.accepted, len(pop3.left("thomas"))), ([], 2))

    def test_a_recipient_that_is_refused_at_rcpt_gets_no_reply_after_the_dot(self):
        pop3, smtp = self.shores(letters(2))
        smtp.refuse = {"anna": b"550 5.1.1 who?\r\n"}
        run = self.ferry(status=None)
        self.assert_names(run, "<anna>", "who?")
        self.assertEqual(self.got(smtp), sorted((who, n) for who in ("thomas", "karl") for n in ("1", "2")))
        smtp.refuse, smtp.accepted[:] = {}, []
        self.ferry()
        self.assertEqual(self.got(smtp), [("anna", "1"), ("anna", "2")])
        self.assertEqual(pop3.left("thomas"), [])

    @cases({"before the first reply": ("thomas", []), "before the second": ("anna", ["thomas"]), "before the third": ("karl", ["thomas", "anna"])})
    def test_a_connection_that_is_lost_between_the_replies(self, at, have):
        pop3, smtp = self.shores(letters(1))
        smtp.rules = [At("dot", arg=at, times=1).close()]
        self.ferry(status=RETRY)
        self.assertEqual(self.got(smtp), sorted((who, "1") for who in have))
        self.ferry()
        self.assertEqual(self.got(smtp), sorted((who, "1") for who in WHOM))
        self.assertEqual(pop3.left("thomas"), [])

    def test_one_reply_too_few_is_noticed(self):
        pop3, smtp = self.shores(letters(1))
        smtp.rules = [At("dot", arg="karl").reply(b"")]
        self.ferry(status=None)
        self.assertEqual(len(pop3.left("thomas")), 1)

    def test_a_socket_that_is_not_there(self):
        pop3, smtp = self.shores(letters(1), True)
        smtp.stop()
        run = self.ferry(status=RETRY)
        self.assert_names(run, smtp.path)
        self.assertEqual(len(pop3.left("thomas")), 1)
