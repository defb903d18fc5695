"""Thousands of accounts: shards, and costs that grow no faster than the accounts."""
import os
import resource

from kit.case import Case
from kit.messages import letters
from kit.popferry import OK, RETRY, USAGE


# Not a port that was free a moment ago: a connection to one of the ephemeral ports may meet itself.
CLOSED = 1


class Shards(Case):
    def shares(self, count):
        """Which accounts each shard polls."""
        shares = []
        for k in range(1, count + 1):
            done = len(self.far.sessions)
            self.ferry("--shard", f"{k}/{count}")
            shares.append({session.user for session in self.far.sessions[done:]})
        return shares

    def test_they_are_disjoint_complete_and_stable(self):
        users = [f"user{n}" for n in range(60)]
        self.far, near = self.pop3({user: letters(1, sender=f"{user}@example.test") for user in users}), self.smtp()
        options = self.fetchrc(self.far, near, keep=True)
        for count in (1, 3, 7):
            shares = self.shares(count)
            self.assertEqual(sum(map(len, shares)), 60, "disjoint")
            self.assertEqual(set.union(*shares), set(users), "complete")
            self.assertTrue(all(shares), "none is empty")
        options["account"] = {f"renamed-{user}": options["account"][user] for user in reversed(users[5:])}
        self.popferry.configure(options)
        gone = set(users[:5])
        self.assertEqual(self.shares(7), [share - gone for share in shares], "neither titles, order nor other accounts matter")
        self.assertEqual(len(near.accepted), 60)

    def test_the_share_of_an_account_never_changes(self):
        """These stand in people's volumes: sha256 of username@host, its first 64 bits modulo N."""
        near = self.smtp()
        text = "".join(f'account "a{n}" {{ host = "pop.example.test" username = "user{n}" password = \'x\' recipients = "t" enabled = true }}\n'
                       for n in range(4))
        self.popferry.configure(f'timeout = 1\ndestination "local" {{ host = "127.0.0.1" port = {near.port} }}\n{text}')
        import hashlib
        for n in range(4):
            k = int(hashlib.sha256(f"user{n}@pop.example.test".encode()).hexdigest()[:16], 16) % 5 + 1
            run = self.ferry("-n", "--shard", f"{k}/5", status=RETRY)
            self.assertIn(f"a{n}: ", run.stderr)

    def test_wrong_ones(self):
        self.fetchrc(self.pop3(letters(1)), self.smtp())
        for shard in ("0/3", "4/3", "1", "1/0", "x/2", "1/2x", "-1/2", "1/-2", "", "/"):
            self.ferry("--shard", shard, status=USAGE)

    def test_a_shard_without_accounts_is_content(self):
        self.fetchrc(self.pop3(letters(1)), self.smtp())
        for k in range(1, 6):
            self.assert_silent(self.ferry("--shard", f"{k}/5", status=OK))


class TenThousand(Case):
    """CPU of 10,000 accounts against that of 1,000."""
    limit = 300

    def prepare(self, count):
        near = self.near
        accounts = "".join(f'account "user{n:05}" {{\n    host = "127.0.0.1"\n    port = {self.closed}\n    tls = "none"\n'
                           f'    username = "user{n:05}@example.test"\n    password = \'secret{n}\'\n    recipients = "user{n}"\n'
                           f'    keep = true\n    max_size = "25M"\n}}\n' for n in range(count))
        self.popferry.fetchrc = os.path.join(self.directory, f"fetchrc-{count}")
        self.popferry.state = os.path.join(self.directory, f"state-{count}")
        self.popferry.configure(f'timeout = 5\njobs = 20\njobs_per_host = 20\ndestination "local" {{ host = "127.0.0.1" port = {near.port} }}\n'
                                + accounts)

    def cpu(self, *args, status):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run = self.ferry(*args, status=status, timeout=200)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, run

    def test_loading_running_and_status_grow_no_faster_than_the_accounts(self):
        self.near = self.smtp()
        self.closed = CLOSED
        costs = {}
        for count in (1000, 10000):
            self.prepare(count)
            load = min(self.cpu("--shard", "999983/1000000", status=None)[0] for _ in range(3))
            run, result = self.cpu(status=RETRY)
            self.assertEqual(len(result.stderr.splitlines()), count)
            status, shown = self.cpu("status", status=RETRY)
            self.assertIn(f"{count} of {count} accounts are STALE", shown.stdout)
            costs[count] = load, run, status
        for what, small, large in zip(("load", "run", "status"), costs[1000], costs[10000]):
            self.rows.append(["CPU of 10,000 accounts against 1,000", {"what": what, "1,000": f"{small:.3f} s",
                                                                       "10,000": f"{large:.3f} s"}])
            self.assertLess(large, 12 * max(small, 0.01), what)
