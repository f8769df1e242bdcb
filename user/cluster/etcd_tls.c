// SPDX-License-Identifier: GPL-2.0-only
/* Certificates are looked at before they are used, so that what is wrong with them has a name. */
#include <errno.h>
#include <gnutls/x509.h>
#include <time.h>

#include "cluster/etcd_internal.h"

static void say_time(time_t at, char *out, size_t room)
{
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(out, room, "%Y-%m-%d %H:%M UTC", &tm);
}

void etcd_certificate_date(const char *pem, size_t size, char *out, size_t room)
{
	gnutls_datum_t data = { .data = (void *)pem, .size = size };
	time_t now = time(NULL), from, until;
	gnutls_x509_crt_t crt;
	char at[64];

	*out = 0;
	if (gnutls_x509_crt_init(&crt) < 0)
		return;
	if (gnutls_x509_crt_import(crt, &data, GNUTLS_X509_FMT_PEM) >= 0) {
		from = gnutls_x509_crt_get_activation_time(crt);
		until = gnutls_x509_crt_get_expiration_time(crt);
		if (until != (time_t)-1 && until < now) {
			say_time(until, at, sizeof(at));
			snprintf(out, room, "has expired (%s)", at);
		} else if (from != (time_t)-1 && from > now) {
			say_time(from, at, sizeof(at));
			snprintf(out, room, "is not good before %s: is this host's clock right?",
				 at);
		}
	}
	gnutls_x509_crt_deinit(crt);
}

/* `out` is to be freed by gnutls_free(). */
static int load(const char *what, const char *file, gnutls_datum_t *out, struct error *err)
{
	if (gnutls_load_file(file, out) >= 0)
		return 0;
	return error_usage(err, "cannot read the %s in %s: %s", what, file,
			   errno ? strerror(errno) : "is it a file?");
}

/* Of a bundle of CAs, one may have expired. */
static int check_pem(const char *what, const char *file, bool bundle, struct error *err)
{
	gnutls_x509_crt_t *list = NULL;
	gnutls_datum_t data;
	unsigned int n = 0;
	char date[128];
	int ret = 0;

	if (load(what, file, &data, err))
		return -1;
	if (gnutls_x509_crt_list_import2(&list, &n, &data, GNUTLS_X509_FMT_PEM, 0) < 0 || !n)
		ret = error_usage(err, "%s is no %s: write it as PEM, BEGIN CERTIFICATE", file,
				  what);
	for (unsigned int i = 0; i < n; i++)
		gnutls_x509_crt_deinit(list[i]);
	gnutls_free(list);
	etcd_certificate_date((const char *)data.data, data.size, date, sizeof(date));
	if (ret == 0 && *date && (n == 1 || !bundle))
		ret = error_usage(err, "the %s in %s %s", what, file, date);
	gnutls_free(data.data);
	return ret;
}

int etcd_check_ca(const char *file, struct error *err)
{
	return check_pem("CA", file, true, err);
}

int etcd_check_cert(const char *file, const char *key, struct error *err)
{
	gnutls_certificate_credentials_t credentials;
	gnutls_datum_t data;
	int ret;

	if (check_pem("certificate", file, false, err) || load("private key", key, &data, err))
		return -1;
	gnutls_memset(data.data, 0, data.size);
	gnutls_free(data.data);
	if (gnutls_certificate_allocate_credentials(&credentials) < 0)
		return error_set(err, "cannot begin with TLS: out of memory");
	ret = gnutls_certificate_set_x509_key_file2(credentials, file, key, GNUTLS_X509_FMT_PEM,
						    NULL, GNUTLS_PKCS_PLAIN);
	gnutls_certificate_free_credentials(credentials);
	if (ret == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		return error_usage(err, "the key in %s is not that of the certificate in %s", key,
				   file);
	if (ret < 0)
		return error_usage(err,
				   "cannot use the private key in %s (%s): write it as PEM, "
				   "without a password",
				   key, gnutls_strerror(ret));
	return 0;
}
