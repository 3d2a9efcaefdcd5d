"""The delays after failures: they double, have a limit and a random share, and start again."""

from common.backoff import Backoff, BackoffPolicy


def test_the_delay_doubles_to_a_limit_and_starts_again_after_a_steady_run() -> None:
    backoff = Backoff(
        BackoffPolicy(first_seconds=1, longest_seconds=5, jitter=0, steady_seconds=60)
    )
    assert [backoff.next_seconds(ran) for ran in (0, 1, 0, 0, 0, 60, 3)] == [1, 2, 4, 5, 5, 1, 2]


def test_a_share_of_the_delay_is_random() -> None:
    policy = BackoffPolicy(first_seconds=0.5, longest_seconds=30, jitter=0.5)
    for failures, ceiling in [(1, 0.5), (2, 1), (3, 2), (6, 16), (7, 30), (100_000, 30)]:
        delays = {policy.delay_seconds(failures) for _ in range(50)}
        assert all(ceiling / 2 <= delay <= ceiling for delay in delays)
        assert len(delays) > 1


def test_a_success_resets_the_delay() -> None:
    backoff = Backoff(BackoffPolicy(first_seconds=1, longest_seconds=8, jitter=0))
    assert [backoff.next_seconds(), backoff.next_seconds()] == [1, 2]
    backoff.reset()
    assert backoff.failures == 0
    assert backoff.next_seconds() == 1


def test_the_first_failures_may_be_without_a_delay() -> None:
    backoff = Backoff(
        BackoffPolicy(first_seconds=1, longest_seconds=30, jitter=0, immediate=1, steady_seconds=60)
    )
    assert [backoff.next_seconds(ran) for ran in (0, 0, 0, 60, 0)] == [0, 1, 2, 0, 1]


def test_equal_bounds_give_a_constant_delay() -> None:
    policy = BackoffPolicy(first_seconds=0.5, longest_seconds=0.5, jitter=0)
    assert {policy.delay_seconds(failures) for failures in range(1, 50)} == {0.5}
