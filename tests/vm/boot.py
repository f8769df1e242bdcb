#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Run a command under another kernel: boots an unpacked kernel (kernel.sh) in qemu, with this
machine's files as a root file system that forgets what is written. The command is run as root in
the current directory; what it prints is printed here, and its exit status becomes ours.
3: the guest said none, because it hung, crashed or did not boot.

    boot.py --kernel build/kernels/6.1 -- uname -r

The guest has no network but what --qemu gives it, for example on a tap of this namespace

    --qemu=-netdev --qemu=tap,id=n,ifname=tap0,script=no,downscript=no \\
    --qemu=-device --qemu=virtio-net-pci,netdev=n

and no udev: the command has to say `modprobe virtio_net`. All modules of the kernel are there.
"""
import argparse
import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

NO_ANSWER = 3
MODULES = ["virtio_pci", "9pnet_virtio", "9p", "overlay"]
PR_SET_PDEATHSIG = 1

# The first process. It becomes the shell that runs the command, so that the kernel finds modprobe
# in the root directory of the command.
INIT = """#!/bin/busybox sh
b=/bin/busybox
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
for m in $($b cat /modules); do $b insmod /lib/$m; done
$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro root /host
$b mount -t tmpfs none /rw
$b mkdir /rw/upper /rw/work
$b mount -t overlay -o lowerdir=/host,upperdir=/rw/upper,workdir=/rw/work none /new
for fs in proc:/proc sysfs:/sys devtmpfs:/dev tmpfs:/run bpf:/sys/fs/bpf \\
	tracefs:/sys/kernel/tracing; do
	$b mount -t ${fs%%:*} none /new${fs#*:}
done
$b mkdir -p /new/dev/pts /new/dev/shm /new/lib/modules
$b mount -t devpts none /new/dev/pts
$b mount -t tmpfs none /new/dev/shm
$b mount --bind "/new$KERNEL_DIR/lib/modules" /new/lib/modules
$b ln -s /proc/self/fd /new/dev/fd
$b cp /run-it /new/run/init
exec $b chroot /new /bin/sh /run/init
"""

RUN = """
exec </dev/null >/dev/ttyS0 2>&1
stty -F /dev/ttyS0 raw
ip link set lo up
(cd {cwd} && exec {command})
echo $? >/dev/ttyS2
echo o >/proc/sysrq-trigger
sleep 60
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", required=True, metavar="DIR", help="where kernel.sh put it")
    parser.add_argument("--timeout", type=int, default=600, metavar="SECONDS",
                        help="the guest is ended after that (%(default)s)")
    parser.add_argument("--memory", default="2G", help="the guest's (%(default)s)")
    parser.add_argument("--qemu", action="append", default=[], metavar="ARG",
                        help="an argument for qemu; as often as needed")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE",
                        help="in the command's environment; as often as needed")
    parser.add_argument("command", nargs="+", metavar="COMMAND")
    return parser.parse_args()


def module_files(kernel):
    """The files of MODULES and of what they need, in the order of insertion."""
    version = os.listdir(os.path.join(kernel, "lib/modules"))[0]
    out = []
    for module in MODULES:
        said = subprocess.run(["/sbin/modprobe", "-d", kernel, "-S", version, "--show-depends",
                               module], capture_output=True, text=True, check=True).stdout
        out += [line.split()[1] for line in said.splitlines() if line.startswith("insmod")]
    return list(dict.fromkeys(out))


def cpio(entries):
    """A newc archive of (name, mode, content)."""
    out = bytearray()
    for inode, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")]):
        name = name.encode() + b"\0"
        fields = [inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + name
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)


def initramfs(options, kernel):
    modules = module_files(kernel)
    environment = [shlex.quote(entry) for entry in options.env]
    run = RUN.format(cwd=shlex.quote(os.getcwd()),
                     command=" ".join(["env", *environment, *map(shlex.quote, options.command)]))
    init = INIT.replace("$KERNEL_DIR", kernel)
    entries = [(name, 0o40755, b"") for name in ("bin", "lib", "host", "rw", "new")]
    for name, source in [("bin/busybox", "/bin/busybox"),
                         *(("lib/" + os.path.basename(m), m) for m in modules)]:
        with open(source, "rb") as f:
            entries.append((name, 0o100755, f.read()))
    entries += [("init", 0o100755, init.encode()), ("run-it", 0o100644, run.encode()),
                ("modules", 0o100644, "\n".join(map(os.path.basename, modules)).encode())]
    return cpio(entries)


def qemu(options, kernel, scratch):
    return ["qemu-system-x86_64", "-accel", "tcg,thread=multi",
            "-smp", "2", "-cpu", "max", "-m", options.memory, "-no-reboot", "-nodefaults",
            "-display", "none", "-kernel", kernel + "/vmlinuz", "-initrd", scratch + "/initramfs",
            "-append", "console=ttyS1 panic=-1 mitigations=off nokaslr net.ifnames=0",
            "-virtfs", "local,path=/,mount_tag=root,security_model=none,readonly=on,"
            "multidevs=remap",
            "-serial", "stdio", "-serial", f"file:{scratch}/console",
            "-serial", f"file:{scratch}/status", *options.qemu]


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def stop(signum, _frame):
    raise SystemExit(128 + signum)


def read(path):
    """What it holds; nothing if qemu did not come to make it."""
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def boot(options, kernel, scratch):
    """The command's exit status; None when the guest said none."""
    with open(scratch + "/initramfs", "wb") as f:
        f.write(initramfs(options, kernel))
    with subprocess.Popen(qemu(options, kernel, scratch), stdin=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent) as guest:
        try:
            why = guest.communicate(timeout=options.timeout)[1]
        except subprocess.TimeoutExpired:
            why = f"ended after {options.timeout} seconds"
        finally:
            guest.kill()
    status = read(scratch + "/status").strip()
    if status.isdigit():
        return int(status)
    print("\n".join(read(scratch + "/console").splitlines()[-30:]), file=sys.stderr)
    print(f"boot.py: the guest gave no answer: {why.strip() or 'it crashed'}", file=sys.stderr)
    return None


def main():
    options = arguments()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, stop)
    scratch = tempfile.mkdtemp(prefix="tenantnat-vm-")
    try:
        status = boot(options, os.path.realpath(options.kernel), scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return NO_ANSWER if status is None else status


if __name__ == "__main__":
    sys.exit(main())
