"""Ten runs at once over the same three accounts, one of them killed: the others are content, and each message comes once."""
import collections
import os
import random
import signal

from kit.case import Case, cases
from kit.crash import killer
from kit.messages import letters
from kit.popferry import OK, Popferry, expected, take_trace

RUNS, CONNECTIONS = 10, 2
TRIALS = int(os.environ.get("POPFERRY_OVERLAP_TRIALS", "8"))


class TenAtOnce(Case):
    limit, chunk = 300, 1

    def prepare(self, keep):
        for server in self.servers:
            server.stop()
        self.servers.clear()
        self.boxes = {f"user{n}": letters(8, sender=f"u{n}@example.test") for n in range(3)}
        # A server that lets in several at once: no lock but ours keeps them apart.
        self.far, self.near = self.pop3(self.boxes, exclusive=False), self.smtp(delay=0.005)
        self.fetchrc(self.far, self.near, keep=keep, to={"connections": CONNECTIONS})
        self.victim = Popferry(os.path.join(self.directory, f"victim-{self.far.port}"))
        self.victim.state = self.popferry.state = os.path.realpath(os.path.join(self.victim.directory, "state"))
        self.addCleanup(self.victim.end)
        options = self.fetchrc(self.far, self.near, keep=keep, to={"connections": CONNECTIONS, "helo": "victim.test"})
        self.victim.configure(options)
        self.fetchrc(self.far, self.near, keep=keep, to={"connections": CONNECTIONS})

    def start_victim(self, step):
        return self.victim.start("-v", env={"LD_PRELOAD": killer(), "KILLER_STATE": self.victim.state, "KILLER_AT": str(step)})

    def run_all(self, step):
        """Ten at once; returns whether the victim was killed before that step. It comes a moment before the others, or it would
        find everything locked."""
        doomed = self.start_victim(step)
        self.wait_for(lambda: self.far.sessions or doomed.poll() is not None)
        processes = [self.popferry.start() for _ in range(RUNS - 1)]
        for process in processes:
            run = self.popferry.finish(process)
            self.expect_status(run, OK)
            self.assertEqual(run.stderr, "")
        run = self.victim.finish(doomed)
        self.assertIn(run.status, (OK, -signal.SIGKILL))
        for server in self.servers:
            server.settle()
        return run.status != OK

    def verify(self, killed):
        """Nothing is lost; what came twice came first from the one that was killed, one message for each of its sessions."""
        doomed = {s.number for s in self.near.sessions if any(c.endswith(" victim.test") for c in s.commands)}
        times, by_victim = collections.Counter(), set()
        for message in self.near.accepted:
            octets = take_trace(message.octets)[1]
            times[octets] += 1
            if message.session in doomed and times[octets] == 1:
                by_victim.add(octets)
        sent = {expected(m) for box in self.boxes.values() for m in box}
        self.assertEqual(set(times), sent, "lost, or never sent")
        twice = [m for m in times if times[m] > 1]
        self.assertLessEqual(len(twice), CONNECTIONS if killed else 0, "duplicates")
        self.assertLessEqual(set(twice), by_victim, "a duplicate that no kill explains")
        self.assertLessEqual(max(times.values()), 2)
        return len(twice)

    @cases({"delete": False, "keep": True})
    def test_one_of_them_killed(self, keep):
        dice = random.Random(os.environ.get("POPFERRY_SEED", "ferry") + self.id())
        kills = duplicates = 0
        for _ in range(TRIALS):
            self.prepare(keep)
            killed = self.run_all(dice.randint(60, 360))
            after = self.ferry("-v", status=OK)       # at once: the lock of the dead is free
            self.assertNotIn("another run", after.stderr)
            for user in self.boxes:
                self.assertEqual(len(self.far.left(user)), len(self.boxes[user]) if keep else 0)
            kills += killed
            duplicates += self.verify(killed)
        self.rows.append(["Ten runs at once over three accounts, one of them killed",
                          {"mode": "keep" if keep else "delete", "trials": TRIALS, "kills": kills, "lost": 0, "duplicates": duplicates}])
        self.assertGreater(kills, 0)

    def test_nobody_killed(self):
        self.prepare(False)
        self.assertFalse(self.run_all(0))
        self.ferry()
        self.verify(False)
        self.assertEqual(len(self.near.accepted), 24)
