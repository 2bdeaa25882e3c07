"""Waiting for a condition until a deadline, and ports that are free."""

import socket
import time


def until(condition, what, seconds=30, every=0.1):
    """The first value of `condition()` that counts as true."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"after {seconds} s still not: {what}; the last look gave {value!r}"
        time.sleep(every)


def stays(condition, what, seconds):
    """Fails as soon as `condition()` is no longer true. Only for what must not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f"no longer: {what}"
        time.sleep(0.1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_open(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def end(process, seconds=20):
    """Asks a process to stop and waits until it has."""
    if process and process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except Exception:
            process.kill()
            process.wait(5)
            raise
