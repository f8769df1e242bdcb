/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names for DNS: a mapping with a name is called TENANT-MAPPING.ZONE, in lower case, with the zone
 * that the definitions give. Which those are, and whom a name means. Pure.
 */
#ifndef TN_DNS_H
#define TN_DNS_H

#include "model/model.h"

#define DNS_LABEL_MAX 63 /* RFC 1035, section 2.3.4 */
/* With a label before it, a name has 253 characters at most. */
#define DNS_ZONE_MAX (253 - 1 - DNS_LABEL_MAX)

/*
 * Labels of letters, digits and hyphens, none of these at the ends of one, with dots between them;
 * and no IP address.
 */
bool dns_zone_valid(const char *zone);
/* In lower case, in place. */
void dns_lower(char *text);

#define DNS_FAULT 96
/*
 * Why TENANT-MAPPING is no label, for people: "it has a `_`"; with `mapping` NULL, why none of the
 * tenant's can be one. NULL: it is one. It may be in `buf`.
 */
const char *dns_fault(const char *tenant, const char *mapping, char buf[DNS_FAULT]);

/* The order of the labels TENANT-MAPPING; 0: they are the same name. */
int dns_cmp(const char *tenant, const char *mapping, const char *other_tenant,
	    const char *other_mapping);

/*
 * How a mapping of the tenant has to be called, in whatever case, for that label to be its name: a
 * part of the label. NULL: none of its mappings can have it.
 */
const char *dns_rest(const char *label, const char *tenant);

/*
 * Whether the name of a mapping, which `t` has or gets, is that of another one of the model; NULL:
 * it is not. *owner is that one's tenant.
 */
const struct mapping *dns_taken(const struct model *m, const struct tenant *t, const char *name,
				const struct tenant **owner);

/* Mappings of one tenant with one name, one of each family at most. */
struct dns_name {
	const struct tenant *tenant;
	const struct mapping *mapping;	 /* the first of them */
	struct tn_addr shared[FAMILIES]; /* unset: it has none of that family */
};

/* All names of a model, which they borrow from; each list in the order of dns_cmp(). */
struct dns_names {
	VEC(struct dns_name) list;
	VEC(struct dns_name) bad;   /* whose name cannot be a label */
	VEC(struct dns_name) twice; /* that would have the name of another one: nobody has it */
};

/* Empty without a zone. The caller's to free. */
void dns_names_make(const struct model *m, struct dns_names *out);
void dns_names_free(struct dns_names *n);
#define _cleanup_dns_names_ _cleanup_(dns_names_free)

/* Whether both have the same name. */
bool dns_same(const struct dns_name *a, const struct dns_name *b);
/* TENANT-MAPPING in lower case; `buf` is returned. */
const char *dns_label(const struct dns_name *n, char buf[DNS_LABEL_MAX + 1]);

/*
 * Whom a word means that is TENANT-MAPPING.ZONE, in whatever case and with a dot at the end or
 * without: the tenant, and in *mapping the mapping's name. NULL: it is no name of the zone.
 */
const struct tenant *dns_find(const struct model *m, const char *word, const char **mapping);

#endif
