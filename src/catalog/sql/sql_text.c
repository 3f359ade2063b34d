/*
 * sql_text.c: the statements of a catalog in SQL, in the words of each dialect.
 *
 * They are kept once, with ?1 for an argument and these tokens:
 *
 *   @t   only rows that are tables: others are views of other programs (nothing where the column is missing)
 *   @i   @v   column and value of the type in an INSERT
 *   @c   comparison by bytes, which is SQLite's way and depends on the database in PostgreSQL
 *   @s   waits for a transaction in flight that changes the row
 */
#include "catalog/sql/sql_catalog.h"

#define ID "catalog_name = ?1 AND table_namespace = ?2 AND table_name = ?3"
/* ?2 or something below it; '.' + 1 is '/' */
#define BELOW(COLUMN) "(" COLUMN " = ?2 OR (" COLUMN "@c > ?2 || '.' AND " COLUMN "@c < ?2 || '/'))"

static const char *const text[SQL_STMTS_] = {
    [SQL_LOAD] = "SELECT metadata_location FROM iceberg_tables WHERE " ID "@t",
    [SQL_LOAD_SETTLED] = "SELECT metadata_location FROM iceberg_tables WHERE " ID "@t@s",
    [SQL_EXISTS] = "SELECT 1 FROM iceberg_tables WHERE " ID,
    [SQL_INSERT] = "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location, "
                   "previous_metadata_location@i) VALUES (?1, ?2, ?3, ?4, NULL@v)",
    [SQL_SWAP] = "UPDATE iceberg_tables SET metadata_location = ?4, previous_metadata_location = ?5 WHERE " ID
                 " AND metadata_location = ?5",
    [SQL_DELETE] = "DELETE FROM iceberg_tables WHERE " ID "@t",
    [SQL_RENAME] = "UPDATE iceberg_tables SET table_namespace = ?4, table_name = ?5 WHERE " ID "@t",
    [SQL_NS_EXISTS] = "SELECT 1 WHERE EXISTS (SELECT 1 FROM iceberg_tables WHERE catalog_name = ?1 AND "
                      BELOW("table_namespace") ") OR EXISTS (SELECT 1 FROM iceberg_namespace_properties WHERE "
                      "catalog_name = ?1 AND " BELOW("namespace") ")",
    [SQL_NS_INSERT] = "INSERT INTO iceberg_namespace_properties (catalog_name, namespace, property_key, property_value) "
                      "VALUES (?1, ?2, ?3, ?4) ON CONFLICT (catalog_name, namespace, property_key) DO UPDATE SET "
                      "property_value = excluded.property_value",
    [SQL_NS_DELETE] = "DELETE FROM iceberg_namespace_properties WHERE catalog_name = ?1 AND namespace = ?2",
    [SQL_NS_PROPS] = "SELECT property_key, property_value FROM iceberg_namespace_properties WHERE catalog_name = ?1 "
                     "AND namespace = ?2 ORDER BY property_key@c",
    [SQL_NS_LIST] = "SELECT table_namespace FROM iceberg_tables WHERE catalog_name = ?1 UNION SELECT namespace FROM "
                    "iceberg_namespace_properties WHERE catalog_name = ?1",
    [SQL_TABLES] = "SELECT table_name FROM iceberg_tables WHERE catalog_name = ?1 AND table_namespace = ?2@t "
                   "ORDER BY table_name@c",
};

/* Namespaces are rows without anything that ties them to the tables below: who makes or drops one keeps other
 * writers out meanwhile. SQLite's write transactions do so by themselves. */
static const char lock_namespaces[] =
    "LOCK TABLE iceberg_tables, iceberg_namespace_properties IN SHARE ROW EXCLUSIVE MODE";

void sql_text(sql_stmt id, sql_dialect d, bool typed, sbuf *out)
{
    bool pg = d == SQL_POSTGRES;
    const char *s = id == SQL_NS_LOCK ? pg ? lock_namespaces : "" : text[id];
    for (; *s; s++) {
        if (*s == '?' && pg) {
            sbuf_addc(out, '$');
        } else if (*s != '@') {
            sbuf_addc(out, *s);
        } else {
            char what = *++s;
            if (what == 't' && typed)
                sbuf_addz(out, " AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)");
            else if (what == 'i' && typed)
                sbuf_addz(out, ", iceberg_type");
            else if (what == 'v' && typed)
                sbuf_addz(out, ", 'TABLE'");
            else if (what == 'c' && pg)
                sbuf_addz(out, " COLLATE \"C\"");
            else if (what == 's' && pg)
                sbuf_addz(out, " FOR SHARE");
        }
    }
}

const char sql_create_tables[] =
    "CREATE TABLE IF NOT EXISTS iceberg_tables (\n"
    "\tcatalog_name VARCHAR(255) NOT NULL, \n"
    "\ttable_namespace VARCHAR(255) NOT NULL, \n"
    "\ttable_name VARCHAR(255) NOT NULL, \n"
    "\tmetadata_location VARCHAR(1000), \n"
    "\tprevious_metadata_location VARCHAR(1000), \n"
    "\ticeberg_type VARCHAR(5), \n"
    "\tPRIMARY KEY (catalog_name, table_namespace, table_name)\n"
    ")";
const char sql_create_properties[] =
    "CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (\n"
    "\tcatalog_name VARCHAR(255) NOT NULL, \n"
    "\tnamespace VARCHAR(255) NOT NULL, \n"
    "\tproperty_key VARCHAR(255) NOT NULL, \n"
    "\tproperty_value VARCHAR(1000) NOT NULL, \n"
    "\tPRIMARY KEY (catalog_name, namespace, property_key)\n"
    ")";
