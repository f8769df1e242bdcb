/* SPDX-License-Identifier: GPL-2.0-only */
#include "dataplane/testrun.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

#include "dataplane/pin.h"
#include "lib/util.h"

#define KERNEL_ENOTSUPP 524 /* <linux/errno.h> of the kernel: no test run of such a program */

static int give_back(struct testrun *r, const uint8_t *out, size_t len, struct error *err)
{
	if (len > sizeof(r->frame))
		return error_set(err, "the program made a frame of %zu bytes of one of %zu", len,
				 r->len);
	memcpy(r->frame, out, len);
	r->len = len;
	return 0;
}

int testrun_tc(const char *pin, struct testrun *r, struct error *err)
{
	_cleanup_close_ int fd = pin_open(pin, PIN_PROGRAM);
	struct __sk_buff ctx = { .ifindex = r->ifindex,
				 .ingress_ifindex = r->ingress,
				 .mark = r->mark };
	uint8_t out[TESTRUN_ROOM];
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = r->frame, .data_size_in = r->len,
			    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &ctx,
			    .ctx_size_in = sizeof(ctx), .ctx_out = &ctx,
			    .ctx_size_out = sizeof(ctx), .repeat = 1);

	if (fd < 0)
		return error_set(err, "cannot open %s: %m; `tenantnat apply` attaches it", pin);
	if (bpf_prog_test_run_opts(fd, &o))
		return error_set(err, "this kernel does not run %s on a packet of ours: %m", pin);
	r->action = o.retval;
	r->mark = ctx.mark;
	return give_back(r, out, o.data_size_out, err);
}

/* In front of the frame is the metadata that the program has left. */
static size_t take_metadata(struct testrun *r, const struct xdp_md *ctx, const uint8_t *out)
{
	struct tn_meta meta = { 0 };

	if (ctx->data - ctx->data_meta >= sizeof(meta))
		memcpy(&meta, out + ctx->data_meta, sizeof(meta));
	r->translated = meta.magic == TN_META_MAGIC;
	return ctx->data;
}

int testrun_xdp(const char *pin, struct testrun *r, bool *ran, struct error *err)
{
	_cleanup_close_ int fd = pin_open(pin, PIN_PROGRAM);
	struct xdp_md ctx = { .data_end = r->len, .ingress_ifindex = r->ifindex };
	uint8_t out[TESTRUN_ROOM + sizeof(struct tn_meta)];
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = r->frame, .data_size_in = r->len,
			    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &ctx,
			    .ctx_size_in = sizeof(ctx), .ctx_out = &ctx,
			    .ctx_size_out = sizeof(ctx), .repeat = 1);
	size_t skip;

	*ran = false;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return error_set(err, "cannot open %s: %m", pin);
	/* the kernel runs no part of a dispatcher by itself */
	if (bpf_prog_test_run_opts(fd, &o))
		return errno == ENOTSUP || errno == KERNEL_ENOTSUPP
			       ? 0
			       : error_set(err,
					   "this kernel does not run %s on a packet of ours: %m",
					   pin);
	*ran = true;
	r->action = o.retval;
	skip = take_metadata(r, &ctx, out);
	if (skip > o.data_size_out)
		return error_set(err, "%s left metadata that does not fit", pin);
	return give_back(r, out + skip, o.data_size_out - skip, err);
}

static const struct map_shape flows = { BPF_MAP_TYPE_LRU_HASH, sizeof(struct tn_flow_key),
					sizeof(struct tn_flow), 0, "flows" };

bool testrun_has_flow(const char *pin, const struct tn_flow_key *key)
{
	_cleanup_close_ int fd = pin_open_map(pin, &flows);
	struct tn_flow flow;

	return fd >= 0 && !bpf_map_lookup_elem(fd, key, &flow);
}

void testrun_forget_flow(const char *pin, const struct tn_flow_key *key)
{
	_cleanup_close_ int fd = pin_open_map(pin, &flows);

	if (fd >= 0)
		bpf_map_delete_elem(fd, key);
}
