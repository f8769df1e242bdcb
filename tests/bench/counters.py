#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
What it costs to count packets and bytes of each mapping: routers as in bench.py with the programs
as they are, and with programs that lack this alone (uncounted.bpf.c). Each pair takes turns, each
round in the other order, after the generator of the same frames, whose cost is subtracted, and is
set up several times, because where its maps lie in memory makes a difference. A ratio is the median
of those within a round. Needs root.
"""
import argparse
import os
import shutil
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import bench                                    # noqa: E402
from kernel import Object                       # noqa: E402
from net import private_machine                 # noqa: E402

HOOKS = {"tc fast": ("tc", "fast"), "tc stack": ("tc", "stack"), "xdp fast": ("xdp", "fast")}
KINDS = "counted", "uncounted"


def cases(counts):
    """{name: (router, out, mappings)}"""
    return {f"{router} {'out' if out else 'in'}, {count:,} mappings": (router, out, count)
            for count in counts for router in HOOKS for out in (False, True)}


class Case:
    """A generator, and two routers that differ in counting."""

    def __init__(self, name, router, out, mappings, benches):
        self.name, self.paths, self.clis = name, {}, {}
        how = {"out": out, "mappings": mappings}
        self.generator = bench.Path("k-g", benches["counted"], **how)
        bench.nothing(self.generator, None)
        for kind in KINDS:
            path = self.paths[kind] = bench.Path(f"k-{kind[0]}", benches[kind], **how)
            bench.tenantnat(*HOOKS[router])(path, benches[kind])
            self.clis[kind] = benches[kind].clis[-1]

    def verify(self, frames, batch):
        """Both translate, and one of them counts it."""
        for kind, path in self.paths.items():
            path.verify(frames, batch)
            seen = sum(m[way]["packets"] for m in self.clis[kind].json("stats")["mappings"]
                       for way in ("in", "out"))
            if bool(seen) != (kind == "counted"):
                raise RuntimeError(f"{self.name}: {kind}, but {seen} packets were counted")

    def measure(self, turn, frames, batch):
        """{kind: nanoseconds a packet, "lost": the greater share}"""
        generator, _ = self.generator.measure(frames, batch)
        out = {"lost": 0}
        for kind in KINDS if turn % 2 else KINDS[::-1]:
            ns, lost = self.paths[kind].measure(frames, batch)
            out[kind], out["lost"] = ns - generator, max(lost, out["lost"])
        return out

    def close(self):
        self.generator.close()
        for kind, path in self.paths.items():
            self.clis[kind].run("detach", "--all", code=None)
            path.close()


def result(turns):
    """Figures; as in bench.py, none of what lost too much in most rounds."""
    lost = statistics.median(turn["lost"] for turn in turns)
    if lost > bench.LOST:
        return {"failed": f"{lost * 100:.1f} % did not arrive", "turns": turns}
    out = {kind: bench.quartiles([turn[kind] for turn in turns]) for kind in KINDS}
    out["ratio"] = bench.quartiles([turn["counted"] / turn["uncounted"] for turn in turns])
    return {**out, "turns": turns}


def turns_of(name, what, options, benches):
    """Of a pair that is set up for it, and taken down."""
    case = Case(name, *what, benches)
    try:
        case.verify(options.frames, options.batch)
        return [case.measure(turn, options.frames, options.batch)
                for turn in range(options.rounds)]
    finally:
        case.close()


def measure(options, benches, wanted):
    """One case after the other: what is close in time compares best."""
    found = {}
    for name, what in wanted.items():
        found[name] = result([turn for _ in range(options.setups)
                              for turn in turns_of(name, what, options, benches)])
        print(f"{len(found)} of {len(wanted)}: {name}", file=sys.stderr)
    return found


def table(about, found):
    print(bench.machine(about))
    print(f"medians of {about['setups']} setups with {about['rounds']} rounds of "
          f"{about['frames']:,} frames of 64 bytes, "
          f"{about['clock']} time; ns a packet, less the generator")
    print(f"{'':32} {'counted':>9} {'uncounted':>9} {'ratio':>7}  quartiles")
    for name, f in found.items():
        if "failed" in f:
            print(f"{name:32} failed: {f['failed']}")
            continue
        r = f["ratio"]
        print(f"{name:32} {f['counted']['ns']:9.0f} {f['uncounted']['ns']:9.0f} "
              f"{r['ns']:7.3f}  {r['low']:.3f}-{r['high']:.3f}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/tenantnat", help="the executable (%(default)s)")
    parser.add_argument("--uncounted", default="build/uncounted/tenantnat",
                        help="the one that does not count (%(default)s)")
    parser.add_argument("--object", default="build/bench.bpf.o", help="(%(default)s)")
    parser.add_argument("--setups", type=int, default=5, help="of each pair (%(default)s)")
    parser.add_argument("--rounds", type=int, default=6, help="of each setup (%(default)s)")
    parser.add_argument("--frames", type=int, default=1 << 18, help="a measurement (%(default)s)")
    parser.add_argument("--batch", type=int, default=64, help="frames at a time (%(default)s)")
    parser.add_argument("--mappings", nargs="+", type=int, default=[1000, 100000], metavar="N",
                        help="(1000 100000)")
    parser.add_argument("--only", nargs="+", metavar="PART", default=[""],
                        help="rows with this in their names")
    parser.add_argument("--json", metavar="FILE", help="all figures")
    options = parser.parse_args()
    least = min(options.setups, options.rounds, options.frames, *options.mappings)
    if least < 1 or not 1 <= options.batch <= 256:
        parser.error("numbers are at least 1, --batch at most 256")
    for path in (options.bin, options.uncounted, options.object):
        if not os.path.isfile(path):
            parser.error(f"{path} is not there; `make bench-counters` builds it")
    return options


def main():
    options = arguments()
    wanted = {name: what for name, what in cases(options.mappings).items()
              if any(part in name for part in options.only)}
    if not wanted:
        print("no row has that in its name", file=sys.stderr)
        return 2
    if os.geteuid():
        print("the benchmark needs root", file=sys.stderr)
        return 2
    with private_machine() as scratch:
        programs = Object(os.path.abspath(options.object), {})
        benches = {kind: bench.Bench(
            shutil.copy(os.path.abspath(program), os.path.join(scratch, kind)), scratch, programs)
            for kind, program in zip(KINDS, (options.bin, options.uncounted))}
        os.sched_setaffinity(0, {bench.CPU})
        found = measure(options, benches, wanted)
        about = {**bench.head(), "setups": options.setups, "rounds": options.rounds,
                 "frames": options.frames, "batch": options.batch,
                 "clock": benches["counted"].clock.kind}
    table(about, found)
    bench.save(options, {**about, "counters": found})
    return int(any("failed" in f for f in found.values()))


if __name__ == "__main__":
    sys.exit(main())
