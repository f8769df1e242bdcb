/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the etcd client share, and nobody else sees but the tests. */
#ifndef TN_ETCD_INTERNAL_H
#define TN_ETCD_INTERNAL_H

#include <curl/curl.h>

#include "cluster/etcd.h"

struct etcd_endpoint {
	char *url; /* without a path */
	bool met;  /* it is an etcd that can be used, and the right one */
};

struct etcd {
	VEC(struct etcd_endpoint) endpoints;
	VEC(const char *) urls; /* of these */
	size_t at;		/* the endpoint that answered last */
	char *ca, *cert, *key, *user, *password;
	char *token; /* NULL: it is to be asked for */
	uint64_t cluster_id;
	unsigned int connect_ms, request_ms;
	CURL *curl;
	enum etcd_fault fault;
	int64_t compacted;
	char why[256];
	char local[46]; /* this host's address, as libcurl writes it */
};

/* ---- etcd_message.c: requests and answers; pure */

/* NULL: it is no base64. The caller's to free; NUL-terminated behind *size. */
char *etcd_from_base64(const char *text, size_t *size);
json_t *etcd_base64(const void *data, size_t size);
/* A number as the gateway writes it: in a string. */
json_t *etcd_number(int64_t n);

/*
 * What is in an answer. A field that is not there is 0, as in protobuf; -1: something there is not
 * what etcd writes.
 */
int etcd_read_header(const json_t *answer, struct etcd_header *out);
/* Appends to `out`. *more: there are others behind these. */
int etcd_read_range(const json_t *answer, struct etcd_kvs *out, bool *more);
/* How many keys there are in the range, those that were not asked for included. */
int etcd_read_count(const json_t *answer, int64_t *out);
int etcd_read_status(const json_t *answer, struct etcd_status *out);
int etcd_read_members(const json_t *answer, struct etcd_members *out);
int etcd_read_int(const json_t *object, const char *name, int64_t *out);
int etcd_read_id(const json_t *object, const char *name, uint64_t *out);

/* From `key`, which has `size` bytes, to the query's end. */
json_t *etcd_write_range(const struct etcd_query *q, const char *key, size_t size,
			 unsigned int limit, int64_t revision);
json_t *etcd_write_watch(const struct etcd_query *q);

/* One line of a watch. */
struct etcd_message {
	struct etcd_events events;
	bool canceled;
	int64_t compacted; /* of a canceled one: 0, or the revision */
	char *reason;	   /* of a canceled one: what etcd says, in the terms of gRPC; or NULL */
};
void etcd_message_free(struct etcd_message *m);
int etcd_read_message(const json_t *result, struct etcd_message *out);

/* ---- etcd_fault.c: what a failure means; pure */

/* What came of one request to one URL. */
struct etcd_reply {
	CURLcode code;
	char detail[CURL_ERROR_SIZE]; /* what libcurl says */
	bool sent;		      /* some of the request may have arrived */
	bool too_large;		      /* the answer; the rest was not read */
	int os_error;		      /* errno of connect(2); 0: none */
	unsigned int ms;	      /* the time that it had */
	char *certificate;	      /* of the server, PEM; NULL: not known */
	long status;		      /* of HTTP */
	VEC(char) body;
	json_t *json; /* NULL: it is none */
};

void etcd_reply_free(struct etcd_reply *r);

/* One fault, and what to say of it. */
struct etcd_verdict {
	enum etcd_fault fault;
	bool elsewhere; /* another URL may do; `text` is about this one then, without its name */
	bool token;	/* the token does not hold any more */
	char text[768];
};

/* What the errors name. */
struct etcd_manner {
	const char *url, *ca, *cert, *user; /* NULL: not given */
	bool change;			    /* not to be done twice */
	bool first;			    /* it is not known yet what is there */
};

/* Of a reply. ETCD_FINE: it is an answer. */
void etcd_judge(const struct etcd_reply *r, const struct etcd_manner *how,
		struct etcd_verdict *out);
/* Of what etcd says: the code of gRPC (0: not told), and the text. */
void etcd_judge_text(int64_t code, const char *text, const struct etcd_manner *how,
		     struct etcd_verdict *out);
/* What is at that URL, which does not know /v3/, by what it says of its version. */
void etcd_judge_version(const struct etcd_reply *r, const struct etcd_manner *how,
			struct etcd_verdict *out);
/* The error for what all URLs came to: `told` names each. */
int etcd_say_none(enum etcd_fault fault, const char *told, struct error *err);

/* ---- etcd_tls.c */

/* Whether a file has PEM certificates, and they are good now; of a private key, whether it can be
 * read. -1: a usage error. */
int etcd_check_ca(const char *file, struct error *err);
int etcd_check_cert(const char *file, const char *key, struct error *err);
/* Why a certificate (PEM) does not hold today, as "has expired on …"; "": it does. */
void etcd_certificate_date(const char *pem, size_t size, char *out, size_t room);

/* ---- etcd.c */

/* More of the body, which stays NUL-terminated. `n`, or 0: it is too large, as `r` says then. */
size_t etcd_reply_add(struct etcd_reply *r, const char *data, size_t n);

struct etcd_call {
	const char *path;
	const json_t *body; /* borrowed */
	bool change;	    /* not to be done twice */
};
/* *out is the caller's to free. */
int etcd_call(struct etcd *e, const struct etcd_call *c, json_t **out, struct error *err);
/*
 * Set `curl` up for that; what is given back is the caller's to free when that is done. `known`: as
 * our user, and of a member that knows a leader.
 */
struct curl_slist *etcd_set_up(const struct etcd *e, CURL *curl, const char *url, const char *path,
			       bool known);
/* Find an endpoint that answers, and get a token there if there is a user. */
int etcd_prepare(struct etcd *e, struct error *err);
/* The next call begins with the endpoint after this one, and looks at this one anew. */
void etcd_pass_over(struct etcd *e);
/* The token is to be asked for again. */
void etcd_forget_token(struct etcd *e);
struct etcd_manner etcd_manner(const struct etcd *e, const char *url, bool change);
/* The error of a verdict; -1. Of one that is `elsewhere` it names the URL. */
int etcd_fail(struct etcd *e, const char *url, const struct etcd_verdict *v, struct error *err);
/* The error of an answer that is none of etcd's; -1. */
int etcd_strange(struct etcd *e, bool change, struct error *err);

#endif
