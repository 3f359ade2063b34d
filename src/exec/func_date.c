/*
 * func_date.c: functions of dates and times. Timestamps with time zone are taken apart in UTC.
 *
 * Fields of extract and date_part are bigint; `epoch` and `second` are cut to whole seconds (epoch(x) gives the
 * fraction, too). Units and fields are constants in practice and looked up once per call then.
 */
#include "exec/text_int.h"

#include "arrow/civil.h"

#include <stdio.h>
#include <time.h>

#define US  1ll
#define SEC 1000000ll
#define DAY MICROS_PER_DAY

enum field {
    F_MICROSECOND, F_MILLISECOND, F_SECOND, F_MINUTE, F_HOUR, F_DAY, F_WEEK, F_MONTH, F_QUARTER, F_YEAR, F_DECADE,
    F_CENTURY, F_MILLENNIUM, F_DOW, F_ISODOW, F_DOY, F_ISOYEAR, F_EPOCH, F_NONE,
};
static const struct { const char *name; enum field f; } field_names[] = {
    {"microsecond", F_MICROSECOND}, {"us", F_MICROSECOND}, {"millisecond", F_MILLISECOND}, {"ms", F_MILLISECOND},
    {"second", F_SECOND}, {"sec", F_SECOND}, {"s", F_SECOND}, {"minute", F_MINUTE}, {"min", F_MINUTE}, {"hour", F_HOUR}, {"h", F_HOUR},
    {"day", F_DAY}, {"d", F_DAY}, {"dayofmonth", F_DAY}, {"week", F_WEEK}, {"w", F_WEEK}, {"weekofyear", F_WEEK}, {"month", F_MONTH},
    {"mon", F_MONTH}, {"quarter", F_QUARTER}, {"year", F_YEAR}, {"y", F_YEAR}, {"decade", F_DECADE}, {"century", F_CENTURY},
    {"millennium", F_MILLENNIUM}, {"dow", F_DOW}, {"dayofweek", F_DOW}, {"weekday", F_DOW}, {"isodow", F_ISODOW}, {"doy", F_DOY},
    {"dayofyear", F_DOY}, {"isoyear", F_ISOYEAR}, {"epoch", F_EPOCH},
};

static enum field field_find(str s)
{
    for (size_t i = 0; i < sizeof field_names / sizeof *field_names; i++) {
        str n = str_of(field_names[i].name);
        if (str_ieq(s, n) || (s.n == n.n + 1 && (s.p[n.n] | 0x20) == 's' && n.n > 2 && str_ieq((str){s.p, n.n}, n)))
            return field_names[i].f; /* also "days" */
    }
    return F_NONE;
}

static fz_status field_at(kcall *c, const vec *v, uint32_t i, enum field *f, fz_error *err)
{
    str s = text_at(v, i);
    *f = field_find(s);
    if (*f == F_NONE)
        return kernel_error(c, err, "22023", "there is no date field \"" STR_FMT "\"", STR_ARG(s));
    return FZ_OK;
}

/* Days and microseconds of the day of a row. */
static void split_at(const vec *v, uint32_t row, int64_t *days, int64_t *us)
{
    uint32_t i = v->enc == VEC_CONST ? 0 : row;
    if (v->t.id == T_DATE) {
        *days = ((const int32_t *)v->data)[i];
        *us = 0;
        return;
    }
    int64_t x = ((const int64_t *)v->data)[i];
    *days = v->t.id == T_TIME ? 0 : civil_floor_div(x, DAY);
    *us = x - *days * DAY;
}

static int64_t iso_weekday(int64_t days) { return (days + 3) - civil_floor_div(days + 3, 7) * 7 + 1; } /* 1970-01-01: Thursday */

static void iso_week(int64_t days, int64_t *year, int64_t *week)
{
    int64_t thursday = days - iso_weekday(days) + 4;
    *year = civil_from_days(thursday).year;
    *week = (thursday - civil_to_days(*year, 1, 1)) / 7 + 1;
}

static int64_t field_value(enum field f, int64_t days, int64_t us)
{
    civil_date d = civil_from_days(days);
    int64_t a, b;
    switch (f) {
    case F_MICROSECOND: return us % (60 * SEC);
    case F_MILLISECOND: return us % (60 * SEC) / 1000;
    case F_SECOND: return us / SEC % 60;
    case F_MINUTE: return us / (60 * SEC) % 60;
    case F_HOUR: return us / (3600 * SEC);
    case F_DAY: return d.day;
    case F_WEEK: iso_week(days, &a, &b); return b;
    case F_MONTH: return d.month;
    case F_QUARTER: return (d.month + 2) / 3;
    case F_YEAR: return d.year > 0 ? d.year : d.year - 1;
    case F_DECADE: return civil_floor_div(d.year, 10);
    case F_CENTURY: return d.year > 0 ? (d.year + 99) / 100 : -((100 - d.year) / 100);
    case F_MILLENNIUM: return d.year > 0 ? (d.year + 999) / 1000 : -((1000 - d.year) / 1000);
    case F_DOW: return iso_weekday(days) % 7;
    case F_ISODOW: return iso_weekday(days);
    case F_DOY: return days - civil_to_days(d.year, 1, 1) + 1;
    case F_ISOYEAR: iso_week(days, &a, &b); return a;
    case F_EPOCH: return days * 86400 + us / SEC;
    case F_NONE: break;
    }
    return 0;
}

static fz_status date_part(kcall *c, fz_error *err)
{
    enum field f = F_NONE;
    EACH_ROW(c, i)
    {
        int64_t days, us;
        if (f == F_NONE || c->args[0].enc != VEC_CONST)
            TRY(field_at(c, &c->args[0], i, &f, err));
        if (c->args[1].t.id == T_TIME && f >= F_DAY && f != F_EPOCH)
            return kernel_error(c, err, "22023", "a time has no such field");
        split_at(&c->args[1], i, &days, &us);
        ((int64_t *)c->out->data)[i] = field_value(f, days, us);
    }
    return FZ_OK;
}

/* year(x), month(x), …: the function's name is the field. */
static fz_status field_fn(kcall *c, fz_error *err)
{
    enum field f = field_find(str_of(c->e->fn->name));
    EACH_ROW(c, i)
    {
        int64_t days, us;
        split_at(&c->args[0], i, &days, &us);
        ((int64_t *)c->out->data)[i] = field_value(f, days, us);
    }
    return FZ_OK;
}
static fz_status epoch(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        int64_t days, us;
        split_at(&c->args[0], i, &days, &us);
        ((double *)c->out->data)[i] = (double)(days * 86400) + (double)us / 1e6;
    }
    return FZ_OK;
}

/* ---- cutting ---- */

static int64_t trunc_days(enum field f, int64_t days)
{
    civil_date d = civil_from_days(days);
    switch (f) {
    case F_WEEK: return days - iso_weekday(days) + 1;
    case F_MONTH: return civil_to_days(d.year, d.month, 1);
    case F_QUARTER: return civil_to_days(d.year, (d.month - 1) / 3 * 3 + 1, 1);
    case F_YEAR: return civil_to_days(d.year, 1, 1);
    case F_DECADE: return civil_to_days(civil_floor_div(d.year, 10) * 10, 1, 1);
    case F_CENTURY: return civil_to_days(civil_floor_div(d.year - 1, 100) * 100 + 1, 1, 1);
    case F_MILLENNIUM: return civil_to_days(civil_floor_div(d.year - 1, 1000) * 1000 + 1, 1, 1);
    default: return days;
    }
}

static fz_status date_trunc(kcall *c, fz_error *err)
{
    enum field f = F_NONE;
    bool date = c->out->t.id == T_DATE;
    EACH_ROW(c, i)
    {
        int64_t days, us;
        if (f == F_NONE || c->args[0].enc != VEC_CONST)
            TRY(field_at(c, &c->args[0], i, &f, err));
        if (f > F_MILLENNIUM)
            return kernel_error(c, err, "22023", "date_trunc can't cut to \"" STR_FMT "\"", STR_ARG(text_at(&c->args[0], i)));
        split_at(&c->args[1], i, &days, &us);
        static const int64_t size[] = {US, 1000, SEC, 60 * SEC, 3600 * SEC, DAY};
        if (f <= F_DAY) {
            us -= us % size[f];
        } else {
            days = trunc_days(f, days);
            us = 0;
        }
        int64_t v;
        if (date)
            v = days;
        else if (__builtin_mul_overflow(days, DAY, &v) || __builtin_add_overflow(v, us, &v))
            return kernel_error(c, err, "22008", "timestamp out of range");
        if (date && v != (int32_t)v)
            return kernel_error(c, err, "22008", "date out of range");
        if (date)
            ((int32_t *)c->out->data)[i] = (int32_t)v;
        else
            ((int64_t *)c->out->data)[i] = v;
    }
    return FZ_OK;
}

static fz_status last_day(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        int64_t days, us;
        split_at(&c->args[0], i, &days, &us);
        civil_date d = civil_from_days(days);
        ((int32_t *)c->out->data)[i] = (int32_t)civil_to_days(d.year, d.month, civil_month_days(d.year, d.month));
    }
    return FZ_OK;
}

/* ---- adding ---- */

static bool add_parts(int64_t days, int64_t us, int64_t months, int64_t more_days, int64_t more_us, int64_t *out)
{
    if (months) {
        civil_date d = civil_from_days(days);
        int64_t m;
        if (__builtin_add_overflow(d.year * 12 + d.month - 1, months, &m) || m > 12ll * 400000 || m < -12ll * 400000)
            return false;
        int64_t year = civil_floor_div(m, 12);
        int month = (int)(m - year * 12) + 1, max = civil_month_days(year, month);
        days = civil_to_days(year, month, d.day < max ? d.day : max);
    }
    int64_t v;
    return !__builtin_add_overflow(days, more_days, &days) && !__builtin_mul_overflow(days, DAY, &v) &&
           !__builtin_add_overflow(v, us, &v) && !__builtin_add_overflow(v, more_us, out);
}

static fz_status out_of_range(kcall *c, fz_error *err) { return kernel_error(c, err, "22008", "timestamp out of range"); }

/* x + interval: add_interval(x, months, days, microseconds) */
static fz_status add_interval(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        int64_t days, us;
        split_at(&c->args[0], i, &days, &us);
        if (!add_parts(days, us, i64_at(&c->args[1], i), i64_at(&c->args[2], i), i64_at(&c->args[3], i), (int64_t *)c->out->data + i))
            return out_of_range(c, err);
    }
    return FZ_OK;
}

/* date_add(x, n, unit) */
static fz_status date_add(kcall *c, fz_error *err)
{
    enum field f = F_NONE;
    EACH_ROW(c, i)
    {
        int64_t days, us, n = i64_at(&c->args[1], i), months = 0, d = 0, t = 0;
        static const int64_t size[] = {US, 1000, SEC, 60 * SEC, 3600 * SEC};
        static const int64_t in_months[] = {[F_MONTH] = 1, [F_QUARTER] = 3, [F_YEAR] = 12, [F_DECADE] = 120, [F_CENTURY] = 1200, [F_MILLENNIUM] = 12000};
        if (f == F_NONE || c->args[2].enc != VEC_CONST)
            TRY(field_at(c, &c->args[2], i, &f, err));
        if (f > F_MILLENNIUM)
            return kernel_error(c, err, "22023", "date_add can't add \"" STR_FMT "\"", STR_ARG(text_at(&c->args[2], i)));
        split_at(&c->args[0], i, &days, &us);
        bool over = f <= F_HOUR ? __builtin_mul_overflow(n, size[f], &t)
                  : f <= F_WEEK ? __builtin_mul_overflow(n, f == F_WEEK ? 7 : 1, &d) : __builtin_mul_overflow(n, in_months[f], &months);
        if (over || !add_parts(days, us, months, d, t, (int64_t *)c->out->data + i))
            return out_of_range(c, err);
    }
    return FZ_OK;
}

/* date_diff(unit, a, b): boundaries between a and b, as DuckDB counts them. */
static fz_status date_diff(kcall *c, fz_error *err)
{
    enum field f = F_NONE;
    EACH_ROW(c, i)
    {
        int64_t d[2], us[2], v[2];
        static const int64_t size[] = {US, 1000, SEC, 60 * SEC, 3600 * SEC};
        if (f == F_NONE || c->args[0].enc != VEC_CONST)
            TRY(field_at(c, &c->args[0], i, &f, err));
        for (int k = 0; k < 2; k++) {
            split_at(&c->args[k + 1], i, &d[k], &us[k]);
            civil_date x = civil_from_days(d[k]);
            switch (f) {
            case F_MICROSECOND: case F_MILLISECOND: case F_SECOND: case F_MINUTE: case F_HOUR:
                if (__builtin_mul_overflow(d[k], DAY / size[f], &v[k]) || __builtin_add_overflow(v[k], us[k] / size[f], &v[k]))
                    return out_of_range(c, err);
                break;
            case F_DAY: v[k] = d[k]; break;
            case F_WEEK: v[k] = civil_floor_div(d[k] + 3, 7); break;
            case F_MONTH: v[k] = x.year * 12 + x.month; break;
            case F_QUARTER: v[k] = x.year * 4 + (x.month - 1) / 3; break;
            case F_YEAR: v[k] = x.year; break;
            case F_DECADE: v[k] = civil_floor_div(x.year, 10); break;
            case F_CENTURY: v[k] = civil_floor_div(x.year - 1, 100); break;
            case F_MILLENNIUM: v[k] = civil_floor_div(x.year - 1, 1000); break;
            default: return kernel_error(c, err, "22023", "date_diff doesn't count \"" STR_FMT "\"", STR_ARG(text_at(&c->args[0], i)));
            }
        }
        if (__builtin_sub_overflow(v[1], v[0], (int64_t *)c->out->data + i))
            return out_of_range(c, err);
    }
    return FZ_OK;
}

/* ---- making ---- */

static fz_status make_date(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        int64_t y = i64_at(&c->args[0], i), m = i64_at(&c->args[1], i), d = i64_at(&c->args[2], i);
        if (y < -4712 || y > 5000000 || m < 1 || m > 12 || d < 1 || d > 31 || !civil_valid(y, (int)m, (int)d))
            return kernel_error(c, err, "22008", "there is no date %lld-%02lld-%02lld", (long long)y, (long long)m, (long long)d);
        ((int32_t *)c->out->data)[i] = (int32_t)civil_to_days(y, (int)m, (int)d);
    }
    return FZ_OK;
}
static fz_status make_timestamp(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        int64_t v[5];
        for (int k = 0; k < 5; k++)
            v[k] = i64_at(&c->args[k], i);
        double s = ((const double *)c->args[5].data)[c->args[5].enc == VEC_CONST ? 0 : i];
        if (v[0] < -4712 || v[0] > 290000 || v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > 31 || !civil_valid(v[0], (int)v[1], (int)v[2]) ||
            v[3] < 0 || v[3] > 23 || v[4] < 0 || v[4] > 59 || !(s >= 0 && s < 60))
            return kernel_error(c, err, "22008", "date or time field out of range");
        ((int64_t *)c->out->data)[i] = civil_to_days(v[0], (int)v[1], (int)v[2]) * DAY + (v[3] * 3600 + v[4] * 60) * SEC + (int64_t)(s * 1e6 + 0.5);
    }
    return FZ_OK;
}
static fz_status to_timestamp(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        double s = ((const double *)c->args[0].data)[c->args[0].enc == VEC_CONST ? 0 : i];
        double us = s * 1e6;
        if (!(us > -9.2e18 && us < 9.2e18))
            return out_of_range(c, err);
        ((int64_t *)c->out->data)[i] = (int64_t)(us + (us < 0 ? -0.5 : 0.5));
    }
    return FZ_OK;
}

/* The time at which the evaluator was opened: one for all rows. */
typedef struct clock_state { mem *m; int64_t us; } clock_state;
static fz_status clock_open(const expr *e, const datum *const *consts, mem *m, void **state, fz_error *err)
{
    clock_state *s = mem_alloc(m, sizeof *s);
    struct timespec t;
    if (!s)
        return error_nomem(err);
    clock_gettime(CLOCK_REALTIME, &t);
    *s = (clock_state){m, t.tv_sec * SEC + t.tv_nsec / 1000};
    *state = s;
    return FZ_OK;
}
static void clock_close(void *state) { mem_free(((clock_state *)state)->m, state, sizeof(clock_state)); }
static fz_status now(kcall *c, fz_error *err)
{
    EACH_ROW(c, i) ((int64_t *)c->out->data)[i] = ((clock_state *)c->state)->us;
    return FZ_OK;
}
static fz_status current_date(kcall *c, fz_error *err)
{
    EACH_ROW(c, i) ((int32_t *)c->out->data)[i] = (int32_t)civil_floor_div(((clock_state *)c->state)->us, DAY);
    return FZ_OK;
}

/* ---- text ---- */

static const char *const months[] = {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"};
static const char *const days_of_week[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

static fz_status name_fn(kcall *c, fz_error *err)
{
    bool month = c->e->fn->name[0] == 'm';
    EACH_ROW(c, i)
    {
        int64_t days, us;
        split_at(&c->args[0], i, &days, &us);
        const char *s = month ? months[civil_from_days(days).month - 1] : days_of_week[iso_weekday(days) % 7];
        text_set(c, i, s, strlen(s));
    }
    return FZ_OK;
}

/* strftime: %Y %m %d %H %M %S %f (microseconds) %j %y %b %B %a %A %e %I %p %F %T %u %w %V %G %% */
static bool format_one(char f, int64_t days, int64_t us, sbuf *out)
{
    civil_date d = civil_from_days(days);
    int64_t a, b, h = us / (3600 * SEC);
    switch (f) {
    case 'Y': sbuf_printf(out, "%04lld", (long long)d.year); return true;
    case 'y': sbuf_printf(out, "%02lld", (long long)(d.year - civil_floor_div(d.year, 100) * 100)); return true;
    case 'm': sbuf_printf(out, "%02d", d.month); return true;
    case 'd': sbuf_printf(out, "%02d", d.day); return true;
    case 'e': sbuf_printf(out, "%2d", d.day); return true;
    case 'H': sbuf_printf(out, "%02lld", (long long)h); return true;
    case 'I': sbuf_printf(out, "%02lld", (long long)(h % 12 ? h % 12 : 12)); return true;
    case 'p': sbuf_addz(out, h < 12 ? "AM" : "PM"); return true;
    case 'M': sbuf_printf(out, "%02lld", (long long)(us / (60 * SEC) % 60)); return true;
    case 'S': sbuf_printf(out, "%02lld", (long long)(us / SEC % 60)); return true;
    case 'f': sbuf_printf(out, "%06lld", (long long)(us % SEC)); return true;
    case 'j': sbuf_printf(out, "%03lld", (long long)field_value(F_DOY, days, us)); return true;
    case 'b': sbuf_add(out, months[d.month - 1], 3); return true;
    case 'B': sbuf_addz(out, months[d.month - 1]); return true;
    case 'a': sbuf_add(out, days_of_week[iso_weekday(days) % 7], 3); return true;
    case 'A': sbuf_addz(out, days_of_week[iso_weekday(days) % 7]); return true;
    case 'u': sbuf_i64(out, iso_weekday(days)); return true;
    case 'w': sbuf_i64(out, iso_weekday(days) % 7); return true;
    case 'V': iso_week(days, &a, &b); sbuf_printf(out, "%02lld", (long long)b); return true;
    case 'G': iso_week(days, &a, &b); sbuf_printf(out, "%04lld", (long long)a); return true;
    case 'F': sbuf_printf(out, "%04lld-%02d-%02d", (long long)d.year, d.month, d.day); return true;
    case 'T': sbuf_printf(out, "%02lld:%02lld:%02lld", (long long)h, (long long)(us / (60 * SEC) % 60), (long long)(us / SEC % 60)); return true;
    case '%': sbuf_addc(out, '%'); return true;
    default: return false;
    }
}
static fz_status strftime_row(kcall *c, str f, int64_t days, int64_t us, sbuf *out, fz_error *err)
{
    for (size_t k = 0; k < f.n; k++) {
        if (f.p[k] != '%') {
            sbuf_addc(out, f.p[k]);
            continue;
        }
        char x = k + 1 < f.n ? f.p[++k] : 0;
        if (!format_one(x, days, us, out))
            return kernel_error(c, err, "22023", "strftime doesn't know %%%c", x ? x : ' ');
    }
    return out->failed ? error_nomem(err) : FZ_OK;
}

/* to_char: YYYY YY MM DD HH24 HH12 HH MI SS MS US DDD Mon Month Dy Day AM PM Q; other characters as they are. */
static const struct { const char *pattern, *as; } char_patterns[] = {
    {"YYYY", "%Y"}, {"YY", "%y"}, {"MM", "%m"}, {"DDD", "%j"}, {"DD", "%d"}, {"HH24", "%H"}, {"HH12", "%I"}, {"HH", "%I"}, {"MI", "%M"},
    {"SS", "%S"}, {"US", "%f"}, {"Month", "%B"}, {"Mon", "%b"}, {"Day", "%A"}, {"Dy", "%a"}, {"AM", "%p"}, {"PM", "%p"}, {"IW", "%V"}, {"IYYY", "%G"},
};
static fz_status to_char_row(kcall *c, str f, int64_t days, int64_t us, sbuf *out, fz_error *err)
{
    for (size_t k = 0; k < f.n;) {
        str rest = {f.p + k, f.n - k};
        size_t p = 0, count = sizeof char_patterns / sizeof *char_patterns;
        while (p < count && !str_starts(rest, str_of(char_patterns[p].pattern)))
            p++;
        if (p < count) {
            format_one(char_patterns[p].as[1], days, us, out);
            k += strlen(char_patterns[p].pattern);
        } else if (str_starts(rest, STR("MS"))) {
            sbuf_printf(out, "%03lld", (long long)(us % SEC / 1000));
            k += 2;
        } else if (rest.p[0] == 'Q') {
            sbuf_i64(out, field_value(F_QUARTER, days, us));
            k++;
        } else {
            sbuf_addc(out, f.p[k++]);
        }
    }
    return out->failed ? error_nomem(err) : FZ_OK;
}
static fz_status format_fn(kcall *c, fz_error *err)
{
    bool pg = c->e->fn->name[0] == 't';
    sbuf b;
    fz_status st = FZ_OK;
    sbuf_init(&b, NULL);
    EACH_ROW(c, i)
    {
        int64_t days, us;
        str f = text_at(&c->args[1], i);
        split_at(&c->args[0], i, &days, &us);
        sbuf_clear(&b);
        st = pg ? to_char_row(c, f, days, us, &b, err) : strftime_row(c, f, days, us, &b, err);
        if (st == FZ_OK)
            st = text_copy(c, i, b.p, b.n, err);
        if (st != FZ_OK)
            break;
    }
    sbuf_free(&b);
    return st;
}

#define S T_STRING
#define I T_INT64
#define ON_DATES(NAME, RES, FLAGS, K)                                                              \
    {NAME, 1, {T_TIMESTAMP}, RES, FLAGS, K}, {NAME, 1, {T_DATE}, RES, FLAGS, K}, {NAME, 1, {T_TIMESTAMPTZ}, RES, FLAGS, K}
#define ON_TIMES(NAME, K) ON_DATES(NAME, I, FN_DENSE, K), {NAME, 1, {T_TIME}, I, FN_DENSE, K}
#define FIELD(NAME) ON_DATES(NAME, I, FN_DENSE, field_fn)
#define PART(NAME)                                                                                 \
    {NAME, 2, {S, T_TIMESTAMP}, I, FN_FALLIBLE, date_part}, {NAME, 2, {S, T_DATE}, I, FN_FALLIBLE, date_part},     \
    {NAME, 2, {S, T_TIMESTAMPTZ}, I, FN_FALLIBLE, date_part}, {NAME, 2, {S, T_TIME}, I, FN_FALLIBLE, date_part}
#define DIFF(NAME)                                                                                 \
    {NAME, 3, {S, T_TIMESTAMP, T_TIMESTAMP}, I, FN_FALLIBLE, date_diff}, {NAME, 3, {S, T_DATE, T_DATE}, I, FN_FALLIBLE, date_diff}, \
    {NAME, 3, {S, T_TIMESTAMPTZ, T_TIMESTAMPTZ}, I, FN_FALLIBLE, date_diff}
#define FORMAT(NAME)                                                                               \
    {NAME, 2, {T_TIMESTAMP, S}, S, FN_FALLIBLE, format_fn}, {NAME, 2, {T_DATE, S}, S, FN_FALLIBLE, format_fn},     \
    {NAME, 2, {T_TIMESTAMPTZ, S}, S, FN_FALLIBLE, format_fn}
#define CLOCK(NAME, RES, K) {NAME, 0, {0}, RES, FN_VOLATILE, K, clock_open, clock_close}
const func func_date_table[] = {
    FIELD("year"), FIELD("month"), FIELD("day"), FIELD("dayofmonth"), FIELD("quarter"), FIELD("week"), FIELD("weekofyear"),
    FIELD("dayofweek"), FIELD("dayofyear"),
    ON_TIMES("hour", field_fn), ON_TIMES("minute", field_fn), ON_TIMES("second", field_fn), ON_TIMES("millisecond", field_fn),
    ON_TIMES("microsecond", field_fn),
    ON_DATES("epoch", T_FLOAT64, FN_DENSE, epoch),
    ON_DATES("last_day", T_DATE, FN_DENSE, last_day),
    ON_DATES("monthname", S, 0, name_fn), ON_DATES("dayname", S, 0, name_fn),
    PART("date_part"), PART("extract"), DIFF("date_diff"), DIFF("datediff"), FORMAT("strftime"), FORMAT("to_char"),
    {"date_trunc", 2, {S, T_TIMESTAMP}, T_TIMESTAMP, FN_FALLIBLE, date_trunc},
    {"date_trunc", 2, {S, T_TIMESTAMPTZ}, T_TIMESTAMPTZ, FN_FALLIBLE, date_trunc},
    {"date_trunc", 2, {S, T_DATE}, T_DATE, FN_FALLIBLE, date_trunc},
    {"add_interval", 4, {T_TIMESTAMP, I, I, I}, T_TIMESTAMP, FN_FALLIBLE, add_interval},
    {"add_interval", 4, {T_TIMESTAMPTZ, I, I, I}, T_TIMESTAMPTZ, FN_FALLIBLE, add_interval},
    {"add_interval", 4, {T_DATE, I, I, I}, T_TIMESTAMP, FN_FALLIBLE, add_interval},
    {"date_add", 3, {T_TIMESTAMP, I, S}, T_TIMESTAMP, FN_FALLIBLE, date_add},
    {"date_add", 3, {T_TIMESTAMPTZ, I, S}, T_TIMESTAMPTZ, FN_FALLIBLE, date_add},
    {"date_add", 3, {T_DATE, I, S}, T_TIMESTAMP, FN_FALLIBLE, date_add},
    {"make_date", 3, {I, I, I}, T_DATE, FN_FALLIBLE, make_date},
    {"make_timestamp", 6, {I, I, I, I, I, T_FLOAT64}, T_TIMESTAMP, FN_FALLIBLE, make_timestamp},
    {"to_timestamp", 1, {T_FLOAT64}, T_TIMESTAMPTZ, FN_FALLIBLE, to_timestamp},
    CLOCK("now", T_TIMESTAMPTZ, now), CLOCK("current_timestamp", T_TIMESTAMPTZ, now), CLOCK("localtimestamp", T_TIMESTAMP, now),
    CLOCK("current_date", T_DATE, current_date),
    {0},
};
