/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which of its hosts a router is active on (`active: elected`), from one host's side. For each such
 * router there is at most one key in etcd, active/TENANT, which whoever is elected has created
 * under a lease of its own; the key goes with the lease.
 *
 * Fencing is by time. What a host has been granted ends ELECTION_HOLD of the lease after it *sent*
 * the last renewal that succeeded, so before etcd can end the lease and another host can win,
 * however long messages take, and whatever this host is doing. Times are milliseconds of
 * CLOCK_BOOTTIME, which goes on while the machine is suspended; no clock of another host counts.
 *
 * This is pure: election_next() says what is to be done, and whoever does it says what came of it.
 */
#ifndef TN_ELECTION_H
#define TN_ELECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/util.h"

#define KEY_ACTIVE "active/"

/* Seconds that the lease is asked for; etcd may give more. */
#define ELECTION_TTL 9
/* Of the lease, how much may be used: the rest is for clocks, and for the kernel's own (below). */
#define ELECTION_HOLD(ms) ((ms) / 3 * 2)
/* It is renewed so often, at the most; and how long a failed request lets etcd alone. */
#define ELECTION_KEEP(ms) ((ms) / 9 * 2)
#define ELECTION_PAUSE	  500
/* Whoever could not be made active lets others try first. */
#define ELECTION_SPOILED 5000

enum seat_key {
	SEAT_UNKNOWN,
	SEAT_FREE,
	SEAT_OTHERS,
	SEAT_OURS,
	/*
	 * Ours, and to be given up. It may be deleted at any moment, by what was sent before, so it
	 * is good for nothing any more.
	 */
	SEAT_LEAVING,
};

struct seat {
	char *tenant;
	bool defined; /* by the definitions, this host is one of its hosts, */
	bool wanted;  /* and has it in order */
	enum seat_key key;
	int64_t revision; /* of etcd, as of which that is known */
	char *holder;	  /* for people: the host that has it; NULL: none, or not known */
	int64_t since;	  /* seconds since 1970, as that host said it */
	bool active;	  /* it has its address here: granted */
	uint64_t until;	  /* then that ends by itself */
	uint64_t after;	  /* it is not to be claimed before */
	bool heard;	  /* since election_read_begin() */
};

struct election {
	VEC(struct seat) seats; /* no tenant twice */
	int64_t lease;		/* 0: none */
	uint64_t ttl;
	uint64_t until;	  /* what the lease grants ends then */
	uint64_t keep_at; /* then the lease is to be renewed */
	uint64_t ask_at;  /* etcd is not to be asked before */
	bool has_read;	  /* all keys, since the watch began */
};

void election_free(struct election *e);

/*
 * The seat of that tenant, which is made if there is none. One that is not defined any more goes
 * with election_tidy(), when it is neither active nor ours. Seats move with both.
 */
struct seat *election_seat(struct election *e, const char *tenant);
void election_tidy(struct election *e);

/* In the order of their urgency. */
enum election_step {
	STEP_NONE,
	STEP_STOP,    /* take the seat's address away, and what it was granted */
	STEP_START,   /* grant until e->until, and see that the address is there */
	STEP_READ,    /* read all keys, and hear what changes from then on */
	STEP_GRANT,   /* ask for a lease */
	STEP_KEEP,    /* renew it */
	STEP_RELEASE, /* delete the key, if it is still of seat->revision */
	STEP_CLAIM,   /* create the key, under the lease, if there is none */
};

/* *seat is whom it is about; NULL for the lease, and for all keys. */
enum election_step election_next(struct election *e, uint64_t now, struct seat **seat);
/* When to ask again, if nothing happens before; UINT64_MAX: never. */
uint64_t election_due(const struct election *e);

/* What came of a step. Times are those before it was sent. */
void election_stopped(struct seat *seat);
void election_started(struct seat *seat, uint64_t until);
/* It could not be: the others are to have it. */
void election_spoiled(struct seat *seat, uint64_t now);
void election_granted(struct election *e, int64_t lease, uint64_t ttl, uint64_t sent);
void election_kept(struct election *e, uint64_t sent);
/* There is no such lease any more, nor what was under it. */
void election_expired(struct election *e);
/* `revision`: of the deletion. */
void election_released(struct seat *seat, int64_t revision);
void election_claimed(struct seat *seat, int64_t revision, const char *host, int64_t since);
/*
 * The step failed, or nobody knows whether it was done, or something else was there: what is known
 * of the keys does not hold. Also when the watch has ended.
 */
void election_failed(struct election *e, struct seat *seat, uint64_t now);

/* A key as it was read, or heard. */
struct seat_news {
	int64_t revision; /* of its last change, or deletion */
	int64_t lease;	  /* 0: it is deleted */
	bool mine;	  /* it names this host, by whatever lease */
	const char *holder;
	int64_t since;
};

void election_hear(const struct election *e, struct seat *seat, const struct seat_news *news);
/* All keys are read, as of one revision. What is not heard of in between is free at the end. */
void election_read_begin(struct election *e);
void election_read_end(struct election *e, int64_t revision);

#endif
