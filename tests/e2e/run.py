#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""End-to-end tests of tenantnat in network namespaces. Needs root, scapy, ethtool, bpftool."""
import argparse
import concurrent.futures
import importlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import case                                         # noqa: E402
from lab import OUTSIDE, ROUTERS, VARIANTS, Lab     # noqa: E402
from media import NEEDS                             # noqa: E402
from net import end_with_parent, private_machine    # noqa: E402
from sniffer import faults, told                    # noqa: E402
from traffic import ping                            # noqa: E402

TOPICS = """
    talk guard accept ends counters change apply inside join announce lease detach lock errors scale six
    hairpin icmp conntrack mtu path stun fragments control offload vlan dispatcher check doctor
    kill power many beside restore agent metrics world monitor history trace faults forwarding window
    unreachable hostile groups uplink handover interrupt partial definitions schema view json undo
    progress init neighbours own reject vrf flows hosts etcd failover cluster members chaos neutron mac
    stream elected graph behind page names journal pages takeover ovn prefix
""".split()
# what runs on other kinds of shared interfaces than veth too, with the hooks that these have
MEDIA_TOPICS = ["talk", "guard", "six", "hairpin", "icmp"]
MEDIA_HOOKS = ["tc", "xdp-generic"]
# what runs once more with packets through the stack, with these hooks
STACK_TOPICS = """
    talk guard accept ends counters six hairpin icmp mtu path fragments offload uplink own reject
    failover mac prefix
""".split()
STACK_HOOKS = ["tc", "xdp"]
# with clsact the programs are those of tc: what is about how they are attached runs with it too
CLSACT_TOPICS = """
    talk guard change apply detach restore agent world hairpin icmp vlan counters
""".split()
# what is hardly about the programs runs with these hooks
LOOSE_TOPICS, LOOSE_HOOKS = "lease trace faults monitor check".split(), ["tc", "xdp"]
# What runs @once of these takes long, and has labs of its own, which run beside the others.
OWN_LABS = [topics.split() for topics in (
    "elected stream failover takeover neutron ovn page names",
    "members etcd cluster chaos hosts handover pages",
    "kill power interrupt",
)]
SUM = re.compile(r"(\d+) (passed|failed|skipped)(?:, |$)")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help="tests to run, or parts of their names; all when absent")
    parser.add_argument("--bin", default="build/tenantnat", help="the executable (%(default)s)")
    parser.add_argument("--foreign", metavar="FILE", default="build/foreign.bpf.o",
                        help="the object of somebody else's XDP program (%(default)s)")
    parser.add_argument("--hook", action="append", choices=VARIANTS,
                        help="as often as needed, all when absent")
    parser.add_argument("--offload", default="both", choices=["on", "off", "both"])
    parser.add_argument("--jobs", type=int, default=1, metavar="N",
                        help="labs at a time (%(default)s)")
    parser.add_argument("--lab", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--long", action="store_true",
                        help="more of what a test does many times, where it can")
    parser.add_argument("--every", action="store_true",
                        help="with --long: killed also where that leaves the same as one call before")
    parser.add_argument("--forwarding", default="all", choices=["auto", "stack", "all"],
                        help="of the routers; auto comes to fast, but for tests with netfilter")
    parser.add_argument("--medium", default="all", choices=[*NEEDS, "all"],
                        help="what the shared interface is")
    parser.add_argument("--topic", action="append", choices=TOPICS,
                        help="tests of that topic; as often as needed, all when absent")
    parser.add_argument("--strict", action="store_true", help="a test that is skipped failed")
    parser.add_argument("--list", action="store_true",
                        help="name the tests and how often each runs")
    parser.add_argument("-v", "--verbose", action="store_true",
                        help="times, and where a failed test failed")
    parser.add_argument("--keep", action="store_true",
                        help="leave the lab standing after the first failure, until interrupted")
    options = parser.parse_args()
    options.hooks = options.hook or list(VARIANTS)
    options.media = list(NEEDS) if options.medium == "all" else [options.medium]
    options.forwardings = ["auto", "stack"] if options.forwarding == "all" else [options.forwarding]
    options.offloads = ["on", "off"] if options.offload == "both" else [options.offload]
    return options


def topic(test):
    return test.__module__[len("test_"):]


def runs_on(test, medium, hook):
    media = getattr(test, "media", None) or (NEEDS if topic(test) in MEDIA_TOPICS else ["veth"])
    hooks = getattr(test, "hooks", None) or [
        each for each in VARIANTS if (each != "clsact" or topic(test) in CLSACT_TOPICS)
        and (each in LOOSE_HOOKS or topic(test) not in LOOSE_TOPICS)]
    return medium in media and hook in hooks


def own_lab(test):
    """The number of the lab that only some topics have, which is the longer the smaller it is."""
    return next((number for number, topics in enumerate(OWN_LABS) if topic(test) in topics), len(OWN_LABS))


def plan(options, tests):
    """[((hook, offload, medium, forwarding), tests)]: what runs in which lab."""
    out = []
    for where in itertools.product(options.forwardings, options.media, options.hooks,
                                   options.offloads):
        forwarding, medium, hook, offload = where
        first, stack = offload == options.offloads[0], forwarding == "stack"
        if hook == "clsact" and not first:
            continue    # only how it is attached differs from tc
        if medium != "veth" and (hook not in MEDIA_HOOKS or stack):
            continue
        if stack and hook not in STACK_HOOKS:
            continue
        wanted = {"datapath"} | ({"hook"} if first else set())
        wanted |= {"program"} if first and hook != "clsact" else set()
        once = first and hook == options.hooks[0] and not stack
        those = [t for t in tests if runs_on(t, medium, hook)
                 and (not stack or topic(t) in STACK_TOPICS)]
        labs = [[t for t in those if once and t.each == "once" and own_lab(t) == number]
                for number in range(len(OWN_LABS) + 1)]
        for some in (*labs, [t for t in those if t.each in wanted]):
            # to go there, and to leave, the programs of all routers are loaded anew
            some.sort(key=lambda t: getattr(t, "dual", False))
            out.append(((hook, offload, medium, forwarding), some))
    return [entry for entry in out if entry[1]]


def cpu_seconds():
    """Of this process, and of those that it has waited for."""
    return sum(os.times()[:4])


class Run:
    """Runs tests and keeps the count."""

    def __init__(self, options, binary, scratch):
        self.options, self.binary, self.scratch = options, binary, scratch
        self.passed = self.failed = self.skipped = 0

    def skip(self, name, where, why):
        self.skipped += 1
        self.failed += self.options.strict
        print(f"{'FAIL' if self.options.strict else 'skip'} {name} ({where}): {why}", flush=True)

    def fail(self, name, where, why):
        self.failed += 1
        print(f"FAIL {name} ({where}): {why[:500]}", flush=True)

    def judge(self, name, where, function, *args):
        start, cpu = time.monotonic(), cpu_seconds()
        try:
            function(*args)
        except case.Skip as why:
            self.skip(name, where, why)
            return True
        except Exception as error:  # pylint: disable=broad-except
            self.fail(name, where, " ".join(str(error).split()) or type(error).__name__)
            if self.options.verbose:
                traceback.print_exc(limit=-4, file=sys.stdout)
            return False
        self.passed += 1
        took = f" {time.monotonic() - start:.2f} s, {cpu_seconds() - cpu:.2f} s of a CPU"
        print(f"ok {name} ({where}){took * self.options.verbose}", flush=True)
        return True

    def lab(self, hook, offload, medium, forwarding, tests):
        where = f"{hook}, offload {offload}" + (f", {medium}" if medium != "veth" else "")
        where += f", {forwarding}" if forwarding != "auto" else ""
        try:
            NEEDS[medium]()
        except case.Skip as why:
            self.skip(f"{len(tests)} tests", where, why)
            return
        lab = Lab(self.binary, self.scratch, hook, offload, medium, forwarding)
        lab.long, lab.every = self.options.long, self.options.every
        try:
            if not self.judge("lab", where, lab.apply):
                for test in tests:
                    self.fail(test.__name__[5:], where, "there is no lab for it")
                self.keep(lab)
                return
            for test in tests:
                if not getattr(test, "dual", False):
                    lab.leave_dual_stack()
                if self.judge(test.__name__[5:], where, whole, test, lab):
                    continue
                self.keep(lab)
                lab.reset()
            some = self.options.names or self.options.topic
            least = 1000 if not some and any(topic(test) == "talk" for test in tests) else 0
            self.judge("sniffer_saw_nothing_wrong", where, quiet, lab, least)
        finally:
            lab.close()

    def keep(self, lab):
        if self.options.keep:
            print(f"kept: nsenter -t {os.getpid()} -m --wd=/, then ip netns; the program is\n"
                  f"  {' '.join(lab.cli.argv())}\ninterrupt to remove it", flush=True)
            signal.pause()


def whole(test, lab):
    """The test; and nothing of it has left by an uplink that should not, also when it failed."""
    try:
        test(lab)
    except Exception as error:
        if found := lab.leaks():
            raise AssertionError(f"{error}; meanwhile: {told(found)}") from error
        raise
    found = lab.leaks()
    assert not found, told(found)


def quiet(lab, least):
    """
    Nothing private and no bad checksum was on the shared network, during all of the tests; and
    the uplinks were still watched in the end.
    """
    for name in ROUTERS:
        ping(lab.ns[name], OUTSIDE, count=1)
    assert lab.tap.faults()[1] >= len(ROUTERS), "what routers send by their uplinks was not seen"
    count, found = 0, {}
    for frame, not_ready in lab.sniffer.frames():
        count += 1
        for fault in faults(frame, not_ready):
            found.setdefault(fault, frame)
    assert not found, told(found)
    assert count >= least, f"only {count} frames were seen"


def one_lab(number):
    """The lab of that number in a run of its own; its lines as they come, and its counts."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    # pylint: disable-next=consider-using-with
    child = subprocess.Popen([*sys.orig_argv, "--lab", str(number)], stdout=subprocess.PIPE,
                             text=True, preexec_fn=end_with_parent)
    for line in child.stdout:
        if SUM.match(line):
            counts |= {what: int(count) for count, what in SUM.findall(line)}
        else:
            print(line, end="", flush=True)
    if child.wait() and not counts["failed"]:
        print(f"FAIL lab {number} ended with {child.returncode}", flush=True)
        counts["failed"] += 1
    return counts


def side_by_side(entries, jobs):
    """The longest first, so that all end at about the same time."""
    labs = sorted(range(len(entries)), reverse=True,
                  key=lambda lab: (-max(map(own_lab, entries[lab][1])), len(entries[lab][1])))
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        all_counts = list(pool.map(one_lab, labs))
    total = {what: sum(counts[what] for counts in all_counts) for what in all_counts[0]}
    return summary(**total)


def summary(passed, failed, skipped):
    if skipped:
        print(f"{skipped} skipped")
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0)


def main():
    options = arguments()
    for each in TOPICS:
        importlib.import_module("test_" + each)
    tests = [t for t in case.TESTS if topic(t) in (options.topic or TOPICS)
             and (not options.names or any(name in t.__name__ for name in options.names))]
    if options.list:
        for test in tests:
            print(f"{test.__name__[5:]:40} {test.each:9} {(test.__doc__ or '').strip()}")
        return 0
    if not tests:
        print("no test has such a name; see --list", file=sys.stderr)
        return 2
    if os.geteuid():
        print("the end-to-end tests need root", file=sys.stderr)
        return 2
    entries = plan(options, tests)
    if options.jobs > 1 and options.lab is None and entries:
        return side_by_side(entries, options.jobs)
    with private_machine() as scratch:
        # everybody may run it there, also the user without privileges
        binary = shutil.copy(os.path.abspath(options.bin), os.path.join(scratch, "tenantnat"))
        os.environ["TN_FOREIGN"] = os.path.abspath(options.foreign)
        os.environ["TN_ETCD_DRIVER"] = os.path.join(os.path.dirname(os.path.abspath(options.bin)),
                                                    "etcd-driver")
        run = Run(options, binary, scratch)
        try:
            for where, some in entries if options.lab is None else [entries[options.lab]]:
                run.lab(*where, some)
        except KeyboardInterrupt as error:
            run.fail("the run", "interrupted", str(error))
    return summary(run.passed, run.failed, run.skipped)


if __name__ == "__main__":
    sys.exit(main())
