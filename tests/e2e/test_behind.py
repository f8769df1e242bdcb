# SPDX-License-Identifier: GPL-2.0-only
"""VMs behind another router inside: `inside-routes`, which are set, kept and removed as the router's own."""
import contextlib

from case import equal, hook, once
from lab import BLUE1, BLUE1_V6
from net import mount_bpffs, unmount_bpffs
from test_doctor import findings, of_routers
from test_six import dual_stack, tcp_v6
from traffic import ping, tcp

GATES = ("10.0.1.200", "fd00:11::200")
FAR, FAR_V6 = "10.8.0.5", "fd00:18::5"
SHARED, SHARED_V6 = "100.64.1.80", "fd64::1:80"
TO = ("10.8.0.0/24", "fd00:18::/64")
FOREIGN = ("10.77.0.0/24", "fd00:77::/64")
PLAN = [f"route red {to} via {gate} on lan1" for to, gate in zip(TO, GATES)]


def routes(*gates):
    return "[" + ", ".join(f'{{to: "{to}", via: "{gate}"}}' for to, gate in zip(TO, gates)) + "]"


def defs_with(lab, *gates, **more):
    both = lab.dual_definitions().mapping("red", FAR, SHARED).mapping("red", FAR_V6, SHARED_V6)
    both["red"].router.update({"inside-routes": routes(*gates), **more} if gates else more)
    return both


def there(lab, version, mark="proto 116"):
    said = lab.red.run("ip", version, "route", "show", *mark.split()).stdout
    return [line.split(" dev ")[0] for line in said.splitlines() if " via " in line]


def has(lab, wanted=True, gates=GATES):
    for version, to, gate, other in zip(("-4", "-6"), TO, gates, FOREIGN):
        equal(there(lab, version), [f"{to} via {gate}"] if wanted else [], f"ours, {version}")
        assert any(other in line for line in there(lab, version, "proto static")), \
            f"{other} is gone: a route that is not ours"


@contextlib.contextmanager
def behind(lab):
    """far, behind a gateway in red's lan1, and routes of somebody else by the same gateway."""
    try:
        with lab.beyond("gate", lab.red_lan, "far", gates=("10.0.1.200/24", "fd00:11::200/64"),
                        fars=(FAR + "/32", FAR_V6 + "/128"), route=("10.0.0.251", "fd00:10::251")
                        ) as (gate, far):
            lab.red_lan.ip("link set pgate nomaster", "link set pgate master br1")
            gate.ip("addr add 10.0.1.201/24 dev eth0", "route add default via 10.0.1.1",
                    "route add default via fd00:11::1")
            lab.red.ip(*(f"route add {to} via {via} dev lan1 proto static"
                         for to, via in zip(FOREIGN, GATES)))
            yield far
    finally:
        for to in FOREIGN:
            lab.red.run("ip", "-6" if ":" in to else "-4", "route", "del", to, check=False)
        lab.apply(lab.dual_definitions())


def talk(lab, far):
    for source, address in ((lab.blue1, SHARED), (lab.blue1, SHARED_V6), (far, BLUE1), (far, BLUE1_V6),
                            (lab.red1, SHARED), (lab.red1, SHARED_V6)):
        ping(source, address)
    tcp(lab.blue1, far, SHARED, BLUE1)
    tcp_v6(far, lab.blue1, BLUE1_V6, SHARED_V6)


@hook
@dual_stack
def test_behind_a_gateway(lab):
    """Both families; what is not ours stays, whatever comes and goes."""
    with behind(lab) as far:
        wanted = lab.write(defs_with(lab, *GATES), "behind.yaml")
        said = lab.cli.lines("apply", "--dry-run", "-f", wanted)
        for line in PLAN:
            assert "+ " + line in said, said
        has(lab, False)
        lab.cli.apply(wanted)
        has(lab)
        talk(lab, far)
        equal(lab.cli.apply(wanted), ["nothing to be done"], "apply again")
        equal(lab.cli.lines("diff", wanted), ["nothing to be done"], "diff")
        text = lab.cli.run("export").stdout
        for to, gate in zip(TO, GATES):
            assert to in text and gate in text, text
        equal(lab.cli.lines("diff", lab.put("export.yaml", text)), ["nothing to be done"], "diff of what export prints")
        # another gateway, and the same again by undo
        assert any("inside-routes" in line and "10.0.1.201" in line
                   for line in lab.apply(defs_with(lab, "10.0.1.201", GATES[1]))), "the plan"
        has(lab, gates=("10.0.1.201", GATES[1]))
        talk(lab, far)
        lab.cli.run("undo", "--yes")
        has(lab)
        # lost, and put back
        lab.red.ip(f"route del {TO[0]} proto 116", f"route del {TO[1]} proto 116")
        wrong = of_routers(findings(lab.cli, code=1))
        assert "restore" in wrong["routes", "red"]["remedy"], wrong
        equal([line[2:] for line in lab.cli.lines("restore")[:2]], PLAN, "restore")
        has(lab)
        talk(lab, far)
        lab.cli.run("detach", "red")
        has(lab, False)
        lab.cli.apply(wanted)
        has(lab)
        lab.apply(defs_with(lab))
        has(lab, False)


@once
@dual_stack
def test_behind_after_a_reboot(lab):
    """Of the kernel's nothing is left; and by an interface that is down there is no route, until it is up."""
    with behind(lab) as far:
        lab.apply(defs_with(lab, *GATES))
        unmount_bpffs()
        mount_bpffs()
        lab.red.ip(f"route del {TO[0]} proto 116", f"route del {TO[1]} proto 116")
        lab.cli.run("restore")
        has(lab)
        talk(lab, far)
        lab.red.ip("link set lan1 down")
        assert not any("inside" in line or "route" in line for line in lab.cli.lines("restore")), "while it is down"
        lab.red.ip("link set lan1 up", *(f"route replace {to} via {via} dev lan1 proto static"
                                         for to, via in list(zip(FOREIGN, GATES))[:1]))
        lab.settle("red", "lan1")
        lab.red.ip(f"route replace {FOREIGN[1]} via {GATES[1]} dev lan1 proto static")
        lab.cli.run("restore")
        has(lab)
        talk(lab, far)


@once
@dual_stack
def test_behind_a_gateway_that_is_not_there(lab):
    """One error, and nothing changes; `doctor -f` says it before."""
    path = lab.write(defs_with(lab, "192.0.2.1", GATES[1]))
    before = lab.cli.run("export").stdout
    said = lab.cli.fails("apply", "--yes", "-f", path)
    for word in ("red", "10.8.0.0/24", "192.0.2.1", "lan0 10.0.0.1/24", "lan1 10.0.1.1/24"):
        assert word in said, f"no {word} in: {said}"
    equal(lab.cli.run("export").stdout, before, "the definitions")
    said = lab.cli.run("doctor", "-f", path, code=1).stdout
    assert "192.0.2.1 is in no subnet of an inside interface" in said, said
    # what others have put there leads elsewhere
    lab.red.ip(f"route add {TO[0]} via 10.0.0.6 dev lan0")
    try:
        said = lab.cli.fails("apply", "--yes", "-f", lab.write(defs_with(lab, *GATES)))
        assert "route to 10.8.0.0/24 on lan1" in said and "inside-routes" in said, said
        equal(lab.cli.run("export").stdout, before, "the definitions")
    finally:
        lab.red.ip(f"route del {TO[0]} via 10.0.0.6 dev lan0")
        lab.apply(lab.dual_definitions())


@once
@dual_stack
def test_behind_but_on_link(lab):
    """The router has an address in the VMs' own network: it looks for them there, and doctor says so."""
    with behind(lab) as far:
        lab.red.ip("addr add 10.8.0.9/25 dev lan1")
        try:
            said = lab.cli.run("apply", "--yes", "-f", lab.write(defs_with(lab, *GATES))).stderr
            assert f"{FAR}: {GATES[0]} leads there, but lan1 has an address in the same network" in said, said
            wrong = of_routers(findings(lab.cli, code=1))
            assert "transit network" in wrong["sources", "red"]["remedy"], wrong
        finally:
            lab.red.ip("addr del 10.8.0.9/25 dev lan1")
        equal(of_routers(findings(lab.cli)), {}, "without it")
        talk(lab, far)
        # VMs in the network of the gateway: said where the definitions change, no finding for ever
        moved = defs_with(lab, *GATES).mapping("red", "10.0.1.77", "100.64.1.77")
        said = lab.cli.run("apply", "--yes", "-f", lab.write(moved)).stderr
        assert f"10.0.1.77: in the network 10.0.1.0/24 of lan1, as the gateway {GATES[0]}" in said, said
        equal(of_routers(findings(lab.cli)), {}, "doctor")
