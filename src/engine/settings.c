/*
 * settings.c: SET, RESET and SHOW of settings. There are few: the time zone, which is UTC, and the current namespace under
 * the names that other systems have for it.
 */
#include "engine/engine_int.h"

#include "engine/rows.h"

typedef enum setting { SETTING_TIME_ZONE, SETTING_SCHEMA } setting;

static const struct { const char *name; setting which; } settings[] = {
    {"schema", SETTING_SCHEMA}, {"search_path", SETTING_SCHEMA}, {"timezone", SETTING_TIME_ZONE},
};
#define N_SETTINGS (sizeof settings / sizeof settings[0])

static const char *setting_value(const fz_session *s, setting which)
{
    return which == SETTING_SCHEMA ? s->ns : "UTC";
}

static fz_status find_setting(const ast_stmt *ast, setting *out, fz_error *err)
{
    str names[N_SETTINGS];
    for (size_t i = 0; i < N_SETTINGS; i++) {
        names[i] = str_of(settings[i].name);
        if (str_eq(ast->set.name, names[i])) {
            *out = settings[i].which;
            return FZ_OK;
        }
    }
    error_sql(err, FZ_INVALID, "42704", "there is no setting \"" STR_FMT "\"", STR_ARG(ast->set.name));
    error_line(err, ast->pos.line, ast->pos.column);
    sql_hint_nearest(err, ast->set.name, N_SETTINGS, names);
    error_hint(err, "SHOW ALL lists the settings");
    return FZ_INVALID;
}

static fz_status set_time_zone(const ast_stmt *ast, fz_error *err)
{
    static const char *const utc[] = {"utc", "etc/utc", "gmt", "etc/gmt", "zulu", "z", "universal", "uct", "+00", "+00:00", "0"};
    str v = ast->set.value;
    for (size_t i = 0; i < sizeof utc / sizeof utc[0]; i++)
        if (str_ieq(v, str_of(utc[i])))
            return FZ_OK;
    error_set(err, FZ_UNSUPPORTED, "the time zone \"" STR_FMT "\" isn't supported: times are shown in UTC", STR_ARG(v));
    error_line(err, ast->pos.line, ast->pos.column);
    return FZ_UNSUPPORTED;
}

static fz_status set_schema(statement *st, str value, fz_error *err)
{
    const ast_stmt *ast = st->ast;
    sql_name name;
    fz_status r = sql_parse_name(value, &st->a, &name, NULL);
    if (r) {
        error_set(err, r == FZ_NOMEM ? r : FZ_INVALID, STR_FMT " takes one namespace, not \"" STR_FMT "\"", STR_ARG(ast->set.name), STR_ARG(value));
        error_line(err, ast->pos.line, ast->pos.column);
        return r == FZ_NOMEM ? r : FZ_INVALID;
    }
    r = session_use(st->s, &name, &st->a, err);
    if (r && err) { /* a place within the statement, not within the value */
        err->line = ast->pos.line;
        err->column = ast->pos.column;
    }
    return r;
}

static fz_status set_setting(statement *st, fz_error *err)
{
    const ast_stmt *ast = st->ast;
    setting which;
    if (ast->kind == ST_RESET && str_eqz(ast->set.name, "all"))
        return set_schema(st, STR("default"), err);
    TRY(find_setting(ast, &which, err));
    bool reset = ast->kind == ST_RESET || ast->set.is_default;
    if (which == SETTING_SCHEMA)
        return set_schema(st, reset ? STR("default") : ast->set.value, err);
    return reset ? FZ_OK : set_time_zone(ast, err);
}

static fz_status show_setting(statement *st, rows *r, fz_error *err)
{
    static const char *const all[] = {"name", "setting"};
    setting which;
    if (str_eqz(st->ast->set.name, "all")) {
        rows_init(r, st, 2, all);
        for (size_t i = 0; i < N_SETTINGS; i++) {
            rows_z(r, settings[i].name);
            rows_z(r, setting_value(st->s, settings[i].which));
        }
        return FZ_OK;
    }
    TRY(find_setting(st->ast, &which, err));
    const char *name[] = {NULL};
    for (size_t i = 0; i < N_SETTINGS; i++)
        if (str_eqz(st->ast->set.name, settings[i].name))
            name[0] = settings[i].name;
    rows_init(r, st, 1, name);
    rows_z(r, setting_value(st->s, which));
    return FZ_OK;
}

fz_status run_setting(statement *st, fz_result **out, fz_error *err)
{
    fz_session *s = st->s;
    const char *tag = st->ast->what;
    if (st->ast->kind == ST_SHOW) {
        rows r = {0};
        fz_status f = show_setting(st, &r, err);
        if (!f)
            return rows_result(&r, tag, out, err);
        statement_free(st);
        return f;
    }
    fz_result *done;
    fz_status f = result_begin(s, tag, &done, err);
    if (!f)
        f = set_setting(st, err);
    statement_free(st);
    return result_end(done, f, -1, out);
}
