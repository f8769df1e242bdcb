/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>

#include "doctor/doctor_internal.h"

#define MIB (1024 * 1024)
/* Less than this, or than three times what it takes now, is little room for the state. */
#define SPACE_MIN (64ULL * MIB)
/* With less, no change at all can be written down. */
#define SPACE_LEAST (1ULL * MIB)
/* From so many percent of the maps on. */
#define ROOM_PERCENT 80

static bool privileged(const struct machine_report *m)
{
	return !m->missing_privileges[0];
}

static void judge_privileges(const struct machine_report *m, struct diagnosis *out)
{
	if (privileged(m))
		diagnosis_add(out, FINDING_PRIVILEGES, SEVERITY_FINE, NULL, "all that are needed");
	else
		remedy(diagnosis_add(out, FINDING_PRIVILEGES, SEVERITY_PROBLEM, NULL,
				     "this process lacks %s; what needs them is not checked",
				     m->missing_privileges),
		       "run as root");
}

static void judge_kernel(const struct machine_report *m, struct diagnosis *out)
{
	if (m->kernel_major < 6 || (m->kernel_major == 6 && m->kernel_minor < 1))
		remedy(diagnosis_add(out, FINDING_KERNEL, SEVERITY_PROBLEM, NULL,
				     "Linux %s is too old", m->kernel),
		       "boot Linux 6.1 or later");
	else
		diagnosis_add(out, FINDING_KERNEL, SEVERITY_FINE, NULL, "Linux %s", m->kernel);
	if (m->btf)
		diagnosis_add(out, FINDING_BTF, SEVERITY_FINE, NULL,
			      "/sys/kernel/btf/vmlinux is there");
	else
		remedy(diagnosis_add(out, FINDING_BTF, SEVERITY_PROBLEM, NULL,
				     "there is no /sys/kernel/btf/vmlinux"),
		       "mount sysfs, or boot a kernel with CONFIG_DEBUG_INFO_BTF");
}

static void judge_bpffs(const struct machine_report *m, struct diagnosis *out)
{
	if (!m->bpffs.set)
		diagnosis_add(out, FINDING_BPFFS, SEVERITY_FINE, NULL,
			      "mounted, and can be written to");
	else
		diagnosis_add_error(out, FINDING_BPFFS,
				    privileged(m) ? SEVERITY_PROBLEM : SEVERITY_UNCHECKED,
				    &m->bpffs);
}

static void judge_jit(const struct machine_report *m, struct diagnosis *out)
{
	if (m->jit == UNKNOWN)
		remedy(diagnosis_add(out, FINDING_JIT, SEVERITY_UNCHECKED, NULL,
				     "net.core.bpf_jit_enable cannot be read"),
		       "run as root in the first network namespace");
	else if (m->jit == 0)
		remedy(diagnosis_add(out, FINDING_JIT, SEVERITY_PROBLEM, NULL,
				     "the kernel does not compile BPF programs, and interpreted "
				     "they cannot "
				     "call its functions"),
		       "sysctl -w net.core.bpf_jit_enable=1");
	else if (m->jit_harden > 1)
		remedy(diagnosis_add(
			       out, FINDING_JIT, SEVERITY_WARNING, NULL,
			       "net.core.bpf_jit_harden is %ld: constants are blinded in root's "
			       "programs too, which makes them larger and slower",
			       m->jit_harden),
		       "sysctl -w net.core.bpf_jit_harden=1, if only root loads programs, and "
		       "then detach and apply");
	else
		diagnosis_add(out, FINDING_JIT, SEVERITY_FINE, NULL, "BPF programs are compiled");
}

static void judge_hooks(const struct machine_report *m, struct diagnosis *out)
{
	if (m->tcx == UNKNOWN)
		remedy(diagnosis_add(out, FINDING_TC, SEVERITY_UNCHECKED, NULL,
				     "the kernel does not tell"),
		       "run as root");
	else
		diagnosis_add(out, FINDING_TC, SEVERITY_FINE, NULL, "%s",
			      m->tcx ? "tcx"
				     : "clsact: no tcx in this kernel, or it was switched off");
	if (m->dispatcher == UNKNOWN)
		remedy(diagnosis_add(out, FINDING_DISPATCHER, SEVERITY_UNCHECKED, NULL,
				     "the kernel does not tell"),
		       "run as root");
	else
		diagnosis_add(
			out, FINDING_DISPATCHER, SEVERITY_FINE, NULL, "%s",
			m->dispatcher
				? "the kernel takes programs of libxdp's dispatcher"
				: "none: the kernel refuses EXT programs, so with hook xdp ours is "
				  "alone on an interface");
}

static void judge_writing(const struct machine_report *m, struct diagnosis *out)
{
	struct diagnosed *f = diagnosis_add(
		out, FINDING_STATE, privileged(m) ? SEVERITY_PROBLEM : SEVERITY_UNCHECKED, NULL,
		"%s %s, so nothing can be changed: %s", m->state,
		m->state_exists ? "can be read, but not written to" : "cannot be made",
		strerror(m->state_unwritable));

	if (!privileged(m))
		remedy(f, "run as root");
	else if (m->state_unwritable == EROFS)
		remedy(f, "`mount -o remount,rw $(findmnt -n -o TARGET -T %s)`", m->state);
	else if (m->state_unwritable == EPERM)
		remedy(f, "`chattr -R -i %s`", m->state);
	else
		remedy(f, "make it a directory of root's that can be written to, or give another "
			  "one with --state");
}

static void judge_state(const struct machine_report *m, struct diagnosis *out)
{
	uint64_t need = 3 * m->state_used > SPACE_MIN ? 3 * m->state_used : SPACE_MIN;

	if (m->state_error.set) {
		diagnosis_add_error(out, FINDING_STATE,
				    privileged(m) ? SEVERITY_PROBLEM : SEVERITY_UNCHECKED,
				    &m->state_error);
		return;
	}
	diagnosis_add(out, FINDING_STATE, SEVERITY_FINE, NULL, "%s%s", m->state,
		      m->state_exists ? " can be read" : " is not there yet: nothing was applied");
	if (m->state_unwritable)
		judge_writing(m, out);
	if (!m->state_exists)
		return;
	if (m->state_available < need)
		remedy(diagnosis_add(out, FINDING_SPACE,
				     m->state_available < SPACE_LEAST ? SEVERITY_PROBLEM
								      : SEVERITY_WARNING,
				     NULL,
				     "%llu MiB are left on the file system of %s, and its files "
				     "take %llu "
				     "MiB",
				     (unsigned long long)m->state_available / MIB, m->state,
				     (unsigned long long)m->state_used / MIB),
		       "make room there, at least %llu MiB", (unsigned long long)need / MIB);
	else
		diagnosis_add(out, FINDING_SPACE, SEVERITY_FINE, NULL, "%llu MiB are left at %s",
			      (unsigned long long)m->state_available / MIB, m->state);
}

/* More than so many lines are only counted. */
#define DRIFT_LINES 3

static void judge_drift(const struct drift *d, struct diagnosis *out)
{
	size_t minor = 0, n = 0;
	char text[600] = "";

	vec_each (line, &d->lines)
		minor += line->minor;
	for (size_t i = 0; i < d->lines.n && i < DRIFT_LINES && n < sizeof(text); i++)
		n += snprintf(text + n, sizeof(text) - n, "%s%s", n ? "; " : "",
			      d->lines.v[i].text);
	if (d->lines.n > DRIFT_LINES && n < sizeof(text))
		snprintf(text + n, sizeof(text) - n, "; and %zu more", d->lines.n - DRIFT_LINES);
	if (d->writer)
		remedy(diagnosis_add(out, FINDING_DRIFT, SEVERITY_UNCHECKED, NULL,
				     "process %d is changing it", (int)d->writer),
		       "run doctor again when it has ended");
	else if (d->error.set)
		diagnosis_add_error(out, FINDING_DRIFT, SEVERITY_UNCHECKED, &d->error);
	else if (d->lines.n)
		remedy(diagnosis_add(out, FINDING_DRIFT,
				     minor == d->lines.n ? SEVERITY_WARNING : SEVERITY_PROBLEM,
				     NULL, "restore would do this: %s", text),
		       "tenantnat restore, or run the agent, which does it whenever it is needed");
	else
		diagnosis_add(out, FINDING_DRIFT, SEVERITY_FINE, NULL, "none");
	vec_each (f, &d->failed) {
		struct error err = { 0 };

		error_set(&err, "%s", f->text);
		out->tenant = f->tenant;
		diagnosis_add_error(out, FINDING_DRIFT, SEVERITY_PROBLEM, &err);
		out->tenant = NULL;
	}
}

void drift_free(struct drift *d)
{
	vec_each (line, &d->lines)
		free(line->text);
	vec_each (f, &d->failed) {
		free(f->tenant);
		free(f->text);
	}
	vec_free(&d->lines);
	vec_free(&d->failed);
}

static void judge_maps(const struct machine_report *m, struct diagnosis *out)
{
	size_t percent = m->capacity ? 100 * m->rows / m->capacity : 0;

	if (m->maps_error.set) {
		diagnosis_add_error(out, FINDING_MAPS,
				    privileged(m) ? SEVERITY_PROBLEM : SEVERITY_UNCHECKED,
				    &m->maps_error);
		return;
	}
	if (!m->pinned) {
		diagnosis_add(out, FINDING_MAPS, SEVERITY_FINE, NULL, "none are pinned");
		return;
	}
	diagnosis_add(out, FINDING_MAPS, SEVERITY_FINE, NULL, "layout %d, as of this version",
		      TN_ABI);
	if (percent >= ROOM_PERCENT)
		remedy(diagnosis_add(out, FINDING_ROOM, SEVERITY_WARNING, NULL,
				     "%zu of %zu places are taken (%zu %%)", m->rows, m->capacity,
				     percent),
		       "`tenantnat detach --all` and then apply makes larger maps, but "
		       "interrupts traffic");
	else
		diagnosis_add(out, FINDING_ROOM, SEVERITY_FINE, NULL, "%zu of %zu places are taken",
			      m->rows, m->capacity);
}

static const char *mend(const struct machine_report *m)
{
	return m->defined ? "tenantnat restore" : "tenantnat detach --all";
}

static void judge_leftovers(const struct machine_report *m, struct diagnosis *out)
{
	if (m->leftovers[0])
		remedy(diagnosis_add(out, FINDING_LEFTOVERS, SEVERITY_WARNING, NULL,
				     "not finished by a run that was killed: %s", m->leftovers),
		       "when no other tenantnat is running: rm -r %s", m->leftovers);
	if (m->unwanted[0])
		remedy(diagnosis_add(out, FINDING_LEFTOVERS, SEVERITY_PROBLEM, NULL,
				     "programs are left at routers that no definitions want "
				     "attached: %s",
				     m->unwanted),
		       "%s", mend(m));
	else if (m->unsettled)
		remedy(diagnosis_add(out, FINDING_LEFTOVERS, SEVERITY_WARNING, NULL,
				     "the last change was cut short, and rows of it may be left in "
				     "the maps"),
		       "%s", mend(m));
	if (!m->leftovers[0] && !m->unwanted[0] && !m->unsettled)
		diagnosis_add(out, FINDING_LEFTOVERS, SEVERITY_FINE, NULL, "none");
}

/* For each VM, and of those that do not answer a second's for each router. */
static void judge_neighbour_table(const struct neighbour_table *t, const char *family,
				  struct diagnosis *out)
{
	size_t need = TN_RESOLVE_RATE * t->routers + t->mappings, size = 1;

	if (!t->routers)
		return;
	while (size < need)
		size *= 2;
	if (t->room == UNKNOWN)
		remedy(diagnosis_add(out, FINDING_NEIGHBOURS, SEVERITY_UNCHECKED, NULL,
				     "net.%s.neigh.default.gc_thresh3 cannot be read", family),
		       "run doctor in the first network namespace");
	else if (need > (size_t)t->room)
		remedy(diagnosis_add(
			       out, FINDING_NEIGHBOURS, SEVERITY_WARNING, NULL,
			       "%zu %s with %zu %s may need %zu entries of %s, and all network "
			       "namespaces together have %ld",
			       t->routers, plural(t->routers, "router", "routers"), t->mappings,
			       plural(t->mappings, "mapping", "mappings"), need, family, t->room),
		       "`sysctl -w net.%s.neigh.default.gc_thresh3=%zu`, and the same in "
		       "/etc/sysctl.d for the next boot",
		       family, size);
	else
		diagnosis_add(out, FINDING_NEIGHBOURS, SEVERITY_FINE, NULL,
			      "room for %ld entries of %s, and %zu may be needed", t->room, family,
			      need);
}

void doctor_machine(const struct machine_report *m, struct diagnosis *out)
{
	judge_privileges(m, out);
	judge_kernel(m, out);
	judge_bpffs(m, out);
	judge_jit(m, out);
	judge_hooks(m, out);
	judge_state(m, out);
	judge_drift(&m->drift, out);
	judge_maps(m, out);
	judge_neighbour_table(&m->neighbours[IPV4], "ipv4", out);
	judge_neighbour_table(&m->neighbours[IPV6], "ipv6", out);
	judge_leftovers(m, out);
}
