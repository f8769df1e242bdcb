/* SPDX-License-Identifier: GPL-2.0-only */
#include "neutron/neutron.h"

#include "config/config.h"
#include "config/write.h"
#include "lib/host_name.h"
#include "neutron/client.h"

static int read_cloud(const struct neutron_source *from, const char *host, struct inventory *inv,
		      struct error *err)
{
	_cleanup_cloud_ struct cloud cloud = { 0 };
	_cleanup_neutron_ struct neutron_client *client = NULL;

	if (from->url && from->cloud)
		return error_usage(err, "give --cloud or --url, not both");
	if (from->url ? cloud_of_url(from->url, &cloud, err) : cloud_find(from->cloud, &cloud, err))
		return -1;
	client = neutron_open(&cloud, err);
	return client ? neutron_read(client, host, inv, err) : -1;
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

int neutron_model(const struct neutron_source *from, struct model *out,
		  struct neutron_findings *findings, struct error *err)
{
	_cleanup_inventory_ struct inventory inv = { 0 };
	const char *host = from->host ? from->host : host_name();

	memset(out, 0, sizeof(*out));
	if (read_cloud(from, host, &inv, err) ||
	    neutron_definitions(&inv, host, out, findings, err))
		return -1;
	if (check(out, err) == 0)
		return 0;
	model_free(out);
	memset(out, 0, sizeof(*out));
	return -1;
}
