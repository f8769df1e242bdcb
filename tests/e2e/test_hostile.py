# SPDX-License-Identifier: GPL-2.0-only
"""
What nobody of ours has made: in state.db, in its place, in bpffs and where a namespace is named. Each
is one sentence with what to do; nothing crashes, hangs, or asks for much memory, and nothing changes.
"""
import contextlib
import ctypes
import json
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time

from agent import Agent
from case import PATIENCE, equal, once
from net import sh
from snapshot import pins, unchanged

MEMORY = 1 << 20        # KiB: what a command may take, of which sanitizers have the most
_libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)


def ends(cli, *args):
    """(exit code, stdout, stderr) of a command, which ends, by itself and soon, and is modest."""
    argv = cli.argv("--wait", "0", *args)
    with tempfile.TemporaryFile("w+", errors="replace") as out, \
            tempfile.TemporaryFile("w+", errors="replace") as err, \
            subprocess.Popen(argv, env=cli.env, stdin=subprocess.DEVNULL, stdout=out,
                             stderr=err) as run:
        end = time.monotonic() + 30 * PATIENCE
        pid = 0
        while not pid and time.monotonic() < end:
            pid, status, used = os.wait4(run.pid, os.WNOHANG)
            time.sleep(0 if pid else 0.002)
        if not pid:
            run.kill()
            raise AssertionError(f"tenantnat {' '.join(args)} hangs")
        run.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        printed, said = out.read(), err.read()
    assert run.returncode in (0, 1, 2), \
        f"tenantnat {' '.join(args)}: exit {run.returncode}: {said[-400:]}"
    assert "Sanitizer" not in said and "runtime error" not in said, said[-3000:]
    assert "out of memory" not in said, f"tenantnat {' '.join(args)} asks for too much"
    assert used.ru_maxrss < MEMORY, f"tenantnat {' '.join(args)}: {used.ru_maxrss} KiB"
    return run.returncode, printed, said


def refused(cli, *args, words=()):
    """It fails with one sentence that has these words."""
    code, _, said = ends(cli, *args)
    equal(code, 1, f"exit code of {args} ({said.strip()[:300]})")
    equal(said.count("\n"), 1, f"lines on stderr of {args}: {said!r}")
    for word in words:
        assert word in said, f"{args}: no {word!r} in: {said}"


def commands(lab):
    """Those that read the state."""
    path = lab.write(lab.definitions(), "hostile.yaml")
    return [["map", "list"], ["show"], ["stats"], ["check"], ["restore"], ["announce"],
            ["apply", "-f", path, "--dry-run"], ["apply", "-f", path], ["detach", "--all"],
            ["agent"]]


# ---------------------------------------------------------------- namespaces

def special_places(scratch):
    """{path: what it is} of what is no network namespace."""
    fifo = os.path.join(scratch, "fifo")
    link = os.path.join(scratch, "link-to-fifo")
    if not os.path.exists(fifo):
        os.mkfifo(fifo)
        os.symlink(fifo, link)
    return {fifo: "a FIFO", link: "a FIFO", scratch: "a directory", "/dev/zero": "a device",
            "/etc/passwd": "a file", "/proc/self/ns/mnt": "a namespace of another kind"}


@once
def test_hostile_namespaces(lab):
    """None of them is opened, be it in a file or in force already."""
    places = special_places(lab.scratch)
    os.symlink(os.path.join(lab.scratch, "fifo"), "/run/netns/tn-fifo")
    try:
        for place, what in {**places, "tn-fifo": "a FIFO"}.items():
            defs = lab.definitions().having(lab.green_tenant())
            defs["green"].router["netns"] = place
            path = lab.write(defs, "place.yaml")
            for more in ([], ["--dry-run"]):
                refused(lab.cli, "apply", "-f", path, *more, words=("green", what, "netns"))
        # one that was good when it was applied
        name = "/run/netns/tn-gone"
        os.symlink(f"/run/netns/{lab.green.name}", name)
        defs["green"].router["netns"] = "tn-gone"
        lab.apply(defs)
        os.unlink(name)
        os.mkfifo(name)
        try:
            _, _, said = ends(lab.cli, "restore")
            assert f"{name} is a FIFO" in said, said
            for words in (["show"], ["check"], ["doctor"], ["stats"], ["announce"]):
                ends(lab.cli, *words)
            with Agent(lab):
                lab.blue.ip("link set shared0 down", "link set shared0 up")
        finally:
            os.unlink(name)
    finally:
        os.unlink("/run/netns/tn-fifo")
        lab.apply()


@once
def test_hostile_definitions_file(lab):
    """What may have no end is not opened, and no more is read than a file may have."""
    fifo, huge = os.path.join(lab.scratch, "definitions"), os.path.join(lab.scratch, "huge")
    os.mkfifo(fifo)
    with open(huge, "wb") as f:
        f.truncate((512 << 20) + 1)
    before = pins()
    for path, what in ((fifo, "it is a FIFO"), ("/dev/zero", "it is a device"),
                       ("/dev/null", "it is a device"), ("/", "it is a directory"),
                       (huge, f"{huge}:1:1: the file is larger than 512 MiB")):
        for words in (["apply", "-f", path], ["apply", "-n", "-f", path], ["validate", path],
                      ["diff", path], ["doctor", "-f", path]):
            code, _, said = ends(lab.cli, *words)
            lines = said.strip().splitlines()
            equal((code, len(lines)), (2, 2 if path == huge else 1), f"{words}: {said}")
            assert what in lines[0], f"{words}: {said}"
        with Agent(lab, "-f", path, log="file.log") as agent:   # which keeps what is in force
            agent.says(what)
    unchanged(before, pins(), "files that are none")


@once
def test_hostile_definitions_on_a_pipe(lab):
    """A pipe is read as it comes, by its name too, but not without an end."""
    def validate(shell, name):
        done = sh(["sh", "-c", shell, "sh", *lab.cli.argv("validate", name)], check=False)
        return done.returncode, done.stdout + done.stderr

    path = lab.write(lab.definitions(), "piped.yaml")
    for name in ("-", "/dev/stdin"):
        code, said = validate(f'(sleep 0.1; cat {path}) | "$@"', name)
        equal((code, "is valid" in said), (0, True), said)
        code, said = validate('yes | "$@"', name)
        equal((code, ":1:1: the file is larger than 512 MiB" in said), (2, True), said)
    code, said = validate('"$@" < /dev/zero', "-")
    equal((code, "U+0000" in said), (2, True), said)


# ---------------------------------------------------------------- the state directory

@contextlib.contextmanager
def copied(lab, name):
    """A tenantnat with a copy of the state, and the pins of the lab."""
    where = os.path.join(lab.scratch, name)
    shutil.rmtree(where, ignore_errors=True)
    shutil.copytree(lab.cli.state, where)
    yield lab.cli.elsewhere(state=where)
    shutil.rmtree(where)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)


THINGS = [(os.mkfifo, "a FIFO"), (os.mkdir, "a directory"), (make_socket, "a socket"),
          (lambda path: os.symlink("/dev/zero", path), "a symbolic link")]


@once
def test_hostile_state_files(lab):
    """A FIFO, a link and others in the place of state.db and what is beside it."""
    before = pins()
    for name in ("state.db", "state.db-wal", "state.db-shm", "lock", "agent"):
        for make, what in THINGS:
            with copied(lab, "files") as cli:
                path = os.path.join(cli.state, name)
                if os.path.lexists(path):
                    os.unlink(path)
                make(path)
                who = {"agent": [["agent"]],
                       "lock": [["restore"], ["agent"], ["map", "add", "blue", "10.0.0.77"]]}
                for words in who.get(name, commands(lab)):
                    refused(cli, *words, words=(path, what, "move it away"))
    unchanged(before, pins(), "files that are none")


# ---------------------------------------------------------------- values in state.db

# No constraint is in the way of these, or somebody got around it.
VALUES = [
    "UPDATE tenant SET id = 4294967295 WHERE name = 'plain'",
    "UPDATE mapping SET tenant = 4294967295 WHERE tenant = 1; "
    "UPDATE tenant SET id = 4294967295 WHERE id = 1",
    "UPDATE tenant SET name = printf('%0100d', 1) WHERE name = 'red'",
    "UPDATE tenant SET name = 'zz' || char(10) WHERE name = 'red'",
    "UPDATE router SET id = 4294967295 WHERE id = 1", "UPDATE router SET id = 0 WHERE id = 1",
    "UPDATE router SET netns = printf('%0100000d', 1)",
    "UPDATE router SET shared = printf('%0100d', 1)",
    "UPDATE inside SET interface = printf('%0100d', 1)",
    "UPDATE mapping SET name = printf('%0100d', 1) WHERE name = 'db'",
    "UPDATE mapping SET rate = 9223372036854775807, burst = 1",
    "UPDATE mapping SET shared = x'ffffffff' WHERE name = 'db'",
    "UPDATE mapping SET fixed = x'00' WHERE name = 'db'",
    "UPDATE rule SET id = 4294967295 WHERE id = 1",
    "UPDATE subnet SET prefix = '0.0.0.0/0'",
    "UPDATE pool SET prefix = '8.0.0.0/8'",
]


def change_state(cli, sql):
    with contextlib.closing(sqlite3.connect(os.path.join(cli.state, "state.db"))) as db:
        db.executescript("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF;" + sql)


@once
def test_hostile_values(lab):
    before = pins()
    for sql in VALUES:
        with copied(lab, "values") as cli:
            change_state(cli, sql)
            for words in commands(lab):
                refused(cli, *words, words=("state.db is damaged (", "backup"))
    unchanged(before, pins(), "values that are none")


# ---------------------------------------------------------------- pins

def own_pin(lab, *names):
    return os.path.join("/sys/fs/bpf/tenantnat", *names)


def pin_again(path, other):
    """What is pinned at one path, at another one too."""
    fd = _libbpf.bpf_obj_get(path.encode())
    assert fd >= 0, f"nothing at {path}"
    try:
        assert _libbpf.bpf_obj_pin(fd, other.encode()) == 0, f"cannot pin {other}"
    finally:
        os.close(fd)


def pin_map(path, kind="hash", key=4, value=8, entries=1):
    sh(["bpftool", "map", "create", path, "type", kind, "key", str(key), "value", str(value),
        "entries", str(entries), "name", "foreign"])


@contextlib.contextmanager
def instead_of(path, make):
    """For a while something else is in its place."""
    os.rename(path, path + "-kept")
    try:
        make(path)
        yield
    finally:
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        elif os.path.lexists(path):
            os.unlink(path)
        os.rename(path + "-kept", path)


def shape_of(path):
    """key, value, entries and type of a pinned map, for bpftool."""
    found = json.loads(sh(["bpftool", "-j", "map", "show", "pinned", path]).stdout)
    return {"kind": found["type"], "key": found["bytes_key"], "value": found["bytes_value"],
            "entries": found["max_entries"]}


def foreign_pins(path, program, link):
    """What may be in the place of that map."""
    shape = shape_of(path)
    yield pin_map
    yield lambda p: pin_again(program, p)
    yield lambda p: pin_again(link, p)
    yield os.mkdir
    if shape["kind"] in ("hash", "array"):
        for more in ({"value": shape["value"] + 8}, {"entries": 2 * shape["entries"]},
                     {"kind": "array" if shape["kind"] == "hash" else "hash"}):
            made = {**shape, **more}
            if made["kind"] == "array" and made["key"] != 4:
                continue
            yield lambda p, made=made: pin_map(p, **made)


def program_and_link(lab):
    top = own_pin(lab, "routers", "1")
    names = os.listdir(top)
    link = next((n for n in names if n.startswith("link")), "tc_in")
    return os.path.join(top, "tc_in"), os.path.join(top, link)


@once
def test_hostile_maps(lab):
    """Every pinned map is known by type, sizes and room before it is used."""
    program, link = program_and_link(lab)
    path = lab.write(lab.definitions(), "hostile.yaml")
    maps = own_pin(lab, "maps")
    for name in sorted(os.listdir(maps)):
        place = os.path.join(maps, name)
        for make in foreign_pins(place, program, link):
            with instead_of(place, make):
                before = pins()
                for words in (["show"], ["apply", "-f", path]):
                    refused(lab.cli, *words, words=(maps[:-5], "remove"))
                unchanged(before, pins(), f"a foreign {name}")
        with instead_of(place, pin_map):
            for words in (["stats"], ["restore"], ["detach", "--all"], ["agent"],
                          ["monitor", "--count", "1"], ["trace", "red/db", "blue/10.0.0.5:80"]):
                refused(lab.cli, *words, words=(maps[:-5], "remove"))
            ends(lab.cli, "doctor")
    for make in (pin_map, lambda p: os.mkdir(p, 0o777)):
        with instead_of(maps, make):
            for words in (["show"], ["restore"], ["detach", "--all"]):
                refused(lab.cli, *words, words=(maps, "remove"))
    lab.apply()


def replaced(top, make):
    """All pins of a router are something else; gives what is left when they are put back."""
    for name in os.listdir(top):
        os.unlink(os.path.join(top, name))
        make(os.path.join(top, name))


@once
def test_hostile_router_pins(lab):
    """Of one router: it is broken, and the next apply puts back what it can, or says what it cannot."""
    path = lab.write(lab.definitions(), "hostile.yaml")
    tops = [own_pin(lab, "routers", number) for number in ("1", "2")]
    elsewhere = own_pin(lab, "a-program")
    pin_again(os.path.join(tops[0], "tc_in"), elsewhere)
    try:
        for make in (pin_map, lambda p: pin_again(elsewhere, p), os.mkdir):
            replaced(tops[0], make)
            for words in (["show"], ["stats"], ["doctor"], ["check"], ["apply", "-f", path,
                                                                       "--dry-run"]):
                ends(lab.cli, *words)
            ends(lab.cli, "trace", "red/db", "blue/10.0.0.5:80")
            if make is not os.mkdir:
                _, out, _ = ends(lab.cli, "show")
                assert "broken" in out, out
                lab.apply()
            else:
                refused(lab.cli, "apply", "-f", path, words=(tops[0], "remove"))
                for name in os.listdir(tops[0]):
                    if os.path.isdir(os.path.join(tops[0], name)):
                        os.rmdir(os.path.join(tops[0], name))
                lab.apply()
            states = {t["tenant"]: t["router"] and t["router"]["state"]
                      for t in lab.cli.json("show")["tenants"]}
            equal(states, {"red": "attached", "blue": "attached", "plain": None}, "states")
        shutil.rmtree(tops[0])
        pin_map(tops[0])
        ends(lab.cli, "show")
        lab.cli.run("detach", "--all")
    finally:
        if os.path.exists(elsewhere):
            os.unlink(elsewhere)
        lab.apply()


# ---------------------------------------------------------------- rows

def update(path, key, value):
    fd = _libbpf.bpf_obj_get(path.encode())
    assert fd >= 0, path
    try:
        return _libbpf.bpf_map_update_elem(fd, key, value, 0)
    finally:
        os.close(fd)


def delete(path, key):
    fd = _libbpf.bpf_obj_get(path.encode())
    try:
        assert _libbpf.bpf_map_delete_elem(fd, key) == 0
    finally:
        os.close(fd)


def lookup(path, key, size):
    fd = _libbpf.bpf_obj_get(path.encode())
    value = ctypes.create_string_buffer(size)
    try:
        assert _libbpf.bpf_map_lookup_elem(fd, key, value) == 0, path
    finally:
        os.close(fd)
    return value.raw


def with_bytes(row, at, new):
    return row[:at] + new + row[at + len(new):]


# where fields lie in struct tn_router (include/tn_abi.h)
HOOK, VIA, IFINDEX, TENANT = 6, 7, 8, 40


@once
def test_hostile_rows(lab):
    """Rows of the map of routers, and of services and config, that no tenantnat writes."""
    maps = own_pin(lab, "maps")
    path = lab.write(lab.definitions(), "hostile.yaml")
    routers = os.path.join(maps, "routers")
    size = shape_of(routers)["value"]
    row = lookup(routers, b"\1\0\0\0", size)
    assert row[TENANT:TENANT + 4] in (b"red\0", b"blue"), "struct tn_router is another"
    cases = [(b"\1\0\0\0", with_bytes(row, HOOK, b"\xc8")),
             (b"\1\0\0\0", with_bytes(row, VIA, b"\xc8")),
             (b"\1\0\0\0", with_bytes(row, VIA, b"\0")),
             (b"\1\0\0\0", with_bytes(row, IFINDEX, bytes(4))),
             (b"\1\0\0\0", with_bytes(row, TENANT, b"x" * 64)),
             (b"\1\0\0\0", with_bytes(row, TENANT, b"../..\0")),
             (b"\1\0\0\0", with_bytes(row, TENANT, b"\x1b[2J\0")),
             (bytes(4), row), (b"\xff\xff\xff\xff", row), (b"\0\x10\0\0", row)]
    for key, bad in cases:
        update(routers, key, bad)
        try:
            for words in (["show"], ["stats"], ["restore"], ["apply", "-f", path], ["announce"],
                          ["detach", "--all"]):
                refused(lab.cli, *words, words=(routers, "remove"))
            ends(lab.cli, "doctor")
        finally:
            if key == b"\1\0\0\0":
                update(routers, key, row)
            else:
                delete(routers, key)
    services = os.path.join(maps, "services")
    for kind, shift in ((255, 0), (1, 63)):
        key = bytes(40) + bytes([kind, shift, 0, 0])
        update(services, key, b"\1\0\0\0" + bytes(8))
        refused(lab.cli, "apply", "-f", path, words=(services, "remove"))
        delete(services, key)
    config = os.path.join(maps, "config")
    size = shape_of(config)["value"]
    row = lookup(config, bytes(4), size)
    for at, new in ((4, b"\xff\xff\xff\xff"), (4, bytes(4)), (8, b"\xff\0\0\0"),
                    (12, b"\xff\xff\xff\xff"), (20, b"\xff\xff\xff\xff")):
        update(config, bytes(4), with_bytes(row, at, new))
        for words in (["show"], ["stats"], ["apply", "-f", path], ["map", "add", "blue",
                                                                     "10.0.0.77"]):
            refused(lab.cli, *words, words=(config, "remove"))
    update(config, bytes(4), row)
    lab.apply()


# ---------------------------------------------------------------- at random

ODD = {
    int: [0, -1, 4096, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 63 - 1, None],
    str: ["", "x" * 64, "x" * 70000, "\0", "\x1b[2J", "/dev/zero", "..", "255.255.255.255/32",
          "0.0.0.0/0", "::/0", "tcp/1-65535", "4096", None],
    bytes: [b"", bytes(4), b"\xff" * 4, bytes(16), b"\xff" * 16, b"\x7f\0\0\1", bytes(5), None],
    type(None): ["", "x" * 64, "/dev/zero", 1],
}


def bent(rng, value):
    """Another value for a column that has this one, mostly of the same type."""
    if isinstance(value, (str, bytes)) and value and rng.random() < 0.3:
        raw = bytearray(value if isinstance(value, bytes) else value.encode())
        raw[rng.randrange(len(raw))] = rng.randrange(1, 128)
        return bytes(raw) if isinstance(value, bytes) else raw.decode()
    kind = type(value) if rng.random() < 0.9 else rng.choice(list(ODD))
    return rng.choice(ODD[kind])


def bend(rng, path):
    """Some values of some rows, whatever constraints say; not all of them go in."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF")
        tables = [name for name, in db.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
        for _ in range(rng.randrange(1, 4)):
            table = rng.choice(tables)
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            rows = db.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
            if not rows:
                continue
            row, column = rng.choice(rows), rng.randrange(len(columns))
            where = " AND ".join(f"{c} IS ?" for c in columns)
            with contextlib.suppress(sqlite3.IntegrityError):
                db.execute(f"UPDATE {table} SET {columns[column]} = ? WHERE {where}",
                           (bent(rng, row[column]), *row))
        db.commit()


def flip(rng, path):
    with open(path, "r+b") as f:
        size = f.seek(0, os.SEEK_END)
        for _ in range(rng.randrange(1, 20)):
            at = rng.randrange(size)
            f.seek(at)
            old = f.read(1)
            f.seek(at)
            f.write(bytes([old[0] ^ 1 << rng.randrange(8)]))


@contextlib.contextmanager
def alone(lab):
    """A tenantnat of green alone, with a state and pins of its own."""
    defs = lab.definitions()
    defs.tenants = [lab.green_tenant()]
    cli = lab.cli.elsewhere(state=os.path.join(lab.scratch, "alone"),
                            bpffs="/sys/fs/bpf/alone")
    cli.apply(lab.write(defs, "alone.yaml"))
    shutil.copytree(cli.state, cli.state + "-good")
    try:
        yield cli
    finally:
        shutil.rmtree(cli.state)
        os.rename(cli.state + "-good", cli.state)
        cli.run("detach", "--all")
        shutil.rmtree(cli.state)


@once
def test_hostile_at_random(lab):
    """Whatever is in state.db: done, or refused. HOSTILE_SEED repeats a run, HOSTILE_RUNS prolongs it."""
    seed = int(os.environ.get("HOSTILE_SEED") or time.time_ns() % 10 ** 9)
    rng = random.Random(seed)
    print(f"hostile_at_random: HOSTILE_SEED={seed}")
    with alone(lab) as cli:
        for turn in range(int(os.environ.get("HOSTILE_RUNS") or 25)):
            shutil.rmtree(cli.state)
            shutil.copytree(cli.state + "-good", cli.state)
            (bend if turn % 4 else flip)(rng, os.path.join(cli.state, "state.db"))
            try:
                for words in (["map", "list"], ["-j", "show"], ["stats"], ["show", "history"],
                              ["apply", "-f", os.path.join(lab.scratch, "alone.yaml"), "--dry-run"],
                              ["restore"]):
                    ends(cli, *words)
            except AssertionError as e:
                raise AssertionError(f"HOSTILE_SEED={seed}, turn {turn}: {e}") from None
