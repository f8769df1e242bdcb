# SPDX-License-Identifier: GPL-2.0-only
"""Takeovers by real keepalived, again and again, under traffic; and who answers ARP requests meanwhile."""
import contextlib
import os
import statistics
import time

from case import equal, eventually, once
from ha import pair
from takeover import KINDS, SERVICE, Hosts, take_over
from test_elected import asking_for
from test_failover import only

SHORT, LONG = 2, 100        # takeovers; FAILOVERS says otherwise


@once
def test_takeover_again_and_again(lab):
    """Half of them of a host that is dead at once: no connection to a server is lost, nobody is answered by both."""
    rounds = int(os.environ.get("FAILOVERS", LONG if lab.long else SHORT))
    accept = ({"from": ["plain"], "ports": [f"tcp/{SERVICE}"]},)
    with contextlib.ExitStack() as stack:
        there = stack.enter_context(pair(lab, accept=accept, active=False))
        hosts = stack.enter_context(contextlib.closing(Hosts(there)))
        for host in there.hosts:
            host.begin()
        eventually(lambda: only(there.hosts), 60)
        time.sleep(3)
        asking = stack.enter_context(asking_for(there))
        found = {dead: [] for dead in (False, True)}
        for number in range(rounds):
            found[bool(number % 2)].append(take_over(hosts, bool(number % 2)))
        twice = [answers for answers in asking.answers if len(answers) > 1]
        if lab.long:
            show(found, asking.answers)
        equal([one["server"] for of in found.values() for one in of if one["server"] is None], [],
              "connections to a server that were lost")
        equal(twice, [], f"of {len(asking.answers)} requests, those with two answers")
        assert all(any(answers) for answers in (asking.answers[:100], asking.answers[-100:])), "nobody has answered"


def show(found, answers):
    print(f"{len(answers)} ARP requests, {sum(not a for a in answers)} without an answer, "
          f"{sum(len(a) > 1 for a in answers)} with two")
    for dead, of in found.items():
        print(f"{len(of)} x {'host dead at once' if dead else 'host gives it up'}")
        for kind, text in KINDS.items() if of else ():
            kept = sorted(one[kind] for one in of if one[kind] is not None)
            silent = f"silent {statistics.median(kept):.2f} s (median), {kept[-1]:.2f} s (most)" if kept else ""
            print(f"  {text:50} lost {len(of) - len(kept):2} of {len(of)}  {silent}")
