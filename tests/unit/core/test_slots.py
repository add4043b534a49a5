from ogp.core.slots import BUCKETS_MS, Tally


def test_buckets_rise_from_a_millisecond_to_most_of_an_hour() -> None:
    assert list(BUCKETS_MS) == sorted(set(BUCKETS_MS))
    assert BUCKETS_MS[0] == 1.0
    assert 30 * 60e3 < BUCKETS_MS[-1] < 60 * 60e3


def test_a_tally_has_one_count_for_each_bucket() -> None:
    tally = Tally(since=0.0)
    assert len(tally.waits) == len(tally.holds) == len(BUCKETS_MS)
    assert sum(tally.waits) + tally.processed == 0
