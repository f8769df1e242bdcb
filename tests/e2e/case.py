# SPDX-License-Identifier: GPL-2.0-only
"""
Which functions are tests, and how often one runs:

    @datapath   with every hook, offloads on and off
    @hook       with every hook, once each
    @program    with every hook, once each, but not with clsact: the programs are those of tc
    @once       once, with the first hook that was asked for

Those of the topics in run.py's MEDIA_TOPICS run on every kind of shared interface; CLSACT_TOPICS and
LOOSE_TOPICS say which run with fewer hooks. @only(…) below one of these restricts where it runs.

A test takes the Lab, finds the definitions of Lab.definitions() in force, or with @dual_stack those
of Lab.dual_definitions(), and leaves them so. It fails by an exception; Skip says that this kernel
cannot run it. Tests with @dual_stack run behind all others, and else, within a file, in the order in
which they stand.

TN_PATIENCE=N makes every wait for traffic N times as long, for machines that are slow.
"""
import os
import time

TESTS = []
PATIENCE = float(os.environ.get("TN_PATIENCE", "1"))


class Skip(Exception):
    """Not to be tested here, and why."""


def _register(each):
    def decorate(function):
        function.each = each
        TESTS.append(function)
        return function
    return decorate


def only(hooks=None, media=None):
    """The test runs with these hooks, or on these kinds of shared interface, alone."""
    def decorate(function):
        function.hooks, function.media = hooks, media
        return function
    return decorate


datapath = _register("datapath")
hook = _register("hook")
program = _register("program")
once = _register("once")


def equal(got, want, what):
    assert got == want, f"{what}: {got}, not {want}"


def eventually(check, seconds=30.0):
    """
    Call until it does not raise AssertionError; what is let go of may take a moment. The time bounds
    a failure only: it is long, because others may have the CPU.
    """
    end, pause = time.monotonic() + seconds * PATIENCE, 0.005
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(pause)
            pause = min(0.05, pause * 1.5)
