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
/* a context is not here what the kernel has it for */
#define PROBED(at) \
	((__typeof__(at))_Generic((at),                                                  \
		 const struct sk_buff___tn *: bpf_cast_to_kern_ctx((void *)(at)),        \
		 const struct xdp_buff___tn *: bpf_cast_to_kern_ctx((void *)(at)),       \
		 default: (at)))
#define BPF_CORE_READ_BITFIELD_PROBED(at, field) (PROBED(at)->field)
#define READ_1(at, a)				 (PROBED(at)->a)
#define READ_2(at, a, b)			 (PROBED(at)->a->b)
#define READ_3(at, a, b, c)			 (PROBED(at)->a->b->c)
#define READ_N(at, a, b, c, n, ...)		 n
#define BPF_CORE_READ(at, ...)			 READ_N(at, __VA_ARGS__, READ_3, READ_2, READ_1)(at, __VA_ARGS__)

#endif
