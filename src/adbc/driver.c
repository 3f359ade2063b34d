/*
 * driver.c: the entry point and the typed getters and setters of options, which go through their texts.
 */
#include "adbc/adbc_int.h"

#include <stdio.h>
#include <string.h>

/* ---- options by type ---- */

#define MAX_TEXT 4096

/* The text of an option; longer ones aren't numbers. */
#define TEXT_OF(get)                                                              \
    char text[MAX_TEXT];                                                          \
    size_t n = sizeof text;                                                       \
    status st = get(h, key, text, &n, err);                                       \
    if (!st && n > sizeof text)                                                   \
        st = fail(err, ADBC_STATUS_INVALID_ARGUMENT, NULL, "option %s isn't a number", key); \
    if (st)                                                                       \
        return st

#define GETTERS(what, handle, get)                                                                                                   \
    static status what##_get_bytes(struct handle *h, const char *key, uint8_t *value, size_t *length, struct AdbcError *err)         \
    {                                                                                                                                \
        char none[1];                                                                                                                \
        size_t n = 0;                                                                                                                \
        status s = get(h, key, none, &n, err);                                                                                       \
        return s ? s : fail(err, ADBC_STATUS_INVALID_ARGUMENT, NULL, "option %s is a text, not bytes", key);                        \
    }                                                                                                                                \
    static status what##_get_int(struct handle *h, const char *key, int64_t *value, struct AdbcError *err)                           \
    {                                                                                                                                \
        TEXT_OF(get);                                                                                                                \
        return option_to_int(key, text, value, err);                                                                                 \
    }

#define SETTERS(what, handle, set)                                                                                                   \
    static status what##_set_bytes(struct handle *h, const char *key, const uint8_t *value, size_t length, struct AdbcError *err)    \
    {                                                                                                                                \
        return option_unknown(key, err); /* none is bytes */                                                                         \
    }                                                                                                                                \
    static status what##_set_double(struct handle *h, const char *key, double value, struct AdbcError *err)                          \
    {                                                                                                                                \
        return option_unknown(key, err); /* none is a fraction */                                                                    \
    }                                                                                                                                \
    static status what##_set_int(struct handle *h, const char *key, int64_t value, struct AdbcError *err)                            \
    {                                                                                                                                \
        char text[24];                                                                                                               \
        snprintf(text, sizeof text, "%lld", (long long)value);                                                                       \
        return set(h, key, text, err);                                                                                               \
    }

GETTERS(database, AdbcDatabase, database_get)
SETTERS(database, AdbcDatabase, database_set)
GETTERS(connection, AdbcConnection, connection_get)
SETTERS(connection, AdbcConnection, connection_set)
GETTERS(stmt, AdbcStatement, stmt_get)
SETTERS(stmt, AdbcStatement, stmt_set)

static status database_get_double(struct AdbcDatabase *h, const char *key, double *value, struct AdbcError *err)
{
    TEXT_OF(database_get);
    return option_to_double(key, text, value, err);
}

static status connection_get_double(struct AdbcConnection *h, const char *key, double *value, struct AdbcError *err)
{
    TEXT_OF(connection_get);
    return option_to_double(key, text, value, err);
}

static status stmt_get_number(struct AdbcStatement *h, const char *key, double *value, struct AdbcError *err)
{
    if (strcmp(key, ADBC_STATEMENT_OPTION_PROGRESS) == 0 || strcmp(key, ADBC_STATEMENT_OPTION_MAX_PROGRESS) == 0)
        return stmt_get_double(h, key, value, err);
    TEXT_OF(stmt_get);
    return option_to_double(key, text, value, err);
}

/* ---- the driver ---- */

static status driver_release(struct AdbcDriver *d, struct AdbcError *err)
{
    d->private_data = NULL;
    d->release = NULL;
    return ADBC_STATUS_OK;
}

static const struct AdbcDriver functions = {
    .release = driver_release,
    .DatabaseInit = database_init,
    .DatabaseNew = database_new,
    .DatabaseSetOption = database_set,
    .DatabaseRelease = database_release,
    .ConnectionCommit = connection_commit,
    .ConnectionGetInfo = connection_info,
    .ConnectionGetObjects = connection_objects,
    .ConnectionGetTableSchema = connection_table_schema,
    .ConnectionGetTableTypes = connection_table_types,
    .ConnectionInit = connection_init,
    .ConnectionNew = connection_new,
    .ConnectionSetOption = connection_set,
    .ConnectionReadPartition = connection_read_partition,
    .ConnectionRelease = connection_release,
    .ConnectionRollback = connection_rollback,
    .StatementBind = stmt_bind,
    .StatementBindStream = stmt_bind_stream,
    .StatementExecuteQuery = stmt_execute,
    .StatementExecutePartitions = stmt_partitions,
    .StatementGetParameterSchema = stmt_parameters,
    .StatementNew = stmt_new,
    .StatementPrepare = stmt_prepare,
    .StatementRelease = stmt_release,
    .StatementSetOption = stmt_set,
    .StatementSetSqlQuery = stmt_set_sql,
    .StatementSetSubstraitPlan = stmt_set_substrait,
    .ErrorGetDetailCount = adbc_error_details,
    .ErrorGetDetail = adbc_error_detail,
    .ErrorFromArrayStream = stream_failure,
    .DatabaseGetOption = database_get,
    .DatabaseGetOptionBytes = database_get_bytes,
    .DatabaseGetOptionDouble = database_get_double,
    .DatabaseGetOptionInt = database_get_int,
    .DatabaseSetOptionBytes = database_set_bytes,
    .DatabaseSetOptionDouble = database_set_double,
    .DatabaseSetOptionInt = database_set_int,
    .ConnectionCancel = connection_cancel,
    .ConnectionGetOption = connection_get,
    .ConnectionGetOptionBytes = connection_get_bytes,
    .ConnectionGetOptionDouble = connection_get_double,
    .ConnectionGetOptionInt = connection_get_int,
    .ConnectionGetStatistics = connection_statistics,
    .ConnectionGetStatisticNames = connection_statistic_names,
    .ConnectionSetOptionBytes = connection_set_bytes,
    .ConnectionSetOptionDouble = connection_set_double,
    .ConnectionSetOptionInt = connection_set_int,
    .StatementCancel = stmt_cancel,
    .StatementExecuteSchema = stmt_execute_schema,
    .StatementGetOption = stmt_get,
    .StatementGetOptionBytes = stmt_get_bytes,
    .StatementGetOptionDouble = stmt_get_number,
    .StatementGetOptionInt = stmt_get_int,
    .StatementSetOptionBytes = stmt_set_bytes,
    .StatementSetOptionDouble = stmt_set_double,
    .StatementSetOptionInt = stmt_set_int,
};

AdbcStatusCode AdbcDriverInit(int version, void *driver, struct AdbcError *err)
{
    if (!driver)
        return fail(err, ADBC_STATUS_INVALID_ARGUMENT, NULL, "there is no driver structure to fill");
    if (version != ADBC_VERSION_1_0_0 && version != ADBC_VERSION_1_1_0)
        return fail(err, ADBC_STATUS_NOT_IMPLEMENTED, "0A000", "version %d of ADBC isn't supported; 1.0.0 and 1.1.0 are", version);
    memcpy(driver, &functions, version == ADBC_VERSION_1_0_0 ? ADBC_DRIVER_1_0_0_SIZE : ADBC_DRIVER_1_1_0_SIZE);
    return ADBC_STATUS_OK;
}

AdbcStatusCode AdbcDriverFrazilInit(int version, void *driver, struct AdbcError *err)
{
    return AdbcDriverInit(version, driver, err);
}
