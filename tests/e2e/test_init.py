# SPDX-License-Identifier: GPL-2.0-only
"""init: a file to begin with, of the namespaces that there are."""
import os
import shutil

from case import equal, once
from net import sh
from routers import Routers

# of all namespaces of the machine, a command under this sees those that are named before the `--`
ALONE = """
set -e
mount -t tmpfs none "$0"
while [ "$1" != -- ]; do touch "$0/$1"; mount --bind "/run/netns/$1" "$0/$1"; shift; done
shift
mount --rbind "$0" /run/netns
exec "$@"
"""


def seeing(routers, *names):
    """The command line tool of a machine with those namespaces alone."""
    at = os.path.join(routers.scratch, "seen")
    os.makedirs(at, exist_ok=True)
    return routers.cli.elsewhere(state=routers.cli.state, bpffs=routers.bpffs, under=[
        "unshare", "-m", "sh", "-c", ALONE, at, *names, "--"])


@once
def test_init(lab):
    """What it writes is valid as it is, and apply would take it; it writes over nothing."""
    routers = Routers(lab, "init", 2)
    path = os.path.join(routers.scratch, "new.yaml")
    try:
        names = [ns.name for ns in routers.ns]
        cli = seeing(routers, *names)
        equal(cli.json("init"), {"subnets": ["100.64.0.0/16"], "routers": [
            {"tenant": name, "netns": name, "shared": "shared0", "inside": ["lan0"]}
            for name in names]}, "what was found")
        said = cli.run("init").stdout
        assert not os.path.exists(routers.cli.state), "it left a state behind"
        equal(cli.run("init", "-f", path).stdout, "", "with -f")
        with open(path, encoding="ascii") as f:
            equal(f.read(), said, "the file")
        equal(routers.cli.run("validate", path).stderr, "", "validate")
        plan = routers.cli.lines("apply", "--dry-run", "-f", path)
        equal([line for line in plan if "tenant" in line], [f"+ tenant {name}" for name in names],
              "the plan")
        routers.cli.apply(path)
        assert path in cli.fails("init", "-f", path, code=2), "it is not named"
        with open(path, encoding="ascii") as f:
            equal(f.read(), said, "the file once more")
        cli.fails("init", "-f", path, "--write", code=2)
        cli.fails("init", "-f", routers.scratch + "/no/directory", code=2)
    finally:
        routers.close()


@once
def test_init_of_nothing(lab):
    """Without a router the file has an example, and says so; it is valid, too."""
    routers = Routers(lab, "none", 0)
    path = os.path.join(routers.scratch, "new.yaml")
    try:
        cli = seeing(routers)
        done = cli.run("init")
        assert "looks like a router" in done.stderr and "# - name: red" in done.stdout, done
        cli.run("init", "-f", path)
        routers.cli.run("validate", path)
        # a full disk leaves no half of a file
        small = os.path.join(routers.scratch, "small")
        os.makedirs(small)
        sh(["mount", "-t", "tmpfs", "-o", "size=4k", "none", small])
        try:
            shutil.copyfile("/dev/null", small + "/zero")
            with open(small + "/zero", "wb") as f:
                f.write(bytes(4096))
            assert "No space left" in cli.fails("-q", "init", "-f", small + "/new.yaml")
            equal(os.listdir(small), ["zero"], "files")
        finally:
            sh(["umount", small])
    finally:
        routers.close()
