/* SPDX-License-Identifier: GPL-2.0-only */
/* Nothing is fitted to a kernel here. */
#ifndef TN_FUZZ_BPF_CORE_READ_H
#define TN_FUZZ_BPF_CORE_READ_H

#include <stddef.h>

/* of a field itself, or of a type's field by its name */
#define bpf_core_field_exists(...)	   1
#define bpf_core_field_offset(type, field) offsetof(type, field)
#define bpf_core_type_exists(type)	   (sizeof(type) != 0)
#define bpf_core_type_id_kernel(type)	   0
#define BPF_CORE_READ_BITFIELD(at, field)  ((at)->field)
/* of a context, which here is not what the kernel has it for */
#define PROBED(at)				 ((__typeof__(at))bpf_cast_to_kern_ctx((void *)(at)))
#define BPF_CORE_READ_BITFIELD_PROBED(at, field) (PROBED(at)->field)
#define BPF_CORE_READ(at, field)		 (PROBED(at)->field)

#endif
