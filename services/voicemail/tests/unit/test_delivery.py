"""When a failed e-mail is tried again."""

from carillon_voicemail.domain.delivery import RetryPolicy


def test_the_delay_doubles_up_to_its_limit() -> None:
    policy = RetryPolicy(first_seconds=1, longest_seconds=60)
    assert [policy.delay(attempt) for attempt in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert policy.delay(10_000) == 60
