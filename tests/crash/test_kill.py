"""kill -9 at every step of a run: nothing is lost, and nothing comes twice but what the SMTP server was just taking."""
import itertools
import os
import random

from kit.case import Case, cases
from kit.crash import Kill, Series, Trial
from kit.messages import letters

TABLE = "kill -9, then runs until the mailbox is done"
ALL = os.environ.get("POPFERRY_EVERY_STEP") == "all"
RANDOM_TRIALS = int(os.environ.get("POPFERRY_RANDOM_TRIALS", "60"))


def label(keep, connections, recipients, pipelining, when):
    return (f"{'keep' if keep else 'delete'}, {connections} session{'s' * (connections > 1)}, {recipients} recipient"
            f"{'s' * (recipients != 'one')}, {'pipelining' if pipelining else 'one by one'}, {when}")


def worth_it(recipients, pipelining, when):
    """After a step is much the same as before the next one, and the longer dialogue has all of the shorter one's steps: without
    $POPFERRY_EVERY_STEP=all some combinations are left out."""
    return ALL or (recipients == "three" and (pipelining or when == "before")) or (pipelining and when == "before")


EVERY_STEP = {
    label(*how): dict(zip(("keep", "connections", "recipients", "pipelining", "when"), how)) for how in
    itertools.product((False, True), (1, 4), ("one", "three"), (True, False), ("before", "after")) if worth_it(*how[2:])
}
EVERY_STEP["delete, 4 sessions, three recipients, LMTP, before"] = dict(connections=4, recipients="three", lmtp=True)
EVERY_STEP["delete, 1 session, one recipient, deleted in a second session, before"] = dict(connections=1, breaks=6)
EVERY_STEP["delete, 4 sessions, one recipient, TLS, before"] = dict(connections=4, tls=True)


class EveryStep(Case):
    """Six messages; the first run is killed at step 1, 2, 3 ... until there are no more."""
    limit, chunk = 600, 1

    @cases({name: (name, how) for name, how in EVERY_STEP.items()})
    def test_killed(self, name, how):
        how = dict(how)
        when = how.pop("when", "before")
        series = Series(self, delay=0.004 if how["connections"] > 1 else 0, **how)
        sent = letters(3 if how.get("tls") else 6, size=600)

        def work(shores, kill):
            trial = Trial(shores, sent)
            trial.killed_run(kill)
            trial.inspect()
            trial.recover()
            return trial

        series.row(TABLE, series=name, steps=series.every_step(work, when))
        self.assertGreater(series.sums["kills"], 60, "too few steps to be all of them")
        self.assertGreater(series.sums["caught"], 0, "no kill came between a message's acceptance and its receipt")


class AtRandom(Case):
    """200 messages; each trial is killed once or several times in a row, anywhere."""
    limit, chunk = 600, 1

    @cases({f"{'keep' if keep else 'delete'} {connections} session{'s' * (connections > 1)}": (keep, connections)
            for keep in (False, True) for connections in (1, 4)})
    def test_200_messages(self, keep, connections):
        sent = letters(200, size=2000)
        dice = random.Random(os.environ.get("POPFERRY_SEED", "ferry") + self.id())
        series = Series(self, keep=keep, connections=connections, recipients="three" if connections > 1 else "one")
        counting = Series(self, workers=1, keep=keep, connections=connections)

        def count(shores, _):
            trial = Trial(shores, sent)
            self.steps = trial.steps()
            trial.inspect()
            trial.recover()
            return trial

        def work(shores, kills):
            trial = Trial(shores, sent)
            for kill in kills:
                trial.killed_run(kill)
                trial.inspect()
            trial.recover()
            return trial

        counting.each([0], count)
        jobs = [[Kill(dice.randint(1, self.steps), dice.choice(("before", "after"))) for _ in range(dice.choice((1, 1, 2, 4)))]
                for _ in range(max(1, RANDOM_TRIALS // 4))]
        series.each(jobs, work)
        series.row(TABLE, series=f"{'keep' if keep else 'delete'}, {connections} session{'s' * (connections > 1)}, 200 messages, at random", steps=self.steps)
