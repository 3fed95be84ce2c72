"""Jobs done two at a time."""

import threading

import pytest

from artpipe.renderers.threads import thread_count, thread_limit
from artpipe.stages.formats.together import in_pairs


def test_two_jobs_run_at_the_same_time_and_results_keep_their_order():
    meeting = threading.Barrier(2, timeout=10)

    def meet(k):
        meeting.wait()
        return k, thread_count()

    with thread_limit(3):
        assert list(in_pairs([lambda k=k: meet(k) for k in range(4)])) == [(k, 3) for k in range(4)]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_any_number_of_jobs_is_done(count):
    assert list(in_pairs([lambda k=k: k for k in range(count)])) == list(range(count))


@pytest.mark.parametrize("bad", range(3))
def test_an_error_or_a_caller_who_stops_ends_the_work_after_the_pair(bad):
    done = []

    def job(k, fails):
        done.append(k)
        if fails:
            raise OSError(k)

    with pytest.raises(OSError):
        list(in_pairs([lambda k=k: job(k, k == bad) for k in range(4)]))
    assert sorted(done) == [0, 1, 2, 3][: 2 if bad < 2 else 4]
    done.clear()
    results = in_pairs([lambda k=k: job(k, False) for k in range(4)])
    next(results)
    results.close()
    assert sorted(done) == [0, 1]
