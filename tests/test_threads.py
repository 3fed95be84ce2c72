"""The number of threads; threads end, wait without spinning, and survive interrupts and errors."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from command_line import refusal, succeeded

import artpipe
from artpipe import Canvas, InputError, RendererOptions, Scene, load_renderer
from artpipe.renderers.kernels.numba.kernel import CpuKernel, shared_kernel
from artpipe.renderers.kernels.numba.workers import Workers
from artpipe.renderers.losses.metrics import pixel_shares
from artpipe.renderers.threads import THREADS_MAX, cpu_quota, thread_count, thread_limit, usable_cores

# --- how many ---


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv("ARTPIPE_THREADS", raising=False)


def test_an_invalid_number_of_threads_is_refused():
    for threads in (0, -1, THREADS_MAX + 1, 1.5, 2.0, "2", True, float("nan"), [2]):
        for work in (
            lambda threads=threads: RendererOptions(threads=threads),
            lambda threads=threads: CpuKernel(threads),
            lambda threads=threads: artpipe.fit(np.zeros((16, 16, 3)), 4, steps=1, threads=threads),
        ):
            with pytest.raises(InputError, match=r"threads is .*; needs a whole number, 1 to 1024"):
                work()


def test_an_invalid_variable_is_named_in_one_line(monkeypatch, tmp_path):
    artpipe.save_scene(Scene.empty(Canvas(3, 3)), tmp_path / "scene.json")
    for text in ("0", "-3", "two", "1.5", "1e9", "²", "9" * 5000):
        monkeypatch.setenv("ARTPIPE_THREADS", text)
        assert "ARTPIPE_THREADS is " in refusal("render", tmp_path / "scene.json", "-o", tmp_path / "a.png")
    with pytest.raises(InputError, match="ARTPIPE_THREADS"):
        load_renderer("cpu").render(Scene.empty(Canvas(3, 3)))
    assert thread_count(2) == 2  # an explicit number comes first


def test_the_caller_comes_before_a_limit_before_the_variable_before_the_cores(monkeypatch):
    assert thread_count() == usable_cores() >= 1
    monkeypatch.setenv("ARTPIPE_THREADS", " 5 ")
    assert thread_count() == 5
    with thread_limit(4):
        with thread_limit(None):
            assert thread_count() == shared_kernel().threads == 4
        assert thread_count(np.int64(3)) == 3
        assert load_renderer("cpu", RendererOptions(threads=3)).options.threads == 3
    assert thread_count() == 5
    monkeypatch.setenv("ARTPIPE_THREADS", "")
    assert thread_count() == usable_cores()


def test_a_fit_draws_with_the_threads_asked_for_and_does_not_depend_on_them(monkeypatch):
    for renderer in ("jax", "torch"):
        fit = load_renderer(renderer, RendererOptions(threads=3)).fit(np.zeros((8, 8, 3), np.float32), Canvas(8, 8))
        assert fit.kernel.threads == 3
    picture = np.random.default_rng(2).uniform(0, 1, (40, 40, 3)).astype(np.float32)
    options = {"count": 12, "steps": 20, "growth": 4, "renderer": "torch"}
    scenes = [artpipe.fit(picture, threads=threads, **options).scene for threads in (1, 3)]
    monkeypatch.setenv("ARTPIPE_THREADS", "2")
    scenes.append(artpipe.fit(picture, **options).scene)
    assert scenes[0].same_as(scenes[1]) and scenes[0].same_as(scenes[2])


def test_the_option_limits_the_command_alone(tmp_path):
    before = thread_count()
    artpipe.save_scene(Scene.empty(Canvas(3, 3)), tmp_path / "scene.json")
    succeeded("render", tmp_path / "scene.json", "-o", tmp_path / "a.png", "--threads", 7)
    assert thread_count() == before


# --- quotas of containers ---


def groups(root, membership, files):
    """A made-up /proc and /sys."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(membership, encoding="utf-8")
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


V1 = "11:memory:/docker/7\n4:cpu,cpuacct:/docker/7\n0::/docker/7\n"
QUOTAS = {
    "a container": ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
    "a service in a slice": (
        "0::/user.slice/a.service",
        {"user.slice/a.service/cpu.max": "max 100000", "user.slice/cpu.max": "50000 100000"}, 0.5,
    ),
    "the tightest counts": (
        "0::/a/b", {"a/b/cpu.max": "300000 100000", "a/cpu.max": "200000 100000", "cpu.max": "900000 100000"}, 2.0,
    ),
    "a group outside": ("0::/../../x", {"cpu.max": "200000 100000"}, 2.0),
    "version 1": (
        V1,
        {"cpu,cpuacct/docker/7/cpu.cfs_quota_us": "250000", "cpu,cpuacct/docker/7/cpu.cfs_period_us": "100000"}, 2.5,
    ),
    "version 1, no limit": (V1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
    "version 1 in a container": (V1, {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "50000"}, 2.0),
    "version 2 beside 1": ("1:name=systemd:/\n0::/a\n", {"unified/a/cpu.max": "100000 100000"}, 1.0),
    "damaged": ("0::/", {"cpu.max": "100000 0"}, None),
    "no numbers": ("0::/\nx\n:\n::\n", {"cpu.max": "a b c"}, None),
}  # fmt: skip


def test_the_quota_of_the_control_group_is_found(tmp_path):
    for case, (membership, files, quota) in QUOTAS.items():
        assert cpu_quota.__wrapped__(groups(tmp_path / case, membership, files)) == quota, case


@pytest.mark.parametrize(
    ("quota", "cores", "usable"), [(0.001, 4, 1), (1.5, 4, 2), (4.0, 4, 4), (9.3, 4, 4), (None, 3, 3)]
)
def test_cores_are_at_least_one_and_at_most_the_quota_rounded_up(monkeypatch, quota, cores, usable):
    monkeypatch.setattr("artpipe.renderers.threads.cpu_quota", lambda: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert usable_cores() == usable


# --- the threads ---


def problem(count=60, side=96):
    """Arguments of `loss_and_gradient`: circles over several tiles."""
    rng = np.random.default_rng(5)
    scene = Scene.circles(
        Canvas(side, side), x=rng.uniform(0, side, count), y=rng.uniform(0, side, count),
        radius=rng.uniform(2, 20, count), colour=rng.uniform(0, 1, (count, 3)), opacity=0.6,
    )  # fmt: skip
    target = rng.uniform(0, 1, (3, side, side)).astype(np.float32)
    return scene.rows, scene.kinds, scene.canvas, target, pixel_shares(None, side, side).astype(np.float32)


def drawing_threads():
    return [thread for thread in threading.enumerate() if thread.name == "artpipe-kernel"]


def wait_until(condition):
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    assert condition()


@pytest.fixture
def expected():
    return CpuKernel(1).loss_and_gradient(*problem())


def assert_draws(kernel, expected):
    for got, want in zip(kernel.loss_and_gradient(*problem()), expected, strict=True):
        assert np.array_equal(got, want)


def test_threads_start_with_the_first_call_and_end_with_the_kernel(expected):
    before = set(drawing_threads())
    with CpuKernel(4) as kernel:
        assert set(drawing_threads()) == before
        assert_draws(kernel, expected)
        assert len(set(drawing_threads()) - before) == 3
    assert set(drawing_threads()) <= before
    assert_draws(kernel, expected)  # which starts them again
    kernel.close()
    kernel.close()
    assert set(drawing_threads()) <= before
    assert_draws(kernel, expected)
    del kernel
    gc.collect()
    wait_until(lambda: set(drawing_threads()) <= before)


def test_what_a_task_raises_in_a_thread_is_raised_by_check_and_the_thread_works_on():
    workers, seen = Workers(2), []

    def task(number):
        seen.append((number, threading.get_ident()))
        return 1 / (number - 1)

    def check_often():
        for _ in range(1000):
            workers.check()
            time.sleep(0.01)

    for _ in range(3):
        workers.wake(task, 2)
        with pytest.raises(ZeroDivisionError):
            check_often()
    workers.close()
    workers.check()
    assert len(seen) == 6 and len(set(seen)) == 2


def test_without_leave_to_start_threads_the_caller_draws_alone(expected, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert_draws(CpuKernel(4), expected)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # by the interrupt, in other code
@pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")
def test_an_interrupt_at_any_moment_leaves_no_thread_at_work_and_the_kernel_usable(expected):
    """The handler of a timer raises in Python code, as Ctrl-C does."""

    def interrupt(number, frame):
        raise KeyboardInterrupt

    rng = np.random.default_rng(1)
    former = signal.signal(signal.SIGALRM, interrupt)
    interrupted = 0
    try:
        with CpuKernel(3) as kernel:
            assert_draws(kernel, expected)
            for _ in range(100):
                try:
                    signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, 1e-3))
                    for _ in range(3):
                        kernel.loss_and_gradient(*problem())
                    signal.setitimer(signal.ITIMER_REAL, 0)
                except KeyboardInterrupt:
                    interrupted += 1
                assert_draws(kernel, expected)
            used = time.process_time()
            time.sleep(0.2)
            assert time.process_time() - used < 0.03
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    assert interrupted > 20


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_draws_with_threads_of_its_own(expected):
    code = """
import os, sys
sys.path.insert(0, sys.argv[1])
from artpipe.renderers.kernels.numba.kernel import CpuKernel
from test_threads import problem
kernel = CpuKernel(3)
loss = kernel.loss_and_gradient(*problem())[0]
child = os.fork()
if child == 0:
    os._exit(kernel.loss_and_gradient(*problem())[0] != loss)
sys.exit(os.waitpid(child, 0)[1] != 0)
"""
    here = os.path.dirname(__file__)
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code, here], timeout=60).returncode == 0


ON_A_SINGLE_CORE = """
import os, sys, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
sys.path.insert(0, sys.argv[1])
from statistics import median
from test_threads import CpuKernel, problem
case, kernels, times = problem(2048, 256), [CpuKernel(n) for n in (1, 4)], ([], [])
for _ in range(30):
    for kernel, seconds in zip(kernels, times):
        start = time.process_time()  # a spin costs time, a wait for other processes does not
        kernel.loss_and_gradient(*case)
        seconds.append(time.process_time() - start)
print(median(times[1]) / median(times[0]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinities")
def test_on_a_single_core_more_threads_take_hardly_more_time():
    command = [sys.executable, "-c", ON_A_SINGLE_CORE, os.path.dirname(__file__)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and float(done.stdout) < 1.5, done.stdout + done.stderr


# --- the scratch ---


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_the_address_space_of_many_threads_is_that_of_the_deepest_tile_not_of_all_circles():
    def reserved():
        with open("/proc/self/status", encoding="ascii") as status:
            return int(status.read().split("VmSize:")[1].split()[0]) / 2**20  # GB

    rng, count, side = np.random.default_rng(3), 100_000, 512
    scene = Scene.circles(
        Canvas(side, side), x=rng.uniform(0, side, count), y=rng.uniform(0, side, count), radius=np.full(count, 1.0),
        colour=np.ones((count, 3)), opacity=0.01,
    )  # fmt: skip
    target, shares = np.zeros((3, side, side), np.float32), pixel_shares(None, side, side).astype(np.float32)
    with CpuKernel(16) as kernel:
        kernel.loss_and_gradient(*problem())  # starts the threads, each with a stack
        before = reserved()
        kernel.loss_and_gradient(scene.rows, scene.kinds, scene.canvas, target, shares)
        assert reserved() - before < 0.5  # all circles of all threads: 6 GB
