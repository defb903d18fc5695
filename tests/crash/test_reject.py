"""kill -9, or a power cut, while a message that was refused for good is put into the quarantine or forwarded: it is there, or
still at the server."""
import os
import pathlib

from kit.case import Case, cases
from kit.crash import Series, Trial
from kit.messages import letter
from kit.popferry import take_trace

EVIL = letter(2, body=b"evil\r\n")
SENT = [letter(1), EVIL, letter(3)]
HOW = {"quarantine": dict(on_reject="quarantine"), "forward": dict(on_reject="forward", reject_recipient="postmaster@example.test")}


class Rejection(Trial):
    """Three messages, of which the second is refused for the second time in the run that is killed."""

    def __init__(self, shores):
        super().__init__(shores, SENT)
        os.makedirs(self.state)
        shores.smtp.refuse = {}
        shores.smtp.judge = lambda m: b"554 5.7.1 spam\r\n" if b"evil" in m.octets and not self.is_notice(m) else None
        if self.run().status != 65:
            self.complain("the refusal has no effect")

    @staticmethod
    def is_notice(message):
        return message.recipients == ["postmaster@example.test"]

    def copies(self):
        stored = [p.read_bytes() for p in pathlib.Path(self.state, "quarantine").rglob("*") if p.parent.name in ("new", "cur")]
        notices = [m.octets for m in self.shores.smtp.accepted if self.is_notice(m)]
        for octets in stored + notices:
            if b"evil" not in octets:
                self.complain(f"only part of the message was put away: {octets[:300]!r}")
        return len(stored) + len(notices)

    def inspect(self):
        self.caught.append(0)
        if EVIL not in self.shores.pop3.left("thomas") and self.copies() == 0:
            self.complain("lost")

    def recover(self, runs=4):
        for _ in range(runs):
            self.run("history", "--retry", "--yes")
            self.run()
            self.inspect()
            if not self.shores.pop3.left("thomas"):
                return
        self.complain("still on the server")

    def verify(self):
        """Put away once, or twice if a kill came between that and its receipt; the others came once."""
        copies = self.copies()
        if copies > 1 + self.ends[0].startswith("killed"):
            self.complain(f"put away {copies} times")
        arrived = sorted(take_trace(m.octets)[1] for m in self.shores.smtp.accepted if not self.is_notice(m))
        if len(arrived) != 2 or b"evil" in b"".join(arrived):
            self.complain(f"arrived: {arrived}")
        return (0 if copies else 1), max(0, copies - 1)


class EveryStep(Case):
    limit, chunk = 300, 1

    @cases({f"{name}{', power cut' * power}": (name, power) for name, power in
            (("quarantine", False), ("quarantine", True), ("forward", False))})
    def test_killed(self, name, power):
        series = Series(self, **HOW[name])

        def work(shores, kill):
            trial = Rejection(shores)
            if trial.killed_run(kill, disk=power) and power:
                trial.cut_power("synced", None)
            trial.inspect()
            trial.recover()
            return trial

        last = series.every_step(work)
        cells = {"on_reject": name + ", power cut" * power, "steps": last}
        self.rows.append(["Refused for good, and kill -9 while it is put away",
                          {**cells, **{k: series.sums[k] for k in ("kills", "lost", "duplicates")}}])
        self.assertGreater(series.sums["kills"], 40)
        self.assertGreater(series.sums["duplicates"], 0, "no kill came between putting away and its receipt")
