"""What an application may set."""

from bandit.records import Record


class Options(Record, frozen=True, kw_only=True):
    """How long to wait, how much to keep, how often to try.

    Attributes:
        deadline_s: The longest a question may keep its caller.
        breaker_failures: So many failures in a row, and the service is not asked any more.
        breaker_pause_s: After so long one caller tries it again.
        queue_n: Records that may wait on each route; of more the oldest are dropped.
        batch_n: Records in one request; the service takes at most 1,000.
        linger_s: How long a record waits for others to share a request with.
        pause_s, pause_most_s: Before the first repetition of a request, doubled each time, up to
            the second; times a random number between 0.5 and 1.
        flush_s: The longest that `close` and the end of the process wait for what is queued.
        record_timeout_s: The longest that sending records may wait for each step.
        strict: Raise what would be logged: arguments that can not be right. For tests.
    """

    deadline_s: float = 0.1
    breaker_failures: int = 5
    breaker_pause_s: float = 1.0
    queue_n: int = 10_000
    batch_n: int = 1000
    linger_s: float = 0.05
    pause_s: float = 0.1
    pause_most_s: float = 10.0
    flush_s: float = 2.0
    record_timeout_s: float = 5.0
    strict: bool = False

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if name != "strict" and not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}, must be above 0")
        if self.batch_n > 1000:
            raise ValueError(f"batch_n is {self.batch_n}, must be at most 1000")
