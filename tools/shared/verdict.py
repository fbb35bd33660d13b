"""What a trial judges: a line for each check, and the exit code."""


class Verdict:
    def __init__(self):
        self.failed_count = 0

    def check(self, holds, promise):
        self.failed_count += not holds
        print(f"{'holds' if holds else 'FAILS'}  {promise}", flush=True)

    def note(self, holds, what, wanted, seen):
        self.check(holds, f"{what}: wanted {wanted}, seen {seen}")

    def at_most(self, what, seconds, most):
        self.note(seconds <= most, what, f"at most {most:g} s", f"{seconds:.2f} s")

    @property
    def exit_code(self):
        return 1 if self.failed_count else 0
