/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every statement that reads or writes rows, by name, and how one is run. A statement is prepared
 * when it is used first, and kept until the store is closed.
 */
#ifndef TN_QUERY_H
#define TN_QUERY_H

#include <sqlite3.h>

#include "lib/addr.h"
#include "lib/error.h"
#include "lib/util.h"

struct store;

/* Laid out by hand: the formatter does not know SQL. */
/* clang-format off */
#define SQL_MAPPINGS                                                                               \
	"SELECT fixed, shared, name, pinned, rate, burst, packets, mac, bits FROM mapping "        \
	"WHERE tenant = ? "

#define SQL_CHANGES "SELECT id, at, uid, user, command, added, changed, removed, kept, bytes "

#define QUERIES(X)                                                                                 \
	X(LIST_SUBNETS, "SELECT prefix FROM subnet ORDER BY ord")                                  \
	X(LIST_TENANTS,                                                                            \
	  "SELECT tenant.id, name, router.id, netns, shared, hook, detached, sources, "            \
	  "forwarding, passed_over, active, flows, grace FROM tenant LEFT JOIN router "                   \
	  "ON router.tenant = tenant.id "                                                          \
	  "ORDER BY name")                                                                         \
	X(LIST_POOLS, "SELECT prefix FROM pool WHERE tenant = ? ORDER BY ord")                     \
	X(LIST_HOSTS, "SELECT name FROM router_host WHERE tenant = ? ORDER BY ord")                \
	X(LIST_INSIDE, "SELECT interface FROM inside WHERE tenant = ? ORDER BY ord")               \
	X(LIST_ADDRESSES, "SELECT address, pinned FROM router_address WHERE tenant = ?")           \
	X(LIST_ROUTES, "SELECT prefix, via FROM route WHERE tenant = ? ORDER BY ord")              \
	X(LIST_INSIDE_ROUTES, "SELECT prefix, via FROM inside_route WHERE tenant = ? ORDER BY ord") \
	X(LIST_MAPPINGS, SQL_MAPPINGS "ORDER BY family, fixed")                                    \
	X(FIND_FIXED, SQL_MAPPINGS "AND family = ? AND fixed = ?")                                 \
	X(FIND_NAME, SQL_MAPPINGS "AND family IN (4, 6) AND name = ?")                             \
	X(FIND_NAME_FOLDED, SQL_MAPPINGS "AND name = ? COLLATE NOCASE")                            \
	X(FIND_SHARED, SQL_MAPPINGS "AND shared = ?")                                              \
	X(FIND_PREFIXES, SQL_MAPPINGS "AND bits > 0")                                              \
	X(LIST_EXCEPT,                                                                             \
	  "SELECT address FROM mapping_except WHERE tenant = ? AND family = ? AND fixed = ? "      \
	  "ORDER BY address")                                                                      \
	X(ADD_EXCEPT,                                                                              \
	  "INSERT INTO mapping_except (tenant, family, fixed, address) VALUES (?, ?, ?, ?)")       \
	X(FIND_FIRST, SQL_MAPPINGS "AND family = ? ORDER BY fixed LIMIT ?")                        \
	X(LIST_LEASES,                                                                             \
	  "SELECT shared FROM mapping WHERE shared >= ?1 AND length(shared) = length(?1) "         \
	  "ORDER BY shared LIMIT ?2")                                                              \
	X(SHOW_ORIGIN, "SELECT file FROM origin")                                                  \
	X(SHOW_ZONE, "SELECT zone FROM names")                                                     \
	X(ADD_ZONE, "INSERT INTO names (one, zone) VALUES (1, ?)")                                 \
	X(REMOVE_ZONE, "DELETE FROM names")                                                        \
	X(SHOW_ACCEPT, "SELECT 1 FROM accept WHERE tenant = ?")                                    \
	X(LIST_RULES, "SELECT id, any, line, col, until FROM rule WHERE tenant = ? ORDER BY ord")  \
	X(LIST_ITEMS, "SELECT kind, text FROM rule_item WHERE rule = ? ORDER BY kind, ord")        \
	X(ADD_ORIGIN, "INSERT INTO origin (one, file) VALUES (1, ?)")                              \
	X(REMOVE_ORIGIN, "DELETE FROM origin")                                                     \
	X(ADD_ACCEPT, "INSERT INTO accept (tenant) VALUES (?)")                                    \
	X(REMOVE_ACCEPT, "DELETE FROM accept WHERE tenant = ?")                                    \
	X(ADD_RULE,                                                                                \
	  "INSERT INTO rule (id, tenant, ord, any, line, col, until) VALUES (?, ?, ?, ?, ?, ?, ?)") \
	X(REMOVE_RULES, "DELETE FROM rule WHERE tenant = ?")                                       \
	X(ADD_ITEM, "INSERT INTO rule_item (rule, kind, ord, text) VALUES (?, ?, ?, ?)")           \
	X(ADD_CHANGE,                                                                              \
	  "INSERT INTO history (at, uid, user, command, added, changed, removed, kept, bytes) "    \
	  "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")                                                    \
	X(ADD_CHANGE_LINE,                                                                         \
	  "INSERT INTO history_line (change, ord, sign, text) VALUES (?, ?, ?, ?)")                \
	X(ADD_BEFORE, "INSERT INTO history_before (change, ord, data) VALUES (?, ?, ?)")           \
	X(LAST_CHANGE, "SELECT max(id) FROM history")                                              \
	X(FORGET_CHANGES, "DELETE FROM history WHERE id <= ?")                                     \
	X(LIST_KEPT,                                                                               \
	  "SELECT id, kept, bytes FROM history WHERE kept > 0 OR bytes > 0 ORDER BY id DESC")      \
	X(FORGET_LINES, "DELETE FROM history_line WHERE change <= ?")                              \
	X(NOTE_NO_LINES, "UPDATE history SET kept = 0 WHERE id <= ? AND kept > 0")                 \
	X(FORGET_BEFORE, "DELETE FROM history_before WHERE change <= ?")                           \
	X(NOTE_NO_BEFORE, "UPDATE history SET bytes = -1 WHERE id <= ? AND bytes >= 0")            \
	X(LIST_CHANGES,                                                                            \
	  SQL_CHANGES "FROM (SELECT * FROM history ORDER BY id DESC LIMIT ?) ORDER BY id")         \
	X(FIND_CHANGE, SQL_CHANGES "FROM history WHERE id = ?")                                    \
	X(LIST_CHANGE_LINES,                                                                       \
	  "SELECT sign, text FROM history_line WHERE change = ? ORDER BY ord LIMIT ?")             \
	X(LIST_BYTES, "SELECT id, bytes FROM history WHERE id >= ? ORDER BY id DESC")              \
	X(LIST_BEFORE, "SELECT data FROM history_before WHERE change = ? ORDER BY ord")            \
	X(ADD_SUBNET, "INSERT INTO subnet (ord, prefix) VALUES (?, ?)")                            \
	X(ADD_TENANT, "INSERT INTO tenant (id, name) VALUES (?, ?)")                               \
	X(ADD_POOL, "INSERT INTO pool (tenant, ord, prefix) VALUES (?, ?, ?)")                     \
	X(ADD_ROUTER,                                                                              \
	  "INSERT INTO router (tenant, id, netns, shared, hook, detached, sources, forwarding, "   \
	  "passed_over, active, flows, grace) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")         \
	X(ADD_HOST, "INSERT INTO router_host (tenant, ord, name) VALUES (?, ?, ?)")                \
	X(ADD_INSIDE, "INSERT INTO inside (tenant, ord, interface) VALUES (?, ?, ?)")              \
	X(ADD_ADDRESS,                                                                             \
	  "INSERT INTO router_address (tenant, family, address, pinned) VALUES (?, ?, ?, ?)")      \
	X(ADD_ROUTE, "INSERT INTO route (tenant, ord, prefix, via) VALUES (?, ?, ?, ?)")           \
	X(ADD_INSIDE_ROUTE, "INSERT INTO inside_route (tenant, ord, prefix, via) VALUES (?, ?, ?, ?)") \
	X(ADD_MAPPING,                                                                             \
	  "INSERT INTO mapping (tenant, family, fixed, shared, name, pinned, rate, burst, "        \
	  "packets, mac, bits) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")                          \
	X(REMOVE_SUBNETS, "DELETE FROM subnet")                                                    \
	X(REMOVE_TENANT, "DELETE FROM tenant WHERE id = ?")                                        \
	X(REMOVE_POOLS, "DELETE FROM pool WHERE tenant = ?")                                       \
	X(REMOVE_ROUTER, "DELETE FROM router WHERE tenant = ?")                                    \
	X(REMOVE_HOSTS, "DELETE FROM router_host WHERE tenant = ?")                                \
	X(REMOVE_INSIDE, "DELETE FROM inside WHERE tenant = ?")                                    \
	X(REMOVE_ADDRESSES, "DELETE FROM router_address WHERE tenant = ?")                         \
	X(REMOVE_ROUTES, "DELETE FROM route WHERE tenant = ?")                                     \
	X(REMOVE_INSIDE_ROUTES, "DELETE FROM inside_route WHERE tenant = ?") \
	X(SHOW_CLUSTER,                                                                            \
	  "SELECT urls, ca, cert, key, user, password, prefix, host, id, etcd, revision, flows, "  \
	  "change FROM cluster")                                                                   \
	X(ADD_CLUSTER,                                                                             \
	  "INSERT INTO cluster (one, urls, ca, cert, key, user, password, prefix, host, id, "      \
	  "etcd, revision, flows, change) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")      \
	X(CALL_HOST, "UPDATE OR IGNORE router_host SET name = ? WHERE name = ?")                   \
	X(SEE_CLUSTER,                                                                             \
	  "UPDATE cluster SET change = iif(?1 < revision, change, ?2), "                           \
	  "revision = max(revision, ?1)")                                                          \
	X(REMOVE_MAPPING, "DELETE FROM mapping WHERE tenant = ? AND family = ? AND fixed = ?")
/* clang-format on */

enum query {
#define X(id, sql) id,
	QUERIES(X)
#undef X
		QUERIES_COUNT
};

/* Run SQL that is not in the table: what is needed once, and gives no rows. */
int sql_exec(struct store *s, const char *sql, struct error *err);

static inline void reset_cleanup(sqlite3_stmt **stmt)
{
	if (*stmt)
		sqlite3_reset(*stmt);
}
#define _cleanup_reset_ _cleanup_(reset_cleanup)

/*
 * The statement with its arguments bound: for each letter of `types` an unsigned int (u), a
 * uint64_t (l), a text or NULL (t), a struct tn_addr * (a), or bytes and a size_t (b). They have to
 * live until it is reset, with _cleanup_reset_. NULL: an error is set.
 */
sqlite3_stmt *query_begin(struct store *s, enum query query, struct error *err, const char *types,
			  ...);
/* 1: a row, 0: no more, -1: an error. */
int query_next(struct store *s, sqlite3_stmt *stmt, struct error *err);
/*
 * Run a statement that gives no rows. It has to change exactly `changes` rows: another number means
 * that another program changed the file meanwhile, and is an error.
 */
int query_run(struct store *s, enum query query, size_t changes, struct error *err,
	      const char *types, ...);
/* Column `i`, from 0, of the row that query_next() came to. Texts are the caller's to free. */

/* NULL: there is none. A NUL in the text, which would hide what is behind it, sets *bad. */
char *column_text(sqlite3_stmt *stmt, int i, bool *bad);
/* The same; NULL for a text with a NUL in it, too. */
char *column_string(sqlite3_stmt *stmt, int i);
/* 0, which is no id, for a number that no uint32_t holds. */
uint32_t column_id(sqlite3_stmt *stmt, int i);
/* False: there is no valid one. */
bool column_prefix(sqlite3_stmt *stmt, int i, struct prefix *out);
bool column_addr(sqlite3_stmt *stmt, int i, struct tn_addr *out);

#endif
