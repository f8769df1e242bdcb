/* SPDX-License-Identifier: GPL-2.0-only */
/* What is wrong with the cluster that this host is in, as `cluster status` has it. */
#ifndef TN_DOCTOR_CLUSTER_H
#define TN_DOCTOR_CLUSTER_H

#include "doctor/doctor.h"
#include "lib/settings.h"

#ifndef TN_WITHOUT_CLUSTER
/* Asks etcd; adds nothing on a host that is in no cluster. */
void doctor_cluster(const struct settings *settings, struct diagnosis *out);
#else
static inline void doctor_cluster(const struct settings *settings, struct diagnosis *out)
{
	(void)settings, (void)out;
}
#endif

#endif
