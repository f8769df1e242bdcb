# SPDX-License-Identifier: GPL-2.0-only
"""
Which functions are tests, and how often one runs:

    @datapath   with every hook, offloads on and off
    @hook       with every hook, once each
    @program    with every hook, once each, but not with clsact: the programs are those of tc
    @once       once, with the first hook that was asked for

A test takes the Lab, finds the definitions of Lab.definitions() in force, or with @dual_stack those
of Lab.dual_definitions(), and leaves them so. It fails by an exception. Within a file, tests run in
the order in which they stand.
"""
import time

TESTS = []


def _register(each):
    def decorate(function):
        function.each = each
        TESTS.append(function)
        return function
    return decorate


datapath = _register("datapath")
hook = _register("hook")
program = _register("program")
once = _register("once")


def equal(got, want, what):
    assert got == want, f"{what}: {got}, not {want}"


def eventually(check, seconds=2.0):
    """Call until it does not raise AssertionError; what is let go of may take a moment."""
    end = time.monotonic() + seconds
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
