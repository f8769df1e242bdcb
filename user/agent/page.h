/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page for people that the agent serves beside the metrics: one HTML file (user/agent/page/),
 * which reads /metrics and has nothing else. Pure.
 */
#ifndef TN_PAGE_H
#define TN_PAGE_H

#include "agent/serve.h"

/* The caller's to free, with page_free(). */
struct front page_make(void);
void page_free(struct front *f);

#endif
