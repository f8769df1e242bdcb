/* SPDX-License-Identifier: GPL-2.0-only */
#include "neutron/neutron.h"

#include "config/config.h"
#include "config/write.h"
#include "lib/host_name.h"
#include "neutron/client.h"

struct neutron_session {
	struct cloud cloud;
	struct neutron_client *client;
	const char *host;
	struct inventory known; /* what was read last */
	uint64_t sum;		/* of that */
	bool is_known;
};

struct neutron_session *neutron_begin(const struct neutron_source *from, struct error *err)
{
	struct neutron_session *s = xzalloc(sizeof(*s));
	int ret;

	s->host = from->host ? from->host : host_name();
	if (from->url && from->cloud)
		ret = error_usage(err, "give --cloud or --url, not both");
	else if (from->url)
		ret = cloud_of_url(from->url, &s->cloud, err);
	else
		ret = cloud_find(from->cloud, &s->cloud, err);
	if (!ret)
		s->client = neutron_open(&s->cloud, err);
	if (s->client)
		return s;
	neutron_end(s);
	return NULL;
}

void neutron_end(struct neutron_session *s)
{
	if (!s)
		return;
	neutron_close(s->client);
	cloud_free(&s->cloud);
	inventory_free(&s->known);
	free(s);
}

/* What Neutron's objects have in them is not up to us: nothing goes on that no file may say. */
static int check(const struct model *m, struct error *err)
{
	_cleanup_model_ struct model back = { 0 };
	struct config_errors errors = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	int ret = f ? definitions_write(m, f, err) : error_set(err, "out of memory");

	if (f && fclose(f) && !ret)
		ret = error_set(err, "out of memory");
	if (!ret && config_parse(text, size, "neutron", &back, &errors))
		ret = error_set(err, "what Neutron has makes no valid definitions: %s",
				errors.list.v[0]);
	config_errors_free(&errors);
	return ret;
}

static int make(const struct neutron_session *s, const struct inventory *inv, struct model *out,
		struct neutron_findings *findings, struct error *err)
{
	if (neutron_definitions(inv, s->host, out, findings, err))
		return -1;
	if (check(out, err) == 0)
		return 0;
	model_free(out);
	memset(out, 0, sizeof(*out));
	return -1;
}

int neutron_model(struct neutron_session *s, struct model *out, struct neutron_findings *findings,
		  struct error *err)
{
	struct inventory inv = { 0 };
	uint64_t sum;

	memset(out, 0, sizeof(*out));
	if (neutron_read(s->client, s->host, &inv, &sum, err) ||
	    make(s, &inv, out, findings, err)) {
		inventory_free(&inv);
		return -1;
	}
	inventory_free(&s->known);
	s->known = inv;
	s->sum = sum;
	s->is_known = true;
	return 0;
}

int neutron_changed(struct neutron_session *s, struct error *err)
{
	uint64_t sum;

	if (!s->is_known)
		return 1;
	if (neutron_poll(s->client, s->host, &s->known, &sum, err))
		return -1;
	return sum != s->sum;
}
