/* SPDX-License-Identifier: GPL-2.0-only */
#include "observe/imported.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/output.h"

/* More is not ours: 100,000 routers take 6 MB. */
#define FILE_MAX (64 << 20)

static const char *const faults[] = {
#define X(id, name) [IMPORT_##id] = name,
	IMPORT_FAULTS(X)
#undef X
};

const char *import_fault_name(enum import_fault fault)
{
	return faults[fault];
}

void imported_free(struct imported *im)
{
	free(im->source);
	free(im->failing);
	vec_each (text, &im->findings)
		free(*text);
	vec_free(&im->findings);
	json_decref(im->names);
	*im = (struct imported){ 0 };
}

static char *text_of(const json_t *file, const char *field)
{
	const char *text = json_string_value(json_object_get(file, field));

	return text ? xstrdup(text) : NULL;
}

static int64_t number_of(const json_t *file, const char *field)
{
	return json_integer_value(json_object_get(file, field));
}

int imported_read(const char *state, struct imported *out)
{
	struct error ignored = { 0 };
	_cleanup_json_ json_t *file = NULL;
	const json_t *failures, *text;
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	size_t i;

	*out = (struct imported){ 0 };
	snprintf(path, sizeof(path), "%s/neutron", state);
	fd = file_open(path, O_RDONLY, &ignored);
	if (fd < 0 || lseek(fd, 0, SEEK_END) > FILE_MAX || lseek(fd, 0, SEEK_SET))
		return 0;
	file = json_loadfd(fd, 0, NULL);
	if (!json_is_object(file))
		return 0;
	out->source = text_of(file, "source");
	out->read_at = number_of(file, "read");
	out->failing_since = number_of(file, "failing_since");
	out->failing = text_of(file, "failing");
	failures = json_object_get(file, "failures");
	for (i = 0; i < IMPORT_FAULTS_COUNT; i++)
		out->failures[i] = number_of(failures, faults[i]);
	json_array_foreach(json_object_get(file, "findings"), i, text)
	{
		if (json_is_string(text))
			*vec_push(&out->findings) = xstrdup(json_string_value(text));
	}
	out->names = json_incref(json_object_get(file, "names"));
	return 1;
}

static json_t *imported_json(const struct imported *im)
{
	json_t *failures = json_object(), *findings = json_array();

	for (int i = 0; i < IMPORT_FAULTS_COUNT; i++)
		json_object_set_new(failures, faults[i], json_integer((json_int_t)im->failures[i]));
	vec_each (text, &im->findings)
		json_array_append_new(findings, json_string(*text));
	return json_pack("{s:o, s:I, s:I, s:o, s:o, s:o, s:o}", "source", json_text(im->source),
			 "read", (json_int_t)im->read_at, "failing_since",
			 (json_int_t)im->failing_since, "failing", json_text(im->failing),
			 "failures", failures, "findings", findings, "names",
			 im->names ? json_incref(im->names) : json_object());
}

int imported_write(const char *state, const struct imported *im, struct error *err)
{
	_cleanup_json_ json_t *file = imported_json(im);
	char path[PATH_MAX];
	_cleanup_free_ char *text = NULL;

	snprintf(path, sizeof(path), "%s/neutron", state);
	text = json_dumps(file, JSON_COMPACT);
	return file_replace(path, text, strlen(text), 0600, err);
}

void imported_forget(const char *state)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/neutron", state);
	unlink(path);
}
