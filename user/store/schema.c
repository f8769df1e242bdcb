/* SPDX-License-Identifier: GPL-2.0-only */
/* The tables of state.db, how an older file gets them, and whose file it is. */
#include "store/store_internal.h"

#define APPLICATION_ID 0x746e6174 /* "tnat" */

/*
 * The text of an address in SQL, for people. `i` and `j` are places in the hex digits of the
 * column, from 1. instr() gives 0 for what it does not find, which is right for the digit 0. Laid
 * out by hand from here to the end of `migrations`: the formatter does not know SQL.
 */
/* clang-format off */
#define SQL_DIGIT(col, i) "instr('123456789ABCDEF', substr(hex(" col "), " #i ", 1))"
#define SQL_OCTET(col, i, j) SQL_DIGIT(col, i) " * 16 + " SQL_DIGIT(col, j)
#define SQL_GROUP(col, i) "substr(hex(" col "), " #i ", 4)"
#define SQL_TEXT(col)                                                                              \
	"CASE family WHEN 4 THEN printf('%d.%d.%d.%d', "                                           \
	SQL_OCTET(col, 1, 2) ", " SQL_OCTET(col, 3, 4) ", "                                        \
	SQL_OCTET(col, 5, 6) ", " SQL_OCTET(col, 7, 8) ") "                                        \
	"ELSE lower(printf('%s:%s:%s:%s:%s:%s:%s:%s', "                                            \
	SQL_GROUP(col, 1) ", " SQL_GROUP(col, 5) ", " SQL_GROUP(col, 9) ", "                       \
	SQL_GROUP(col, 13) ", " SQL_GROUP(col, 17) ", " SQL_GROUP(col, 21) ", "                    \
	SQL_GROUP(col, 25) ", " SQL_GROUP(col, 29) ")) END"
/* and what is behind it if it is a prefix */
#define SQL_LENGTH                                                                                 \
	"CASE bits WHEN 0 THEN '' ELSE '/' || (CASE family WHEN 4 THEN 32 ELSE 128 END - bits) END"

/*
 * migrations[n] makes schema n + 1 of schema n. Never edit one that was released.
 *
 * An address is a BLOB of 4 or 16 bytes, in network byte order. Other than text, it has one form
 * only: so UNIQUE holds, CHECK finds a wrong one, and ORDER BY family, fixed is the order of
 * addr_cmp(). Prefixes are few, and text.
 *
 * Rows are deleted and inserted, never updated, so that what is unique can go from one row to
 * another in one save (see save.c). A router has a table of its own, and is no part of `tenant`,
 * for that reason.
 */
static const char *const migrations[] = {
	"CREATE TABLE subnet (\n"
	"  ord INTEGER PRIMARY KEY,\n"
	"  prefix TEXT NOT NULL CHECK (prefix GLOB '?*/[0-9]*')\n"
	") STRICT;\n"
	"CREATE TABLE tenant (\n"
	"  id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 4294967295),\n"
	"  name TEXT NOT NULL UNIQUE CHECK (length(name) <= 63 AND name GLOB '[a-z0-9]*'\n"
	"    AND name NOT GLOB '*[^a-z0-9-]*')\n"
	") STRICT;\n"
	"CREATE TABLE pool (\n"
	"  tenant INTEGER NOT NULL REFERENCES tenant,\n"
	"  ord INTEGER NOT NULL,\n"
	"  prefix TEXT NOT NULL CHECK (prefix GLOB '?*/[0-9]*'),\n"
	"  PRIMARY KEY (tenant, ord)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE router (\n"
	"  tenant INTEGER PRIMARY KEY REFERENCES tenant,\n"
	"  id INTEGER NOT NULL UNIQUE CHECK (id BETWEEN 1 AND 4294967295),\n"
	"  netns TEXT CHECK (netns <> ''),\n"
	"  shared TEXT CHECK (shared <> ''),\n"
	"  hook TEXT NOT NULL CHECK (hook <> ''),\n"
	"  detached INTEGER NOT NULL CHECK (detached IN (0, 1))\n"
	") STRICT;\n"
	"CREATE TABLE inside (\n"
	"  tenant INTEGER NOT NULL REFERENCES router,\n"
	"  ord INTEGER NOT NULL,\n"
	"  interface TEXT NOT NULL CHECK (interface <> ''),\n"
	"  PRIMARY KEY (tenant, ord)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE mapping (\n"
	"  tenant INTEGER NOT NULL REFERENCES tenant,\n"
	"  family INTEGER NOT NULL CHECK (family IN (4, 6)),\n"
	"  fixed BLOB NOT NULL CHECK (length(fixed) = CASE family WHEN 4 THEN 4 ELSE 16 END),\n"
	"  shared BLOB NOT NULL UNIQUE CHECK (length(shared) = length(fixed)\n"
	"    AND shared <> x'00000000000000000000000000000000'),\n"
	"  name TEXT CHECK (name <> ''),\n"
	"  pinned INTEGER NOT NULL CHECK (pinned IN (0, 1)),\n"
	"  PRIMARY KEY (tenant, family, fixed)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE UNIQUE INDEX mapping_name ON mapping (tenant, family, name)\n"
	"  WHERE name IS NOT NULL;\n"
	"CREATE VIEW mapping_text AS SELECT tenant.name AS tenant, mapping.name AS name, "
	SQL_TEXT("fixed") " AS fixed, " SQL_TEXT("shared") " AS shared, pinned"
	"  FROM tenant JOIN mapping ON mapping.tenant = tenant.id"
	"  ORDER BY tenant.name, family, mapping.fixed;",

	"ALTER TABLE router ADD COLUMN sources TEXT NOT NULL DEFAULT 'strict'\n"
	"  CHECK (sources <> '');",

	"CREATE TABLE router_address (\n"
	"  tenant INTEGER NOT NULL REFERENCES router,\n"
	"  family INTEGER NOT NULL CHECK (family IN (4, 6)),\n"
	"  address BLOB NOT NULL UNIQUE\n"
	"    CHECK (length(address) = CASE family WHEN 4 THEN 4 ELSE 16 END),\n"
	"  pinned INTEGER NOT NULL CHECK (pinned IN (0, 1)),\n"
	"  PRIMARY KEY (tenant, family)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE route (\n"
	"  tenant INTEGER NOT NULL REFERENCES router,\n"
	"  ord INTEGER NOT NULL,\n"
	"  prefix TEXT NOT NULL CHECK (prefix GLOB '?*/[0-9]*'),\n"
	"  via BLOB NOT NULL CHECK (length(via) IN (4, 16)),\n"
	"  PRIMARY KEY (tenant, ord)\n"
	") STRICT, WITHOUT ROWID;",

	/* `at` in seconds since 1970; `sign` and `text` are lines of the plan */
	"CREATE TABLE origin (\n"
	"  one INTEGER PRIMARY KEY CHECK (one = 1),\n"
	"  file TEXT NOT NULL CHECK (file <> '')\n"
	") STRICT;\n"
	"CREATE TABLE accept (\n"
	"  tenant INTEGER PRIMARY KEY REFERENCES tenant\n"
	") STRICT;\n"
	"CREATE TABLE rule (\n"
	"  id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 4294967295),\n"
	"  tenant INTEGER NOT NULL REFERENCES accept,\n"
	"  ord INTEGER NOT NULL,\n"
	"  any INTEGER NOT NULL CHECK (any IN (0, 1)),\n"
	"  line INTEGER NOT NULL,\n"
	"  col INTEGER NOT NULL,\n"
	"  UNIQUE (tenant, ord)\n"
	") STRICT;\n"
	"CREATE TABLE rule_item (\n"
	"  rule INTEGER NOT NULL REFERENCES rule ON DELETE CASCADE,\n"
	"  kind TEXT NOT NULL CHECK (kind IN ('from', 'to', 'ports')),\n"
	"  ord INTEGER NOT NULL,\n"
	"  text TEXT NOT NULL CHECK (text <> ''),\n"
	"  PRIMARY KEY (rule, kind, ord)\n"
	") STRICT, WITHOUT ROWID;\n"
	"ALTER TABLE mapping ADD COLUMN rate INTEGER NOT NULL DEFAULT 0 CHECK (rate >= 0);\n"
	"ALTER TABLE mapping ADD COLUMN burst INTEGER NOT NULL DEFAULT 0 CHECK (burst >= 0);\n"
	"ALTER TABLE mapping ADD COLUMN packets INTEGER NOT NULL DEFAULT 0 CHECK (packets >= 0);\n"
	"CREATE TABLE history (\n"
	"  id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
	"  at INTEGER NOT NULL,\n"
	"  uid INTEGER NOT NULL,\n"
	"  user TEXT NOT NULL,\n"
	"  command TEXT NOT NULL\n"
	") STRICT;\n"
	"CREATE TABLE history_line (\n"
	"  change INTEGER NOT NULL REFERENCES history ON DELETE CASCADE,\n"
	"  ord INTEGER NOT NULL,\n"
	"  sign TEXT NOT NULL CHECK (sign IN ('+', '~', '-')),\n"
	"  text TEXT NOT NULL,\n"
	"  PRIMARY KEY (change, ord)\n"
	") STRICT, WITHOUT ROWID;",

	"ALTER TABLE router ADD COLUMN forwarding TEXT NOT NULL DEFAULT 'auto'\n"
	"  CHECK (forwarding <> '');",

	"ALTER TABLE router ADD COLUMN passed_over INTEGER NOT NULL DEFAULT 0\n"
	"  CHECK (passed_over IN (0, 1));",

	/*
	 * A CHECK cannot be changed. The rows come back under the name that others refer to, so
	 * what they refer to is there again when the transaction ends.
	 */
	"PRAGMA defer_foreign_keys = ON;\n"
	"CREATE TABLE tenant_before AS SELECT id, name FROM tenant;\n"
	"DROP TABLE tenant;\n"
	"CREATE TABLE tenant (\n"
	"  id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 4294967295),\n"
	"  name TEXT NOT NULL UNIQUE CHECK (length(name) <= 63 AND name GLOB '[A-Za-z0-9]*'\n"
	"    AND name NOT GLOB '*[^A-Za-z0-9._-]*')\n"
	") STRICT;\n"
	"INSERT INTO tenant SELECT id, name FROM tenant_before;\n"
	"DROP TABLE tenant_before;",
	/*
	 * `added`, `changed` and `removed` are the lines of the plan, `kept` are those that are in
	 * history_line. What was not kept was said in a line of its own before, and is counted as
	 * changed. `bytes` is the size of what is in history_before (see record.h): 0: the change
	 * was none of the definitions; -1: it is not kept.
	 */
	"ALTER TABLE history ADD COLUMN added INTEGER NOT NULL DEFAULT 0 CHECK (added >= 0);\n"
	"ALTER TABLE history ADD COLUMN changed INTEGER NOT NULL DEFAULT 0 CHECK (changed >= 0);\n"
	"ALTER TABLE history ADD COLUMN removed INTEGER NOT NULL DEFAULT 0 CHECK (removed >= 0);\n"
	"ALTER TABLE history ADD COLUMN kept INTEGER NOT NULL DEFAULT 0 CHECK (kept >= 0);\n"
	"ALTER TABLE history ADD COLUMN bytes INTEGER NOT NULL DEFAULT -1 CHECK (bytes >= -1);\n"
	"UPDATE history SET\n"
	"  added = (SELECT count(*) FROM history_line WHERE change = id AND sign = '+'),\n"
	"  removed = (SELECT count(*) FROM history_line WHERE change = id AND sign = '-'),\n"
	"  changed = (SELECT coalesce(sum(CASE WHEN text GLOB 'and [1-9]* more'\n"
	"      THEN CAST(substr(text, 5) AS INTEGER) ELSE 1 END), 0)\n"
	"    FROM history_line WHERE change = id AND sign = '~');\n"
	"DELETE FROM history_line WHERE sign = '~' AND text GLOB 'and [1-9]* more';\n"
	"UPDATE history SET kept = (SELECT count(*) FROM history_line WHERE change = id);\n"
	"CREATE TABLE history_before (\n"
	"  change INTEGER NOT NULL REFERENCES history ON DELETE CASCADE,\n"
	"  ord INTEGER NOT NULL,\n"
	"  data BLOB NOT NULL CHECK (length(data) > 0),\n"
	"  PRIMARY KEY (change, ord)\n"
	") STRICT;",

	"ALTER TABLE router ADD COLUMN active TEXT NOT NULL DEFAULT 'always'\n"
	"  CHECK (active <> '');\n"
	"CREATE TABLE router_host (\n"
	"  tenant INTEGER NOT NULL REFERENCES router,\n"
	"  ord INTEGER NOT NULL,\n"
	"  name TEXT NOT NULL CHECK (length(name) <= 63 AND name GLOB '[A-Za-z0-9]*'\n"
	"    AND name NOT GLOB '*[^A-Za-z0-9.-]*'),\n"
	"  PRIMARY KEY (tenant, ord),\n"
	"  UNIQUE (tenant, name)\n"
	") STRICT, WITHOUT ROWID;",

	/*
	 * The cluster that this host is a member of. `etcd` is etcd's own id of its cluster, `id` that
	 * of the key PREFIX/cluster, `revision` that of etcd up to which the definitions are here. The
	 * password is as etcd asks for it: the file is root's alone.
	 */
	"CREATE TABLE cluster (\n"
	"  one INTEGER PRIMARY KEY CHECK (one = 1),\n"
	"  urls TEXT NOT NULL CHECK (urls <> ''),\n"
	"  ca TEXT CHECK (ca <> ''),\n"
	"  cert TEXT CHECK (cert <> ''),\n"
	"  key TEXT CHECK (key <> ''),\n"
	"  user TEXT CHECK (user <> ''),\n"
	"  password TEXT,\n"
	"  prefix TEXT NOT NULL CHECK (prefix GLOB '/*'),\n"
	"  host TEXT NOT NULL CHECK (host <> ''),\n"
	"  id TEXT NOT NULL CHECK (id <> ''),\n"
	"  etcd INTEGER NOT NULL,\n"
	"  revision INTEGER NOT NULL CHECK (revision >= 0)\n"
	") STRICT;",

	"ALTER TABLE router ADD COLUMN flows INTEGER NOT NULL DEFAULT 16384\n"
	"  CHECK (flows BETWEEN 1024 AND 4194304);\n"
	/* the 48 bits of a MAC address, the first byte the highest; 0: none */
	"ALTER TABLE mapping ADD COLUMN mac INTEGER NOT NULL DEFAULT 0\n"
	"  CHECK (mac BETWEEN 0 AND 281474976710655);\n"
	/* where other hosts of the cluster bring flows; NULL: the join has not said it */
	"ALTER TABLE cluster ADD COLUMN flows TEXT CHECK (flows <> '');\n"
	/* seconds */
	"ALTER TABLE router ADD COLUMN grace INTEGER NOT NULL DEFAULT 0\n"
	"  CHECK (grace BETWEEN 0 AND 60);",

	/* the key of the cluster's last change up to `revision`, without history/; NULL: none is known */
	"ALTER TABLE cluster ADD COLUMN change TEXT CHECK (change <> '');\n"
	/* of a router, in the order of the file; addresses in network byte order */
	"CREATE TABLE inside_route (\n"
	"  tenant INTEGER NOT NULL REFERENCES router,\n"
	"  ord INTEGER NOT NULL,\n"
	"  prefix TEXT NOT NULL CHECK (prefix GLOB '?*/[0-9]*'),\n"
	"  via BLOB NOT NULL CHECK (length(via) IN (4, 16)),\n"
	"  PRIMARY KEY (tenant, ord)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE names (\n"
	"  one INTEGER PRIMARY KEY CHECK (one = 1),\n"
	"  zone TEXT NOT NULL CHECK (zone <> '')\n"
	") STRICT;\n"
	/* host bits of a prefix, whose first addresses are `fixed` and `shared`; 0: it is none */
	"ALTER TABLE mapping ADD COLUMN bits INTEGER NOT NULL DEFAULT 0\n"
	"  CHECK (bits BETWEEN 0 AND CASE family WHEN 4 THEN 31 ELSE 127 END);\n"
	"CREATE INDEX mapping_prefix ON mapping (tenant) WHERE bits > 0;\n"
	"CREATE TABLE mapping_except (\n"
	"  tenant INTEGER NOT NULL,\n"
	"  family INTEGER NOT NULL,\n"
	"  fixed BLOB NOT NULL,\n"
	"  address BLOB NOT NULL CHECK (length(address) = length(fixed)),\n"
	"  PRIMARY KEY (tenant, family, fixed, address),\n"
	"  FOREIGN KEY (tenant, family, fixed) REFERENCES mapping ON DELETE CASCADE\n"
	") STRICT, WITHOUT ROWID;\n"
	"DROP VIEW mapping_text;\n"
	"CREATE VIEW mapping_text AS SELECT tenant.name AS tenant, mapping.name AS name, "
	SQL_TEXT("fixed") " || " SQL_LENGTH " AS fixed, "
	SQL_TEXT("shared") " || " SQL_LENGTH " AS shared, pinned"
	"  FROM tenant JOIN mapping ON mapping.tenant = tenant.id"
	"  ORDER BY tenant.name, family, mapping.fixed;\n"
	/* seconds since 1970, from which on the rule accepts nothing; 0: it has no end */
	"ALTER TABLE rule ADD COLUMN until INTEGER NOT NULL DEFAULT 0\n"
	"  CHECK (until BETWEEN 0 AND 4294967295);",
};
/* clang-format on */

const int schema_newest = (int)ARRAY_SIZE(migrations);

/*
 * How many of our tables are something else. A file from elsewhere can have a view in the place of
 * a table, and a view can have rows without end.
 */
#define SQL_NO_TABLES                                                                           \
	"SELECT count(*) FROM sqlite_schema WHERE rootpage = 0 AND type <> 'trigger' AND "      \
	"name IN ('subnet', 'tenant', 'pool', 'router', 'inside', 'mapping', "                  \
	"'router_address', 'route', 'origin', 'accept', 'rule', 'rule_item', 'history', "       \
	"'history_line', 'history_before', 'router_host', 'cluster', 'inside_route', 'names', " \
	"'mapping_except')"

int schema_read(struct store *s, int *schema, struct error *err)
{
	int application, version, objects, no_tables, ret;
	sqlite3_stmt *stmt;

	if (sqlite3_prepare_v2(s->db,
			       "SELECT application_id, user_version, "
			       "(SELECT count(*) FROM sqlite_schema), (" SQL_NO_TABLES ") "
			       "FROM pragma_application_id, pragma_user_version",
			       -1, &stmt, NULL) != SQLITE_OK)
		return sql_error(s, err);
	ret = query_next(s, stmt, err);
	application = sqlite3_column_int(stmt, 0);
	version = sqlite3_column_int(stmt, 1);
	objects = sqlite3_column_int(stmt, 2);
	no_tables = sqlite3_column_int(stmt, 3);
	sqlite3_finalize(stmt);
	if (ret < 0)
		return -1;

	*schema = version;
	if (application == 0 && version == 0 && objects == 0)
		return 0;
	if (application != APPLICATION_ID || version < 1)
		return error_set(err,
				 "%s is a database, but not one of tenantnat; move it away, or use "
				 "--state DIR",
				 s->file);
	if (no_tables)
		return damaged(s, err, "something that is no table has the name of one");
	if (version > schema_newest)
		return error_set(err,
				 "%s is of schema %d, and this tenantnat knows none after %d; use "
				 "the tenantnat that wrote it, or a newer one",
				 s->file, version, schema_newest);
	return 0;
}

int schema_upgrade(struct store *s, int schema, struct error *err)
{
	char stamp[96];
	int ret;

	snprintf(stamp, sizeof(stamp), "PRAGMA application_id = %d; PRAGMA user_version = %d;",
		 APPLICATION_ID, schema_newest);
	ret = sql_exec(s, "BEGIN IMMEDIATE", err);
	for (; ret == 0 && schema < schema_newest; schema++)
		ret = sql_exec(s, migrations[schema], err);
	if (ret == 0)
		ret = sql_exec(s, stamp, err);
	if (ret == 0)
		ret = sql_exec(s, "COMMIT", err);
	if (ret)
		store_rollback(s);
	return ret;
}
