from ogp.guard.samples import SAMPLES


def test_samples_differ_and_none_is_empty() -> None:
    assert len(set(SAMPLES)) == len(SAMPLES) >= 24
    assert all(text.strip() for text in SAMPLES)


def test_some_are_longer_than_a_window() -> None:
    assert max(len(text.split()) for text in SAMPLES) > 256
