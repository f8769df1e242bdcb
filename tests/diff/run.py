#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Differential test: generated packets through a router with nftables' stateless NAT and through
routers with tenantnat, one a hook; what comes out is compared byte by byte. Where tenantnat has to
differ is written down in explained.py, and what it has to do there instead is computed. Needs root.
"""
import argparse
import os
import shutil
import sys
import time
from collections import Counter

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
from explained import (ASTRAY, EXPLAINED, Frame, Leaving, Sight, known,  # noqa: E402
                       quotes_nothing, told)
from generate import FIXED, OWN, TO_FIXED, UPLINK            # noqa: E402
from generate import case as make_case                  # noqa: E402
from net import private_machine                         # noqa: E402
from sides import Nftables, Tenantnat                   # noqa: E402
from wire import (ETH, LEAST, UDPLITE, V4, Fault, Packet, right_sums,   # noqa: E402
                  word)

SMALL = 1300
HOOKS = ("tc", "xdp", "xdp-generic")
# (name, device, its MTU): the router answers what does not fit
LINKS = [("all links alike", None, 0), ("a small inside link", "lan0", SMALL),
         ("a small shared link", "shared0", SMALL), ("routes to the uplink", "up0", 0),
         ("from the uplink", "up", 0)]
ENDS = ("in", "out", "up")
NAMES = {"in": "on the shared network", "out": "at the VM", "up": "at the uplink"}
BATCH = 1000
FULL_SIZE = 12000    # from so many packets on, every entry of the table has to apply
SHOWN, ENOUGH = 5, 50


class Verdict:
    """What a case has to come to: the frames, the drops by reason, and the entries that say so."""

    def __init__(self):
        self.frames, self.drops, self.applied = [], Counter(), Counter()
        self.told = None    # what the sender may be told: only so many are in a second

    def drop(self, entry):
        self.drops[entry.reason] += 1
        self.applied[entry.name] += 1


def entries(kind):
    return [e for e in EXPLAINED if e.kind == kind]


ENTERS, LEAVES, CHANGES, HIDES = (entries(k) for k in ("enters", "leaves", "changes", "hides"))


def expected(case, outside, inside, uplink, astray=False):
    """The verdict on a case, by what nftables made of it; `astray`: see Side.lead_astray()."""
    verdict, see = Verdict(), Sight(case, astray)
    for entry in ENTERS:
        if entry.does(see):
            verdict.drop(entry)
            if entry.reason == "wrong-egress":
                verdict.told = told(see)
            return verdict
    frames = [Frame(end, data) for end, sent in zip(ENDS, (outside, inside, uplink))
              for data in sent]
    for frame in frames:
        leaving = Leaving(see, frame.data)
        gone = next((e for e in LEAVES if frame.end == "in" and e.does(leaving)), None)
        if gone:
            # the kernel does not send the other fragments of a packet that it had to cut
            if not verdict.drops:
                verdict.drop(gone)
            continue
        for entry in CHANGES:
            before = frame.state()
            entry.does(see, frame)
            if frame.state() != before:
                verdict.applied[entry.name] += 1
        verdict.frames.append(frame)
    return verdict


def comparable(case, nft, device):
    """
    Not what was too long for the sender's own link, nor a hairpin where the shared link is the
    small one: only nftables sends it over that; nor one that the router lends its address and
    delivers past the kernel, which would not have forwarded it any more; nor an error about a
    stranger to whom an earlier packet may have opened a flow, one for all of a protocol. Nor, with
    an uplink, one for a VM behind that, which only tenantnat turns round; and what the router
    itself says on the shared network about packets of the uplink.
    """
    if nft is None:
        return False
    see = Sight(case, device == "up0")
    if case.way == "up":
        return not any(is_routers_own(frame) for frame in nft[0])
    if about_stranger(see):
        return False
    if see.hairpin and see.packet.ttl < 2 and see.packet.src not in FIXED[see.version]:
        return False
    if see.hairpin and device == "shared0":
        return len(case.frame) <= ETH + SMALL
    if see.hairpin and device == "up0":
        return TO_FIXED[see.version][see.packet.dst] not in ASTRAY[see.version]
    return True


def about_stranger(see):
    if see.way != "out" or not see.packet or see.packet.icmp() != "error" \
            or quotes_nothing(see.packet):
        return False
    quote = see.packet.quote()
    return not known(quote.src) and quote.protocol not in LEAST and quote.protocol != UDPLITE


def is_routers_own(frame):
    at, size, version = (26, 4, 4) if word(frame, 12) == V4 else (22, 16, 6)
    return frame[at:at + size] in (*OWN[version], *UPLINK[version])


def hidden(data, applied):
    """A frame without what is not the same twice."""
    less = data
    for entry in HIDES:
        before, less = less, entry.does(data, less)
        applied[entry.name] += before != less
    return less


def compare(case, verdict, *ends):
    """What is wrong with the frames that came out of tenantnat, as text; "": nothing."""
    got = [(end, data) for end, sent in zip(ENDS, ends) for data in sent]
    if verdict.told and len(got) == 1:
        return "" if got[0] == (case.way, verdict.told) else "its sender was told something else"
    want = sorted(verdict.frames, key=lambda f: f.end)      # within an end the order counts
    got.sort(key=lambda g: g[0])
    if [f.end for f in want] != [g[0] for g in got]:
        return "other frames came out"
    for frame, (_, data) in zip(want, got):
        if not frame.equals(data):
            quiet, mine = Frame(frame.end, hidden(frame.data, Counter())), hidden(data, Counter())
            quiet.loose = frame.loose
            if not quiet.equals(mine):
                return "a frame differs"
            hidden(data, verdict.applied)
        wrong = wrong_sums(case, data)
        if wrong:
            return wrong
    return ""


def wrong_sums(case, data):
    """The third opinion: all sums computed anew are right where they were, and only there."""
    try:
        before, after = Packet(case.frame), Packet(data)
        if after.l4_len != before.l4_len or before.protocol != after.protocol:
            return ""
        # the router's own, or an answer, whose sum it left to its interface
        if after.src == before.dst or case.way == "up" and is_routers_own(data):
            return ""
        was, now = right_sums(case.frame), right_sums(data)
    except Fault:
        return ""
    return f"right sums were {sorted(was)} and are {sorted(now)}" if was != now else ""


def show(case, verdict, got, nft):
    """A case that went wrong, with all that is known about it."""
    out = [f"    packet {case.number}, {case.way}: {case.notes or 'nothing odd'}",
           f"      sent      {case.frame.hex()}"]
    for end, frames in zip(ENDS, nft):
        out += [f"      nftables, {NAMES[end]}: {f.hex()}" for f in frames]
    out += [f"      expected, {NAMES[f.end]}: {f.data.hex()}" for f in verdict.frames]
    if verdict.told:
        out.append(f"      expected, or nothing, {NAMES[case.way]}: {verdict.told.hex()}")
    for end, frames in zip(ENDS, got):
        out += [f"      tenantnat, {NAMES[end]}: {f.hex()}" for f in frames]
    said = ", ".join(f"{k} {v}" for k, v in (verdict.drops + verdict.applied).items())
    return "\n".join(out + [f"      by the list: {said or 'equal'}"])


class Run:
    """Sends, compares and counts."""

    def __init__(self, options, scratch):
        self.options, self.scratch = options, scratch
        self.passed = self.failed = 0
        self.astray = False
        self.sides = []
        self.applied = {hook: Counter() for hook in options.hooks}
        self.equal = Counter()

    def judge(self, what, faults):
        if not faults:
            self.passed += 1
            print(f"ok {what}", flush=True)
            return
        self.failed += 1
        print(f"FAIL {what}", flush=True)
        for fault in faults[:SHOWN]:
            print(fault, flush=True)
        if len(faults) > SHOWN:
            print(f"    and {len(faults) - SHOWN} more")

    def build(self):
        binary = shutil.copy(os.path.abspath(self.options.bin), os.path.join(self.scratch, "bin"))
        self.sides = [Nftables("nft")] + [Tenantnat(hook) for hook in self.options.hooks]
        for side in self.sides:
            side.prepare(self.scratch, binary)
            side.connect()

    def close(self):
        for side in self.sides:
            side.close()

    def everything(self):
        self.build()
        numbers = [self.options.case] if self.options.case is not None else \
            range(self.options.packets)
        share = -(-len(numbers) // len(LINKS))
        for at, (name, device, size) in enumerate(LINKS):
            self.astray = device == "up0"
            for side in self.sides:
                if size:
                    side.mtu(device, size)
                if self.astray:
                    side.lead_astray(True)
            part = numbers if self.options.case is not None else \
                numbers[at * share:(at + 1) * share]
            self.stretch(name, device, part)
            for side in self.sides:
                if size:
                    side.mtu(device, 1500)
                if self.astray:
                    side.lead_astray(False)
        if len(numbers) >= FULL_SIZE:
            self.judge_table()

    def stretch(self, name, device, numbers):
        """Some packets over the same links."""
        faults, sent = {hook: [] for hook in self.options.hooks}, 0
        for start in range(0, len(numbers), BATCH):
            cases = [make_case(self.options.seed, n) for n in numbers[start:start + BATCH]]
            if device == "up":
                cases = [case.from_uplink() for case in cases]
            pairs = [(case, self.sides[0].run(case.way, case.frame)) for case in cases]
            pairs = [pair for pair in pairs if comparable(*pair, device)]
            sent += len(pairs)
            for side in self.sides[1:]:
                if len(faults[side.hook]) < ENOUGH:
                    faults[side.hook] += self.batch(side, pairs)
        for hook, found in faults.items():
            self.judge(f"{sent} packets, {name} ({hook})", found)

    def batch(self, side, pairs):
        """The faults of one side with some packets, and of its count of drops."""
        before, want, faults = Counter(side.drops()), Counter(), []
        for case, nft in pairs:
            fault, verdict = self.one(side, case, nft)
            want += verdict.drops
            self.applied[side.hook] += verdict.applied
            self.equal[side.hook] += not verdict.applied
            faults += [fault] if fault else []
        counted = Counter(side.drops()) - before
        if counted != want:
            faults.append(f"    drops counted: {dict(counted)}, not {dict(want)}\n"
                          + self.first_miscounted(side, pairs))
        return faults

    def one(self, side, case, nft):
        verdict = expected(case, *nft, self.astray)
        got = side.run(case.way, case.frame)
        try:
            fault = compare(case, verdict, *got)
        except (AssertionError, Fault) as error:
            fault = str(error)
        return (f"    {fault}\n" + show(case, verdict, got, nft) if fault else ""), verdict

    def first_miscounted(self, side, pairs):
        """By halves: the packets are sent once more."""
        def wrong(part):
            before, want = Counter(side.drops()), Counter()
            for case, nft in part:
                want += self.one(side, case, nft)[1].drops
            return Counter(side.drops()) - before != want

        while len(pairs) > 1:
            half = len(pairs) // 2
            pairs = pairs[:half] if wrong(pairs[:half]) else pairs[half:]
        (case, nft), = pairs
        if not wrong(pairs):
            return "    and not when the packets are sent once more"
        return show(case, expected(case, *nft, self.astray), [], nft)

    def judge_table(self):
        """Nothing in the list is there in vain."""
        for hook, applied in self.applied.items():
            self.judge(f"every entry applies ({hook})",
                       [f"    never: {e.name}" for e in EXPLAINED if not applied[e.name]])

    def report(self):
        hooks = list(self.options.hooks)
        print("\n" + "".join(f"{h:>12}" for h in hooks) + "  how often tenantnat was to differ")
        print("".join(f"{self.equal[h]:>12}" for h in hooks) + "  not at all")
        for e in EXPLAINED:
            print("".join(f"{self.applied[h][e.name]:>12}" for h in hooks) + f"  {e.name}")
            if self.options.verbose:
                print(f"{'':{12 * len(hooks)}}    {e.kind}: {e.why}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/tenantnat", help="the executable (%(default)s)")
    parser.add_argument("--seed", default=os.environ.get("SEED") or str(time.time_ns()),
                        help="what the packets are made from (by chance, or $SEED)")
    parser.add_argument("--packets", type=int, default=int(os.environ.get("PACKETS") or FULL_SIZE),
                        help="how many (%(default)s, or $PACKETS)")
    parser.add_argument("--case", type=int, help="only the packet with this number")
    parser.add_argument("--hook", choices=[*HOOKS, "all"], default="all")
    parser.add_argument("-v", "--verbose", action="store_true",
                        help="with the reason of each explained difference")
    options = parser.parse_args()
    options.hooks = HOOKS if options.hook == "all" else [options.hook]
    return options


def main():
    options = arguments()
    if os.geteuid():
        print("the differential test needs root", file=sys.stderr)
        return 2
    # frames are to come out in the order in which they were sent: one processor for all of them
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(f"seed {options.seed}, {options.packets} packets: SEED={options.seed} "
          f"PACKETS={options.packets} repeats them", flush=True)
    with private_machine() as scratch:
        run = Run(options, scratch)
        try:
            run.everything()
        except KeyboardInterrupt as error:
            print(f"FAIL interrupted: {error}")
            run.failed += 1
        except Exception as error:  # pylint: disable=broad-except
            print(f"FAIL {type(error).__name__}: {error}")
            run.failed += 1
            raise
        finally:
            run.close()
        run.report()
    print(f"{run.passed} passed, {run.failed} failed")
    return int(run.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
