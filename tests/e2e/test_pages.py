# SPDX-License-Identifier: GPL-2.0-only
"""
Every shell block of README.md and docs/*.md is typed in here as it stands, in a scene that BLOCKS names; or BLOCKS
says why it cannot be. A block is known by its page and its first line. One that BLOCKS does not have fails the test,
and so does an entry without a block. Every block has a language: `text` if it is none.

To add one: find its scene in SCENES, or write one. A scene is a function that has the shell to run blocks in; the
blocks of a page in one scene run one after the other, in one directory. In a block of language `console` the lines
that begin with `$ ` or `# ` are typed in. A command that ends with exit status 1 on purpose is in SAYS_NO.
"""
import contextlib
import os
import pathlib
import pty
import re
import shutil
import tempfile
import termios
import time

import yaml

from case import equal, once
from etcd import Authority, Etcd
from net import BPFFS, Namespace, sh
from neutron import SECRET, Cloud
from test_neutron import Qrouter, password

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = [TOP / "README.md", *sorted((TOP / "docs").rglob("*.md"))]
FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.M | re.S)
SHELL = {"sh", "shell", "bash", "console"}
LANGUAGES = SHELL | {"text", "yaml", "json", "ini", "xml", "c", "sql"}


class NotRun(str):
    """Why nobody can type that in here. Reviewed, as every line of BLOCKS."""


BUILDS = NotRun("installs packages, or runs what CI runs by itself (.ci/run: make demo, make test)")
OPENSTACK = NotRun("needs an OpenStack cloud; test_neutron.py plays what its API answers")
OVN = NotRun("needs an OpenStack cloud with OVN, or runs for ever; test_ovn.py plays both")
PROXMOX = NotRun("needs Proxmox: a bridge by its tools, and a VM")
INIT = NotRun("needs systemd as the first process")
CARD = NotRun("needs a network card to spare")
QUIET = NotRun("measures for minutes, on a machine that has nothing else to do")

BLOCKS = {
    ("README.md", "sudo make demo            # installs what is missing, builds, and shows two tenants talking"): BUILDS,
    ("README.md", "sudo make deps-build  # installs the packages that the build needs"): BUILDS,
    ("README.md", "for t in red blue; do"): "first_router",
    ("README.md", "tenantnat apply --dry-run -f tenants.yaml     # prints what it would do"): "first_router",
    ("cluster.md", "tenantnat cluster join https://10.9.0.1:2379,https://10.9.0.2:2379 --ca ca.pem --cert hv1.pem "
                   "--key hv1.key --user tenantnat"): "cluster",
    ("cluster.md", "etcdctl user add root; etcdctl user add tenantnat; etcdctl role add tenantnat"): "etcd",
    ("libvirt.md", "virsh net-define red.xml"): "hypervisor",
    ("libvirt.md", "ifreload -a"): PROXMOX,
    ("libvirt.md", "ip link add br-red up type bridge"): "alone",
    ("libvirt.md", "ip link add br-shared up type bridge"): "hypervisor",
    ("libvirt.md", "ip link set eno2 master br-shared up"): CARD,
    ("libvirt.md", "ip link add vx-shared type vxlan id 100 local 192.0.2.1 dstport 4789"): "hypervisor",
    ("libvirt.md", "ip netns add red"): "hypervisor",
    ("libvirt.md", "tenantnat apply -f tenants.yaml"): "hypervisor",
    ("libvirt.md", "systemctl enable tenant-routers tenantnat-agent"): INIT,
    ("limits.md", "tests/bench/limits.py --rtt 20 --rounds 3 --seconds 40 --rate 1gbit 5gbit 10gbit --packets "
                  "--burst default"): QUIET,
    ("neutron.md", "openstack network create tnat-shared --tag tenantnat"): OPENSTACK,
    ("neutron.md", "openstack port create tnat-red --network tnat-shared"): OPENSTACK,
    ("neutron.md", "openstack security group create reach-web"): OPENSTACK,
    ("neutron.md", "tenantnat neutron --cloud mine --print      # the definitions, as a file"): "cloud",
    ("ovn.md", "openstack router set --tag tenantnat --tag tenantnat:pool=100.96.1.0/24 --tag tenantnat:host=hv1 "
               "red-router"): OPENSTACK,
    ("ovn.md", "tenantnat neutron --cloud mine --ovn --dry-run    # what would be made"): OVN,
    ("ovn.md", "R=red-router HOST=hv1"): OVN,
    ("operations.md", "journalctl -t tenantnat TENANT=blue                     # all about blue"): "first_router",
    ("operations.md", "tenantnat flows export red | ssh hv2 tenantnat flows import"): "first_router",
}
# as they stand in a block, without the comment: what is asked is answered with no
SAYS_NO = {"tenantnat trace red/web blue/db:22",
           "tenantnat cluster status"}      # a host without an agent is silent


class Shell:
    """
    An empty directory in which a user types, as root: `tenantnat` is the one that was built, with a state and maps
    of its own, and `ssh HOST` runs the command here, with those of that host. `host`: what this one is called;
    `secret`: he sits at a terminal, and types that where a password is asked for.
    """

    def __init__(self, lab, host=None, secret=None, **env):
        self.under = ["unshare", "--uts", "sh", "-c", f'hostname {host} && exec "$@"', "--"] if host else []
        self.secret = secret
        self.home = tempfile.mkdtemp(dir=lab.scratch)
        self.bin = os.path.join(self.home, ".bin")
        os.mkdir(self.bin)
        self.command("tenantnat", f'host=${{TN_PAGE_HOST:-here}}\nexec {lab.cli.binary} --state {self.home}/.state-$host '
                                 f'--bpffs {BPFFS}/page-$host "$@"\n')
        self.command("ssh", 'export TN_PAGE_HOST=$1\nshift\nexec "$@"\n')
        self.env = {**os.environ, "HOME": self.home, "PATH": f"{self.bin}:{os.environ['PATH']}", **env}

    def command(self, name, text):
        """A script that is found before what the machine has by that name."""
        path = os.path.join(self.bin, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n" + text)
        os.chmod(path, 0o755)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for host in "here", "hv2":
            self.run(f"TN_PAGE_HOST={host} tenantnat detach --all || true")
        shutil.rmtree(self.home)

    def put(self, name, text):
        with open(os.path.join(self.home, name), "w", encoding="utf-8") as f:
            f.write(text)

    def run(self, text):
        """A command that fails is an exception that says what it said."""
        argv = [*self.under, "bash", "-e", "-o", "pipefail", "-c", text]
        if not self.secret:
            sh(argv, env=self.env, cwd=self.home)
            return
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.home)
            os.execvpe(argv[0], argv, self.env)
        said = self._answer(terminal)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            raise RuntimeError(f"{text}: exit {status}: {said}")

    def _answer(self, terminal):
        """Type the secret whenever a password is asked for; until nobody has the terminal any more."""
        said, answered = "", 0
        with contextlib.suppress(OSError), open(terminal, "rb+", buffering=0) as t:
            while data := t.read(4096):
                said += data.decode(errors="replace")
                if not re.search(r"[Pp]assword of [^\n]*: $", said[answered:]):
                    continue
                while termios.tcgetattr(t)[3] & termios.ECHO:   # what comes before may be thrown away
                    time.sleep(0.01)
                t.write(self.secret.encode() + b"\n")
                answered = len(said)
        return said


def blocks_of(page):
    """(language, text, line) of each block."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        indent, language, body = found.groups()
        yield (language.split() or [""])[0], re.sub(f"^{indent}", "", body, flags=re.M), text.count("\n", 0, found.start()) + 1


def key_of(page, text):
    return page.name, text.split("\n", 1)[0]


def typed(language, text):
    """What a user types of a block."""
    lines = text.splitlines()
    if language == "console":
        lines = [line[2:] for line in lines if line[:2] in ("$ ", "# ")]
    out = []
    for line in lines:
        command, hash_, comment = line.partition("  #")
        no = command.strip() in SAYS_NO
        out.append(f"{command} || test $? = 1 {hash_}{comment}" if no else line)
    return "\n".join(out) + "\n"


# ---------------------------------------------------------------- scenes

@contextlib.contextmanager
def first_router(lab):
    """What README's first router has made; the file is the block of YAML there. Removed as it says there."""
    files = [text for language, text, _ in blocks_of(TOP / "README.md") if language == "yaml"]
    with Shell(lab) as shell:
        shell.put("tenants.yaml", files[0])
        try:
            yield shell
        finally:
            shell.run("tenantnat detach --all || true\n"
                      "for ns in red blue red-vm blue-vm; do ip netns del $ns || true; done")


def made(shell, name, scene):
    """Type in what a page has of that scene, for blocks that begin where it ends."""
    for page in PAGES:
        for language, text, _ in blocks_of(page):
            if page.name == name and BLOCKS.get(key_of(page, text)) == scene:
                shell.run(typed(language, text))


@contextlib.contextmanager
def cloud(lab):
    """A Neutron with two routers, which are on this host, `node1`; and clouds.yaml with a cloud `mine`."""
    made = [Namespace("page-wire")]
    made[0].ip("link add br0 type bridge", "link set br0 up")
    try:
        with Cloud(SECRET) as there, Shell(lab, host="node1", OS_CLOUD="", OS_CLIENT_CONFIG_FILE="",
                                           OS_CLIENT_SECURE_FILE="") as shell:
            there.hosted = {agent: [r for r in routers if not r["ha"]] for agent, routers in there.hosted.items()}
            there.drop("ports", "1000002d")     # the second VM of each, which is not here
            there.drop("ports", "10000030")
            made += [Qrouter(there, begin, made[0]) for begin in ("10000012", "10000013")]
            shell.put("clouds.yaml", yaml.safe_dump({"clouds": {"mine": password(there)}}))
            yield shell
    finally:
        for ns in made:
            ns.remove()


@contextlib.contextmanager
def etcd(lab):
    """An etcd with TLS at 10.9.0.1 and 10.9.0.2, the certificates of a host, and nobody who may use it yet."""
    addresses = ["10.9.0.1", "10.9.0.2"]
    ca = Authority(os.path.join(lab.scratch, "page-ca"), "ca")
    cert, key = ca.sign("etcd", addresses)
    there = Etcd(lab, members=2, tls={"cert": cert, "key": key, "client": cert, "client_key": key})
    for member, address in zip(there.members, addresses):
        there.ns.ip(f"addr add {address}/32 dev lo")
        member.url = f"https://{address}:2379"
    with there, Shell(lab, secret="geheim", ETCDCTL_ENDPOINTS=there.urls, ETCDCTL_CACERT=ca.file) as shell:
        shell.under = ["nsenter", f"--net={there.ns.path}"]
        for name, path in zip(("ca.pem", "hv1.pem", "hv1.key"), (ca.file, *ca.sign("hv1", addresses))):
            shutil.copy(path, os.path.join(shell.home, name))
        os.chmod(os.path.join(shell.home, "hv1.key"), 0o600)
        yield shell


@contextlib.contextmanager
def cluster(lab):
    """The same, when what the page says about setting it up was typed in."""
    with etcd(lab) as shell:
        made(shell, "cluster.md", "etcd")
        yield shell


# What libvirt does of it: `network` is the file of the definition, and the VM is a namespace.
VIRSH = """
case $1 in
net-define) cp "$2" network ;;
net-autostart) test -s network ;;
net-start) ip link add "$(sed -n 's/.*bridge name="\\([^"]*\\)".*/\\1/p' network)" up type bridge ;;
attach-interface)
    ip netns add "$2"
    ip link add tap0 type veth peer name eth0 netns "$2"
    ip link set tap0 master "$(sed -n 's/.*bridge name="\\([^"]*\\)".*/\\1/p' network)" up
    ip -n "$2" link set eth0 up
    ip -n "$2" addr add 10.0.0.5/24 dev eth0
    ip -n "$2" route add default via 10.0.0.1 dev eth0
    ;;
*) exit 2 ;;
esac
"""


@contextlib.contextmanager
def hypervisor(lab):
    """A host with its address 192.0.2.1, and libvirt; the files are the blocks of the page."""
    files = {language: text for language, text, _ in blocks_of(TOP / "docs/libvirt.md")}
    host = Namespace("page-host")
    host.ip("link set lo up", "addr add 192.0.2.1/32 dev lo")
    try:
        with Shell(lab) as shell:
            shell.under = ["nsenter", f"--net={host.path}"]
            shell.command("virsh", VIRSH)
            shell.put("red.xml", files["xml"])
            shell.put("tenants.yaml", files["yaml"])
            yield shell
    finally:
        for name in "red", "red-web":
            sh(["ip", "netns", "del", name], check=False)
        host.remove()


@contextlib.contextmanager
def alone(lab):
    """A host with nothing at all."""
    host = Namespace("page-host")
    try:
        with Shell(lab) as shell:
            shell.under = ["nsenter", f"--net={host.path}"]
            yield shell
    finally:
        host.remove()


SCENES = {"first_router": first_router, "cloud": cloud, "etcd": etcd, "cluster": cluster, "hypervisor": hypervisor,
          "alone": alone}


# ---------------------------------------------------------------- tests

@once
def test_pages_have_only_blocks_that_are_known(_lab):
    """A new block is run, or says why not; what is said of blocks is of those that there are."""
    wrong, left = [], set(BLOCKS)
    for page in PAGES:
        for language, text, line in blocks_of(page):
            key, where = key_of(page, text), f"{page.relative_to(TOP)}:{line}"
            if language not in LANGUAGES:
                wrong.append(f"{where}: a block of the language `{language}`: give one of {', '.join(sorted(LANGUAGES))}")
            elif language in SHELL and key not in BLOCKS:
                wrong.append(f"{where}: a shell block that no test runs: give it a scene in {pathlib.Path(__file__).name}")
            elif language in SHELL:
                left.discard(key)
        shown = page.read_text(encoding="utf-8")
        if len(re.findall(r"^ *```", shown, re.M)) != 2 * len(FENCE.findall(shown)):
            wrong.append(f"{page.relative_to(TOP)}: a block does not end as it begins")
    wrong += [f"{page}: there is no block `{first}` any more" for page, first in sorted(left)]
    unknown = {how for how in BLOCKS.values() if not isinstance(how, NotRun)} - set(SCENES)
    equal((wrong, unknown), ([], set()), "blocks of the pages")


@once
def test_pages_can_be_typed_in(lab):
    for page in PAGES:
        for name, scene in SCENES.items():
            here = [(language, text) for language, text, _ in blocks_of(page)
                    if language in SHELL and BLOCKS.get(key_of(page, text)) == name]
            if not here:
                continue
            with scene(lab) as shell:
                if name == "first_router" and page.name != "README.md":
                    made(shell, "README.md", name)
                for language, text in here:
                    shell.run(typed(language, text))
