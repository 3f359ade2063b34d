/*
 * adbc_abi.h: the structures of ADBC 1.1 (Arrow Database Connectivity), as its specification lays them out
 * (https://arrow.apache.org/adbc/): what a driver manager and a driver pass to each other. Layout, names and numbers are the
 * interface; libfrazil.so is a driver of it by its entry point AdbcDriverInit (src/adbc).
 *
 * A driver fills an AdbcDriver with functions. Every handle (AdbcDatabase, AdbcConnection, AdbcStatement) is a structure of the caller's whose
 * private_data is the driver's and NULL while there is nothing behind it. A function that fails gives a status and fills the
 * AdbcError, which may be NULL and which the caller releases.
 *
 * The include guard is the one that other headers of this interface use, so that only one of them takes effect.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef ADBC
#define ADBC

#include <frazil/arrow_abi.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ADBC_VERSION_1_0_0 1000000
#define ADBC_VERSION_1_1_0 1001000

/* ---- statuses and errors ---- */

typedef uint8_t AdbcStatusCode;

#define ADBC_STATUS_OK               0
#define ADBC_STATUS_UNKNOWN          1
#define ADBC_STATUS_NOT_IMPLEMENTED  2
#define ADBC_STATUS_NOT_FOUND        3
#define ADBC_STATUS_ALREADY_EXISTS   4
#define ADBC_STATUS_INVALID_ARGUMENT 5
#define ADBC_STATUS_INVALID_STATE    6
#define ADBC_STATUS_INVALID_DATA     7
#define ADBC_STATUS_INTEGRITY        8
#define ADBC_STATUS_INTERNAL         9
#define ADBC_STATUS_IO               10
#define ADBC_STATUS_CANCELLED        11
#define ADBC_STATUS_TIMEOUT          12
#define ADBC_STATUS_UNAUTHENTICATED  13
#define ADBC_STATUS_UNAUTHORIZED     14

struct AdbcDriver;

/* The caller sets vendor_code to this where its structure has the two members of revision 1.1. */
#define ADBC_ERROR_VENDOR_CODE_PRIVATE_DATA INT32_MIN

struct AdbcError {
    char *message;                      /* NULL or what `release` frees */
    int32_t vendor_code;
    char sqlstate[5];                   /* no NUL behind it; all zero: none */
    void (*release)(struct AdbcError *error);
    /* since 1.1: */
    void *private_data;                 /* the driver's: its error details */
    struct AdbcDriver *private_driver;  /* the driver manager's */
};

#define ADBC_ERROR_1_0_0_SIZE offsetof(struct AdbcError, private_data)
#define ADBC_ERROR_1_1_0_SIZE sizeof(struct AdbcError)
#ifndef __cplusplus
#define ADBC_ERROR_INIT ((struct AdbcError){.vendor_code = ADBC_ERROR_VENDOR_CODE_PRIVATE_DATA})
#endif

/* One detail of an error. Belongs to the error. */
struct AdbcErrorDetail {
    const char *key;
    const uint8_t *value;
    size_t value_length;
};

/* ---- handles ---- */

struct AdbcDatabase {
    void *private_data;
    struct AdbcDriver *private_driver;
};

struct AdbcConnection {
    void *private_data;
    struct AdbcDriver *private_driver;
};

struct AdbcStatement {
    void *private_data;
    struct AdbcDriver *private_driver;
};

/* Descriptors of the parts of a result; each is passed to ConnectionReadPartition as bytes. */
struct AdbcPartitions {
    size_t num_partitions;
    const uint8_t **partitions;
    const size_t *partition_lengths;
    void *private_data;
    void (*release)(struct AdbcPartitions *partitions);
};

/* ---- values of options ---- */

#define ADBC_OPTION_VALUE_ENABLED  "true"
#define ADBC_OPTION_VALUE_DISABLED "false"

#define ADBC_OPTION_URI      "uri"
#define ADBC_OPTION_USERNAME "username"
#define ADBC_OPTION_PASSWORD "password"

#define ADBC_CONNECTION_OPTION_AUTOCOMMIT        "adbc.connection.autocommit"
#define ADBC_CONNECTION_OPTION_READ_ONLY         "adbc.connection.readonly"
#define ADBC_CONNECTION_OPTION_CURRENT_CATALOG   "adbc.connection.catalog"
#define ADBC_CONNECTION_OPTION_CURRENT_DB_SCHEMA "adbc.connection.db_schema"
#define ADBC_CONNECTION_OPTION_ISOLATION_LEVEL   "adbc.connection.transaction.isolation_level"

#define ADBC_OPTION_ISOLATION_LEVEL_DEFAULT          "adbc.connection.transaction.isolation.default"
#define ADBC_OPTION_ISOLATION_LEVEL_READ_UNCOMMITTED "adbc.connection.transaction.isolation.read_uncommitted"
#define ADBC_OPTION_ISOLATION_LEVEL_READ_COMMITTED   "adbc.connection.transaction.isolation.read_committed"
#define ADBC_OPTION_ISOLATION_LEVEL_REPEATABLE_READ  "adbc.connection.transaction.isolation.repeatable_read"
#define ADBC_OPTION_ISOLATION_LEVEL_SNAPSHOT         "adbc.connection.transaction.isolation.snapshot"
#define ADBC_OPTION_ISOLATION_LEVEL_SERIALIZABLE     "adbc.connection.transaction.isolation.serializable"
#define ADBC_OPTION_ISOLATION_LEVEL_LINEARIZABLE     "adbc.connection.transaction.isolation.linearizable"

#define ADBC_STATEMENT_OPTION_INCREMENTAL  "adbc.statement.exec.incremental"
#define ADBC_STATEMENT_OPTION_PROGRESS     "adbc.statement.exec.progress"
#define ADBC_STATEMENT_OPTION_MAX_PROGRESS "adbc.statement.exec.max_progress"

#define ADBC_INGEST_OPTION_TARGET_TABLE     "adbc.ingest.target_table"
#define ADBC_INGEST_OPTION_TARGET_CATALOG   "adbc.ingest.target_catalog"
#define ADBC_INGEST_OPTION_TARGET_DB_SCHEMA "adbc.ingest.target_db_schema"
#define ADBC_INGEST_OPTION_TEMPORARY        "adbc.ingest.temporary"
#define ADBC_INGEST_OPTION_MODE             "adbc.ingest.mode"
#define ADBC_INGEST_OPTION_MODE_CREATE        "adbc.ingest.mode.create"
#define ADBC_INGEST_OPTION_MODE_APPEND        "adbc.ingest.mode.append"
#define ADBC_INGEST_OPTION_MODE_REPLACE       "adbc.ingest.mode.replace"
#define ADBC_INGEST_OPTION_MODE_CREATE_APPEND "adbc.ingest.mode.create_append"

/* ---- numbers of metadata ---- */

#define ADBC_INFO_VENDOR_NAME                  0
#define ADBC_INFO_VENDOR_VERSION               1
#define ADBC_INFO_VENDOR_ARROW_VERSION         2
#define ADBC_INFO_VENDOR_SQL                   3
#define ADBC_INFO_VENDOR_SUBSTRAIT             4
#define ADBC_INFO_VENDOR_SUBSTRAIT_MIN_VERSION 5
#define ADBC_INFO_VENDOR_SUBSTRAIT_MAX_VERSION 6
#define ADBC_INFO_DRIVER_NAME                  100
#define ADBC_INFO_DRIVER_VERSION               101
#define ADBC_INFO_DRIVER_ARROW_VERSION         102
#define ADBC_INFO_DRIVER_ADBC_VERSION          103

#define ADBC_OBJECT_DEPTH_ALL        0
#define ADBC_OBJECT_DEPTH_CATALOGS   1
#define ADBC_OBJECT_DEPTH_DB_SCHEMAS 2
#define ADBC_OBJECT_DEPTH_TABLES     3
#define ADBC_OBJECT_DEPTH_COLUMNS    ADBC_OBJECT_DEPTH_ALL

#define ADBC_STATISTIC_AVERAGE_BYTE_WIDTH_KEY  0
#define ADBC_STATISTIC_AVERAGE_BYTE_WIDTH_NAME "adbc.statistic.byte_width"
#define ADBC_STATISTIC_DISTINCT_COUNT_KEY      1
#define ADBC_STATISTIC_DISTINCT_COUNT_NAME     "adbc.statistic.distinct_count"
#define ADBC_STATISTIC_MAX_BYTE_WIDTH_KEY      2
#define ADBC_STATISTIC_MAX_BYTE_WIDTH_NAME     "adbc.statistic.max_byte_width"
#define ADBC_STATISTIC_MAX_VALUE_KEY           3
#define ADBC_STATISTIC_MAX_VALUE_NAME          "adbc.statistic.max_value"
#define ADBC_STATISTIC_MIN_VALUE_KEY           4
#define ADBC_STATISTIC_MIN_VALUE_NAME          "adbc.statistic.min_value"
#define ADBC_STATISTIC_NULL_COUNT_KEY          5
#define ADBC_STATISTIC_NULL_COUNT_NAME         "adbc.statistic.null_count"
#define ADBC_STATISTIC_ROW_COUNT_KEY           6
#define ADBC_STATISTIC_ROW_COUNT_NAME          "adbc.statistic.row_count"

/* ---- the driver ---- */

/* The order of the members is the interface. Getters of texts and bytes take the buffer's size in *length and leave the value's
 * there, with the NUL of a text counted; a value that doesn't fit isn't written. */
struct AdbcDriver {
    void *private_data;
    void *private_manager;
    AdbcStatusCode (*release)(struct AdbcDriver *, struct AdbcError *);

    AdbcStatusCode (*DatabaseInit)(struct AdbcDatabase *, struct AdbcError *);
    AdbcStatusCode (*DatabaseNew)(struct AdbcDatabase *, struct AdbcError *);
    AdbcStatusCode (*DatabaseSetOption)(struct AdbcDatabase *, const char *key, const char *value, struct AdbcError *);
    AdbcStatusCode (*DatabaseRelease)(struct AdbcDatabase *, struct AdbcError *);

    AdbcStatusCode (*ConnectionCommit)(struct AdbcConnection *, struct AdbcError *);
    AdbcStatusCode (*ConnectionGetInfo)(struct AdbcConnection *, const uint32_t *codes, size_t n_codes, struct ArrowArrayStream *,
                                        struct AdbcError *);
    AdbcStatusCode (*ConnectionGetObjects)(struct AdbcConnection *, int depth, const char *catalog, const char *db_schema,
                                           const char *table_name, const char **table_types, const char *column_name,
                                           struct ArrowArrayStream *, struct AdbcError *);
    AdbcStatusCode (*ConnectionGetTableSchema)(struct AdbcConnection *, const char *catalog, const char *db_schema,
                                               const char *table_name, struct ArrowSchema *, struct AdbcError *);
    AdbcStatusCode (*ConnectionGetTableTypes)(struct AdbcConnection *, struct ArrowArrayStream *, struct AdbcError *);
    AdbcStatusCode (*ConnectionInit)(struct AdbcConnection *, struct AdbcDatabase *, struct AdbcError *);
    AdbcStatusCode (*ConnectionNew)(struct AdbcConnection *, struct AdbcError *);
    AdbcStatusCode (*ConnectionSetOption)(struct AdbcConnection *, const char *key, const char *value, struct AdbcError *);
    AdbcStatusCode (*ConnectionReadPartition)(struct AdbcConnection *, const uint8_t *partition, size_t size,
                                              struct ArrowArrayStream *, struct AdbcError *);
    AdbcStatusCode (*ConnectionRelease)(struct AdbcConnection *, struct AdbcError *);
    AdbcStatusCode (*ConnectionRollback)(struct AdbcConnection *, struct AdbcError *);

    AdbcStatusCode (*StatementBind)(struct AdbcStatement *, struct ArrowArray *, struct ArrowSchema *, struct AdbcError *);
    AdbcStatusCode (*StatementBindStream)(struct AdbcStatement *, struct ArrowArrayStream *, struct AdbcError *);
    AdbcStatusCode (*StatementExecuteQuery)(struct AdbcStatement *, struct ArrowArrayStream *, int64_t *rows, struct AdbcError *);
    AdbcStatusCode (*StatementExecutePartitions)(struct AdbcStatement *, struct ArrowSchema *, struct AdbcPartitions *, int64_t *rows,
                                                 struct AdbcError *);
    AdbcStatusCode (*StatementGetParameterSchema)(struct AdbcStatement *, struct ArrowSchema *, struct AdbcError *);
    AdbcStatusCode (*StatementNew)(struct AdbcConnection *, struct AdbcStatement *, struct AdbcError *);
    AdbcStatusCode (*StatementPrepare)(struct AdbcStatement *, struct AdbcError *);
    AdbcStatusCode (*StatementRelease)(struct AdbcStatement *, struct AdbcError *);
    AdbcStatusCode (*StatementSetOption)(struct AdbcStatement *, const char *key, const char *value, struct AdbcError *);
    AdbcStatusCode (*StatementSetSqlQuery)(struct AdbcStatement *, const char *sql, struct AdbcError *);
    AdbcStatusCode (*StatementSetSubstraitPlan)(struct AdbcStatement *, const uint8_t *plan, size_t size, struct AdbcError *);

    /* since 1.1: */
    int (*ErrorGetDetailCount)(const struct AdbcError *);
    struct AdbcErrorDetail (*ErrorGetDetail)(const struct AdbcError *, int index);
    const struct AdbcError *(*ErrorFromArrayStream)(struct ArrowArrayStream *, AdbcStatusCode *status);

    AdbcStatusCode (*DatabaseGetOption)(struct AdbcDatabase *, const char *key, char *value, size_t *length, struct AdbcError *);
    AdbcStatusCode (*DatabaseGetOptionBytes)(struct AdbcDatabase *, const char *key, uint8_t *value, size_t *length,
                                             struct AdbcError *);
    AdbcStatusCode (*DatabaseGetOptionDouble)(struct AdbcDatabase *, const char *key, double *value, struct AdbcError *);
    AdbcStatusCode (*DatabaseGetOptionInt)(struct AdbcDatabase *, const char *key, int64_t *value, struct AdbcError *);
    AdbcStatusCode (*DatabaseSetOptionBytes)(struct AdbcDatabase *, const char *key, const uint8_t *value, size_t length,
                                             struct AdbcError *);
    AdbcStatusCode (*DatabaseSetOptionDouble)(struct AdbcDatabase *, const char *key, double value, struct AdbcError *);
    AdbcStatusCode (*DatabaseSetOptionInt)(struct AdbcDatabase *, const char *key, int64_t value, struct AdbcError *);

    AdbcStatusCode (*ConnectionCancel)(struct AdbcConnection *, struct AdbcError *);
    AdbcStatusCode (*ConnectionGetOption)(struct AdbcConnection *, const char *key, char *value, size_t *length, struct AdbcError *);
    AdbcStatusCode (*ConnectionGetOptionBytes)(struct AdbcConnection *, const char *key, uint8_t *value, size_t *length,
                                               struct AdbcError *);
    AdbcStatusCode (*ConnectionGetOptionDouble)(struct AdbcConnection *, const char *key, double *value, struct AdbcError *);
    AdbcStatusCode (*ConnectionGetOptionInt)(struct AdbcConnection *, const char *key, int64_t *value, struct AdbcError *);
    AdbcStatusCode (*ConnectionGetStatistics)(struct AdbcConnection *, const char *catalog, const char *db_schema,
                                              const char *table_name, char approximate, struct ArrowArrayStream *,
                                              struct AdbcError *);
    AdbcStatusCode (*ConnectionGetStatisticNames)(struct AdbcConnection *, struct ArrowArrayStream *, struct AdbcError *);
    AdbcStatusCode (*ConnectionSetOptionBytes)(struct AdbcConnection *, const char *key, const uint8_t *value, size_t length,
                                               struct AdbcError *);
    AdbcStatusCode (*ConnectionSetOptionDouble)(struct AdbcConnection *, const char *key, double value, struct AdbcError *);
    AdbcStatusCode (*ConnectionSetOptionInt)(struct AdbcConnection *, const char *key, int64_t value, struct AdbcError *);

    AdbcStatusCode (*StatementCancel)(struct AdbcStatement *, struct AdbcError *);
    AdbcStatusCode (*StatementExecuteSchema)(struct AdbcStatement *, struct ArrowSchema *, struct AdbcError *);
    AdbcStatusCode (*StatementGetOption)(struct AdbcStatement *, const char *key, char *value, size_t *length, struct AdbcError *);
    AdbcStatusCode (*StatementGetOptionBytes)(struct AdbcStatement *, const char *key, uint8_t *value, size_t *length,
                                              struct AdbcError *);
    AdbcStatusCode (*StatementGetOptionDouble)(struct AdbcStatement *, const char *key, double *value, struct AdbcError *);
    AdbcStatusCode (*StatementGetOptionInt)(struct AdbcStatement *, const char *key, int64_t *value, struct AdbcError *);
    AdbcStatusCode (*StatementSetOptionBytes)(struct AdbcStatement *, const char *key, const uint8_t *value, size_t length,
                                              struct AdbcError *);
    AdbcStatusCode (*StatementSetOptionDouble)(struct AdbcStatement *, const char *key, double value, struct AdbcError *);
    AdbcStatusCode (*StatementSetOptionInt)(struct AdbcStatement *, const char *key, int64_t value, struct AdbcError *);
};

#define ADBC_DRIVER_1_0_0_SIZE offsetof(struct AdbcDriver, ErrorGetDetailCount)
#define ADBC_DRIVER_1_1_0_SIZE sizeof(struct AdbcDriver)

/* The entry point: fills an AdbcDriver of that version, of which `driver` points to at least the members. */
typedef AdbcStatusCode (*AdbcDriverInitFunc)(int version, void *driver, struct AdbcError *error);

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
AdbcStatusCode AdbcDriverInit(int version, void *driver, struct AdbcError *error);
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
AdbcStatusCode AdbcDriverFrazilInit(int version, void *driver, struct AdbcError *error);

#ifdef __cplusplus
}
#endif
#endif
