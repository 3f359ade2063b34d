/*
 * civil.h: dates and times of day: the proleptic Gregorian calendar and its text forms.
 *
 * All functions take any value of their argument's type. Years before 1 are written as
 * PostgreSQL does ("0044-03-15 BC"), years past 9999 with as many digits as they need. The
 * fraction of a second is written without trailing zeros, and not at all where it is zero.
 */
#ifndef ARROW_CIVIL_H
#define ARROW_CIVIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MICROS_PER_SECOND 1000000ll
#define MICROS_PER_DAY    86400000000ll

typedef struct civil_date {
    int64_t year; /* astronomical: year 0 is 1 BC */
    int month;    /* 1..12 */
    int day;      /* 1..31 */
} civil_date;

/* Days since 1970-01-01 of a date; the day may lie outside its month. The algorithm counts
 * from 1 March of year 0, in eras of 400 years, so that the leap day ends a year. */
static inline int64_t civil_to_days(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t in_era = year - era * 400;
    int64_t in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

/* |days| up to 2^62 */
static inline civil_date civil_from_days(int64_t days)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t in_era = days - era * 146097;
    int64_t y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * y + y / 4 - y / 100);
    int m = (int)((5 * in_year + 2) / 153);
    civil_date d = {.day = (int)(in_year - (153 * m + 2) / 5 + 1), .month = m < 10 ? m + 3 : m - 9};
    d.year = y + era * 400 + (d.month <= 2);
    return d;
}

static inline bool civil_is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days of a month, 0 for a month that isn't one. */
static inline int civil_month_days(int64_t year, int month)
{
    static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (month < 1 || month > 12)
        return 0;
    return month == 2 && civil_is_leap(year) ? 29 : days[month - 1];
}

static inline bool civil_valid(int64_t year, int month, int day)
{
    return day >= 1 && day <= civil_month_days(year, month);
}

/* Floor division, for splitting timestamps before 1970. */
static inline int64_t civil_floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* What floor division leaves: 0..b-1 for a positive b. */
static inline int64_t civil_floor_mod(int64_t a, int64_t b)
{
    int64_t r = a % b;
    return r < 0 ? r + b : r;
}

#define CIVIL_TEXT_MAX 48 /* bytes that any of these may need; no NUL is written */

size_t date_text(int32_t days, char *out);            /* YYYY-MM-DD */
size_t time_text(int64_t micros, char *out);          /* HH:MM:SS[.ffffff] */
size_t timestamp_text(int64_t micros, char *out);     /* YYYY-MM-DD HH:MM:SS[.ffffff] */
size_t timestamptz_text(int64_t micros, char *out);   /* the same in UTC, with +00 */
/* With a zone `offset_s` seconds east of UTC: +09, +05:30, -00:44:30. */
size_t timestamptz_text_at(int64_t micros, int32_t offset_s, char *out);

#endif
