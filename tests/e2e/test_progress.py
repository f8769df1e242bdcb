# SPDX-License-Identifier: GPL-2.0-only
"""What a person sees who waits at a terminal."""
import os
import pty
import subprocess

from case import equal, once
from defs import Definitions, Tenant
from lab import SUBNET
from routers import Routers

ERASE = "\r\x1b[K"


def on_terminal(cli, *words, term="xterm"):
    """What comes to the terminal that is stderr of a command, which has to succeed."""
    terminal, other = pty.openpty()
    with subprocess.Popen(cli.argv(*words), env={**cli.env, "TERM": term}, stderr=other,
                          stdout=subprocess.PIPE) as run:
        os.close(other)
        said = b""
        while True:
            try:
                part = os.read(terminal, 4096)
            except OSError:     # nobody has the other end any more
                break
            said += part
            if not part:
                break
        os.close(terminal)
        run.stdout.read()
    equal(run.returncode, 0, f"exit, {said!r}")
    return said.decode()


@once
def test_progress_of_an_apply(lab):
    """The probes take longer than a second: how far they are is said, on a line that is gone then."""
    routers = Routers(lab, "progress", 2)
    try:
        path = routers.write(Definitions(*(
            Tenant(name, ("10.0.0.5",), router=routers.of(number))
            for number, name in enumerate(("red", "blue"))), subnets=(SUBNET,)), "two")
        # a question to which nobody answers takes eight times as long
        slow = ["--patience", "8", "apply", "-f", path]
        said = on_terminal(routers.cli, *slow)
        assert f"{ERASE}routers probed 0 of 2" in said, f"{said!r}"
        assert said.endswith(ERASE) and "\n" not in said, f"{said!r}"
        for words, term in ((["-q"], "xterm"), ([], "dumb")):
            routers.forget()
            equal(on_terminal(routers.cli, *words, *slow, term=term), "", f"{words}, {term}")
        routers.forget()
        equal(routers.cli.run(*slow).stderr, "", "into a pipe")
    finally:
        routers.close()
