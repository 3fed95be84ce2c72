"""What `artpipe.fit` raises when a fit does not finish, and the partial result."""

import pickle
import signal
import threading

import numpy as np
import pytest

import artpipe
from artpipe import Diverged, Interrupted, OutOfMemory
from artpipe.stages.events import Progress

TARGET = np.random.default_rng(5).random((12, 16, 3)).astype(np.float32)
OPTIONS = {"count": 8, "growth": 4, "steps": 60}


def after_some_steps(act):
    """Calls `act` at the first progress; its error passes through the fit like that of a step."""

    def see(event):
        if isinstance(event, Progress) and event.step >= 5:
            act()

    return see


def raising(error):
    def act():
        raise error

    return act


ENDS = {
    "interrupted": (KeyboardInterrupt(), Interrupted, KeyboardInterrupt, "interrupted after"),
    "diverged": (Diverged("step 7 is not finite"), Diverged, Diverged, "step 7 is not finite"),
    "memory": (MemoryError(), OutOfMemory, MemoryError, "out of memory after .* Try"),
}


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("renderer", ["jax", "torch"])
def test_a_failed_fit_raises_with_its_partial_result(renderer, name):
    cause, kind, builtin, words = ENDS[name]
    with pytest.raises(builtin, match=words) as caught:
        artpipe.fit(TARGET, renderer=renderer, on_event=after_some_steps(raising(cause)), **OPTIONS)
    error = caught.value
    assert type(error) is kind and isinstance(error, artpipe.ArtpipeError)
    result = error.result
    assert 0 < result.scene.count <= 8 and 0 < result.metrics.steps < 60
    assert result.metrics.reason.startswith(name if name != "memory" else "out of memory")
    assert artpipe.mean_squared_error(result.image, TARGET) == pytest.approx(result.metrics.mse, rel=1e-3)


def test_errors_keep_their_result_through_a_pickle():
    error = Interrupted("interrupted")
    error.result = 7
    assert pickle.loads(pickle.dumps(error)).result == 7
    assert artpipe.InputError("no").result is None


def test_ctrl_c_ends_a_fit_between_two_steps_and_restores_the_handlers():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt) as caught:
        artpipe.fit(TARGET, on_event=after_some_steps(lambda: signal.raise_signal(signal.SIGINT)), **OPTIONS)
    assert isinstance(caught.value, Interrupted) and caught.value.result.metrics.reason == "interrupted"
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    ends = []
    thread = threading.Thread(target=lambda: ends.append(artpipe.fit(TARGET, **OPTIONS)))
    thread.start()
    thread.join()
    assert ends[0].metrics.reason == "finished"


def test_ctrl_c_after_the_last_step_is_not_lost():
    def see(event):
        if isinstance(event, Progress) and event.step == OPTIONS["steps"]:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted) as caught:
        artpipe.fit(TARGET, on_event=see, **OPTIONS)
    assert caught.value.result.metrics.steps == OPTIONS["steps"]


@pytest.mark.parametrize("converts", [False, True])
def test_a_second_ctrl_c_does_not_wait_for_the_step(converts):
    after = []

    def twice():
        signal.raise_signal(signal.SIGINT)
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            if converts:  # as some libraries do
                raise ValueError("half a step") from None
            raise
        after.append("not interrupted")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        artpipe.fit(TARGET, on_event=after_some_steps(twice), **OPTIONS)
    assert after == [] and signal.getsignal(signal.SIGINT) is before


def test_a_custom_signal_handler_is_kept():
    seen = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        artpipe.fit(TARGET, on_event=after_some_steps(lambda: signal.raise_signal(signal.SIGINT)), **OPTIONS)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen and set(seen) == {signal.SIGINT}


def test_an_error_of_the_observer_is_raised_unchanged():
    with pytest.raises(ZeroDivisionError):
        artpipe.fit(TARGET, on_event=after_some_steps(lambda: 1 / 0), **OPTIONS)
