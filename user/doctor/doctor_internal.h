/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of doctor.h have in common, and nobody else's business. */
#ifndef TN_DOCTOR_INTERNAL_H
#define TN_DOCTOR_INTERNAL_H

#include "doctor/doctor.h"

/*
 * One more finding of whom `out` is about just now, with what was seen. `interface` NULL: it is not
 * about one. The list owns it; good until the next.
 */
struct diagnosed *diagnosis_add(struct diagnosis *out, enum finding_id id, enum severity severity,
				const char *interface, const char *seen, ...)
	__attribute__((format(printf, 5, 6)));
/* What is to be done about it, if possible a command. Once for each. */
void remedy(struct diagnosed *f, const char *text, ...) __attribute__((format(printf, 2, 3)));
/* Both from an error, which says what is wrong, and behind its first semicolon what to do. */
void diagnosis_add_error(struct diagnosis *out, enum finding_id id, enum severity severity,
			 const struct error *err);

/* As a remedy. */
#define APPLY_AGAIN "run apply again with your definitions file"

/* The command that sets net/FAMILY/conf/INTERFACE/NAME of that router, as a remedy of `f`, which is
 * returned. */
struct diagnosed *set_sysctl(const struct router_report *r, struct diagnosed *f, const char *family,
			     const struct port *p, const char *name, long value);

/* Where packets go: the parts of doctor_router() for these. `shared`: that interface it is. */
void doctor_forwarding(const struct router_report *r, const struct port *p, struct diagnosis *out);
void doctor_forwarding_v6(const struct router_report *r, struct diagnosis *out);
void doctor_rp_filter(const struct router_report *r, const struct port *p, bool shared,
		      struct diagnosis *out);
void doctor_routes(const struct router_report *r, struct diagnosis *out);
/* What is attached of a router, and beside it: the part of doctor_router() for these. */
void doctor_programs(const struct router_report *r, struct diagnosis *out);
/* What netfilter and IPsec do with a router's packets: the part of doctor_router() for these. */
void doctor_netfilter(const struct router_report *r, struct diagnosis *out);

#endif
