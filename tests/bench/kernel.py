# SPDX-License-Identifier: GPL-2.0-only
"""BPF objects and test runs, by libbpf."""
import ctypes
import glob
import gzip
import os
import socket
import struct
import time

LIVE_FRAMES = 2         # BPF_F_TEST_XDP_LIVE_FRAMES
DRIVER_MODE = 4         # XDP_FLAGS_DRV_MODE

_libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
for _name in ("bpf_object__open_file", "bpf_object__find_program_by_name",
              "bpf_object__find_map_by_name"):
    getattr(_libbpf, _name).restype = ctypes.c_void_p


class TestRun(ctypes.Structure):
    """struct bpf_test_run_opts"""
    _fields_ = [("sz", ctypes.c_size_t), ("data_in", ctypes.c_char_p),
                ("data_out", ctypes.c_void_p), ("data_size_in", ctypes.c_uint32),
                ("data_size_out", ctypes.c_uint32), ("ctx_in", ctypes.c_void_p),
                ("ctx_out", ctypes.c_void_p), ("ctx_size_in", ctypes.c_uint32),
                ("ctx_size_out", ctypes.c_uint32), ("retval", ctypes.c_uint32),
                ("repeat", ctypes.c_int), ("duration", ctypes.c_uint32),
                ("flags", ctypes.c_uint32), ("cpu", ctypes.c_uint32),
                ("batch_size", ctypes.c_uint32)]


def _check(ret, what):
    if ret < 0:
        raise OSError(-ret, f"{what}: {os.strerror(-ret)}")
    return ret


class Object:
    """A loaded BPF object with maps of its own."""

    def __init__(self, path, entries):
        """`entries`: of maps, by name, where that is not as the source has it."""
        self.object = ctypes.c_void_p(_libbpf.bpf_object__open_file(path.encode(), None))
        if not self.object:
            raise OSError(ctypes.get_errno(), f"cannot open {path}")
        for name, most in entries.items():
            found = _libbpf.bpf_object__find_map_by_name(self.object, name.encode())
            _check(_libbpf.bpf_map__set_max_entries(ctypes.c_void_p(found), most), name)
        _check(_libbpf.bpf_object__load(self.object), f"cannot load {path}")

    def program(self, name):
        found = _libbpf.bpf_object__find_program_by_name(self.object, name.encode())
        return _check(_libbpf.bpf_program__fd(ctypes.c_void_p(found)), name)

    def map(self, name):
        return _check(_libbpf.bpf_object__find_map_fd_by_name(self.object, name.encode()), name)

    def put(self, name, key, value):
        _check(_libbpf.bpf_map_update_elem(self.map(name), struct.pack("=I", key), value, 0), name)

    def get(self, name, key, size):
        value = ctypes.create_string_buffer(size)
        _check(_libbpf.bpf_map_lookup_elem(self.map(name), struct.pack("=I", key), value), name)
        return value.raw

    def attach(self, ns, device, name):
        """To an interface of a namespace, as native XDP."""
        with ns.entered():
            index = socket.if_nametoindex(device)
            _check(_libbpf.bpf_xdp_attach(index, self.program(name), DRIVER_MODE, None),
                   f"cannot attach {name} to {device}")

    def live_frames(self, ns, name, size, frames, batch):
        """Run a program on so many frames of that size."""
        with ns.entered():
            options = TestRun(sz=ctypes.sizeof(TestRun), data_in=bytes(size), data_size_in=size,
                              repeat=frames, flags=LIVE_FRAMES, batch_size=batch)
            _check(_libbpf.bpf_prog_test_run_opts(self.program(name), ctypes.byref(options)), name)


def charges_softirqs():
    """Whether a thread's time includes that of softirqs: not with IRQ_TIME_ACCOUNTING."""
    for path, opener in (("/proc/config.gz", gzip.open),
                         (f"/boot/config-{os.uname().release}", open)):
        if os.path.exists(path):
            with opener(path, "rt", encoding="utf-8") as f:
                return "\nCONFIG_IRQ_TIME_ACCOUNTING=y" not in f.read()
    return False


class Clock:
    """
    Nanoseconds that this thread and the softirqs of a CPU have used, or where the kernel does not
    tell, those that passed.
    """

    def __init__(self, cpu):
        self.softirq = next((f"{path}/schedstat" for path in glob.glob("/proc/[0-9]*")
                             if self._name(path) == f"ksoftirqd/{cpu}"), "")
        told = charges_softirqs() and os.path.exists(self.softirq)
        self.kind = "cpu" if told else "wall"

    @staticmethod
    def _name(path):
        try:
            with open(path + "/comm", encoding="utf-8", errors="replace") as f:
                return f.read().strip()
        except OSError:
            return None     # it has ended meanwhile

    def now(self):
        if self.kind == "wall":
            return time.perf_counter_ns()
        with open(self.softirq, encoding="ascii") as f:
            return time.thread_time_ns() + int(f.read().split()[0])
