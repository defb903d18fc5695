"""A power cut at any step: what was not synced is gone, or torn; nothing is lost and nothing comes twice all the same.

The preload library notes what the program syncs; the next run finds no more than that in the state directory (and, in other
trials, all that was written, or a sector of each). The servers are other machines: they go on."""
import os
import random

from kit.case import Case, cases
from kit.crash import Kill, Series, Trial
from kit.messages import letters

TABLE = "Power cut, then runs until the mailbox is done"
RANDOM_TRIALS = int(os.environ.get("POPFERRY_RANDOM_TRIALS", "60"))


class EveryStep(Case):
    limit, chunk = 600, 1

    @cases({"delete, 1 session": (False, 1, "three"), "keep, 4 sessions": (True, 4, "one")})
    def test_only_what_was_synced_is_left(self, keep, connections, recipients):
        series = Series(self, keep=keep, connections=connections, recipients=recipients, delay=0.004 if connections > 1 else 0)
        sent = letters(6, size=600)

        def work(shores, kill):
            trial = Trial(shores, sent)
            if trial.killed_run(kill, disk=True):
                trial.cut_power("synced", None)
            trial.inspect()
            trial.recover()
            return trial

        last = series.every_step(work)
        mode = f"{'keep' if keep else 'delete'}, {connections} session{'s' * (connections > 1)}"
        series.row(TABLE, series=f"{mode}, {recipients} recipient{'s' * (recipients != 'one')}, synced", steps=last)
        self.assertGreater(series.sums["kills"], 60)
        self.assertGreater(series.sums["caught"], 0)


class AtRandom(Case):
    limit, chunk = 600, 1

    @cases({f"{how} {'keep' if keep else 'delete'}": (how, keep) for how in ("synced", "torn", "written") for keep in (False, True)})
    def test_200_messages(self, how, keep):
        sent = letters(200, size=2000)
        dice = random.Random(os.environ.get("POPFERRY_SEED", "ferry") + self.id())
        series = Series(self, keep=keep, connections=4)

        def work(shores, kills):
            trial = Trial(shores, sent)
            for kill in kills:
                if trial.killed_run(kill, disk=True):
                    trial.cut_power(how, dice)
                trial.inspect()
            trial.recover()
            return trial

        jobs = [[Kill(dice.randint(1, 1300)) for _ in range(dice.choice((1, 2, 3)))] for _ in range(max(1, RANDOM_TRIALS // 6))]
        series.each(jobs, work)
        series.row(TABLE, series=f"{'keep' if keep else 'delete'}, 4 sessions, 200 messages, at random, {how}", steps="")
