"""Several faults at once, drawn by chance from a seed: nothing is lost, and nothing doubled but what was taken and not told."""
import collections
import random

from kit.case import Case, cases
from kit.clock import shifted
from kit.messages import ODD, letter
from kit.popferry import expected, take_trace
from kit.script import After, At

FAR = {
    "close": lambda r: At(r.choice(FAR_STEPS), n=r.randint(1, 6), times=1).close(),
    "reset": lambda r: At(r.choice(FAR_STEPS), n=r.randint(1, 6), times=1).reset(),
    "done and closed": lambda r: At(r.choice(("DELE", "QUIT", "RETR")), times=1).lose().close(),
    "cut": lambda r: At("RETR", n=r.randint(1, 6), times=1).cut(r.randint(1, 300)),
    "cut somewhere": lambda r: After(r.randint(0, 4000), times=1).close(),
    "-ERR": lambda r: At(r.choice(("RETR", "DELE", "QUIT", "STAT", "LIST")), n=r.randint(1, 4), times=1).reply(b"-ERR no\r\n"),
    "slow": lambda r: At("RETR", n=r.randint(1, 4), times=1).drip(0.005, 40),
    "silence": lambda r: At(r.choice(FAR_STEPS), n=r.randint(1, 3), times=1).stall(),
}
FAR_STEPS = ("greeting", "CAPA", "AUTH", "STAT", "LIST", "UIDL", "RETR", "DELE", "QUIT")
NEAR = {
    "close": lambda r: At(r.choice(NEAR_STEPS), n=r.randint(1, 5), times=2).close(),
    "reset": lambda r: At(r.choice(NEAR_STEPS), n=r.randint(1, 5), times=1).reset(),
    "4xx": lambda r: At(r.choice(NEAR_STEPS[2:]), n=r.randint(1, 5), times=3).reply(b"451 4.3.0 later\r\n"),
    "5xx": lambda r: At(r.choice(("MAIL", "dot")), n=r.randint(1, 5), times=1).reply(b"554 5.7.1 no\r\n"),
    "421": lambda r: At(r.choice(NEAR_STEPS), n=r.randint(1, 5), times=2).reply(b"421 4.3.2 bye\r\n").close(),
    "taken and closed": lambda r: At("dot", n=r.randint(1, 4), times=1).lose().close(),
    "taken and reset": lambda r: At("dot", n=r.randint(1, 4), times=1).lose().reset(),
    "taken and silent": lambda r: At("dot", n=r.randint(1, 4), times=1).lose().stall(),
    "within the body": lambda r: At("body", n=r.randint(1, 4), octets=r.randint(0, 400), times=1).close(),
    "silence": lambda r: At(r.choice(NEAR_STEPS), n=r.randint(1, 4), times=1).stall(),
    "slow": lambda r: At("dot", times=4).delay(0.2).normal(),
}
NEAR_STEPS = ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "dot")
USERS = ("thomas", "anna", "karl")


class Chaos(Case):
    limit = 240

    @cases({f"seed {seed}": seed for seed in range(36)})
    def test_is_survived(self, seed):
        self.careful = False
        chance = random.Random(seed)
        odd = [m for name, m in ODD.items() if len(m) < 5000 and name != "empty"]
        self.sent = {user: [letter(100 * i + n, body=b"%d\r\n" % n * chance.randint(1, 40)) for n in range(chance.randint(1, 9))]
                     for i, user in enumerate(USERS)}
        self.sent["karl"] += [b"X-Number: %d\r\n" % i + m for i, m in enumerate(chance.sample(odd, 4))]
        caps = ("UIDL", "TOP", "SASL PLAIN") + (("PIPELINING",) if chance.random() < 0.6 else ())
        self.far = self.pop3(self.sent, caps=caps)
        self.near = self.smtp(extensions=("PIPELINING", "SIZE", "8BITMIME") if chance.random() < 0.6 else ("8BITMIME",))
        self.keep = chance.random() < 0.4
        self.fetchrc(self.far, self.near, top={"timeout": 2, "final_timeout": "2s"}, to={"connections": chance.randint(1, 4)}, keep=self.keep)
        for _ in range(3):
            self.far.rules = [FAR[name](chance) for name in chance.sample(sorted(FAR), chance.randint(0, 3))]
            self.near.rules = [NEAR[name](chance) for name in chance.sample(sorted(NEAR), chance.randint(0, 3))]
            self.ferry(*USERS, status=None, timeout=40)
            self.no_loss()
        self.far.rules, self.near.rules = [], []
        if self.ferry(*USERS, status=None).status != 0:         # what was refused twice waits for an hour
            self.ferry(*USERS, env=shifted(2 * 3600))
        self.at_the_end()

    def accepted(self):
        return collections.Counter(take_trace(m.octets)[1] for m in self.near.accepted)

    def no_loss(self):
        got = self.accepted()
        for user in USERS:
            left = collections.Counter(self.far.left(user))
            for message in collections.Counter(self.sent[user]) - left:
                self.assertGreater(got[expected(message)], 0, f"deleted, but never accepted: {message[:100]!r}")

    def at_the_end(self):
        got = self.accepted()
        wanted = collections.Counter(expected(m) for box in self.sent.values() for m in box)
        self.assertEqual(list((wanted - got).elements()), [], "lost")
        untold = sum(b"(untold)" in octets for s in self.near.sessions for _, octets in s.transcript)
        self.assertLessEqual(sum((got - wanted).values()), untold, "doubled")
        for user in USERS:
            self.assertEqual(self.far.left(user), self.sent[user] if self.keep else [])
