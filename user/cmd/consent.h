/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether the user means a change that loses most of what is there. */
#ifndef TN_CONSENT_H
#define TN_CONSENT_H

#include "change/change.h"

struct consent {
	bool given;	    /* with --yes, or to what was asked last */
	size_t known;	    /* mappings that are lost by what it was given to */
	char question[768]; /* "": nothing is asked; CHANGE_LOSS at least */
};

/*
 * 0: the change can be made; 1: consent_ask() first, with nothing held meanwhile, and begin again;
 * -1: nobody can be asked, with a usage error.
 */
int consent_check(struct consent *k, struct change *c, struct error *err);
/* The same of a question that is there already. */
int consent_need(struct consent *k, struct error *err);
/* On the terminal. -1 with an error: no. */
int consent_ask(struct consent *k, struct error *err);

#endif
