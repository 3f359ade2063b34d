/* civil.c: see civil.h. */
#include "arrow/civil.h"

#include "base/numtext.h"

#include <string.h>

static char *put2(char *at, unsigned v)
{
    at[0] = (char)('0' + v / 10);
    at[1] = (char)('0' + v % 10);
    return at + 2;
}

static char *put_date(char *at, civil_date d)
{
    uint64_t year = (uint64_t)(d.year > 0 ? d.year : 1 - d.year);
    if (year < 10000) {
        at = put2(at, (unsigned)(year / 100));
        at = put2(at, (unsigned)(year % 100));
    } else {
        at += u64_text(year, at);
    }
    *at++ = '-';
    at = put2(at, (unsigned)d.month);
    *at++ = '-';
    return put2(at, (unsigned)d.day);
}

static char *put_time(char *at, int64_t micros)
{
    unsigned fraction = (unsigned)(micros % MICROS_PER_SECOND);
    unsigned second = (unsigned)(micros / MICROS_PER_SECOND);
    at = put2(at, second / 3600);
    *at++ = ':';
    at = put2(at, second / 60 % 60);
    *at++ = ':';
    at = put2(at, second % 60);
    if (fraction) {
        *at++ = '.';
        int digits = 6;
        for (; fraction % 10 == 0; fraction /= 10)
            digits--;
        for (int i = digits - 1; i >= 0; i--, fraction /= 10)
            at[i] = (char)('0' + fraction % 10);
        at += digits;
    }
    return at;
}

static char *put_era(char *at, civil_date d)
{
    if (d.year > 0)
        return at;
    memcpy(at, " BC", 3);
    return at + 3;
}

size_t date_text(int32_t days, char *out)
{
    civil_date d = civil_from_days(days);
    return (size_t)(put_era(put_date(out, d), d) - out);
}

size_t time_text(int64_t micros, char *out)
{
    if (micros < 0 || micros > MICROS_PER_DAY) /* not a time of day; shown as it lies on the clock */
        micros = civil_floor_mod(micros, MICROS_PER_DAY);
    return (size_t)(put_time(out, micros) - out);
}

static char *put_zone(char *at, int32_t offset_s)
{
    unsigned s = (unsigned)(offset_s < 0 ? -(int64_t)offset_s : offset_s);
    *at++ = offset_s < 0 ? '-' : '+';
    at = put2(at, s / 3600 % 100);
    if (s % 3600) {
        *at++ = ':';
        at = put2(at, s / 60 % 60);
    }
    if (s % 60) {
        *at++ = ':';
        at = put2(at, s % 60);
    }
    return at;
}

static size_t put_timestamp(int64_t micros, int32_t offset_s, bool zoned, char *out)
{
    int64_t days = civil_floor_div(micros, MICROS_PER_DAY);
    int64_t rest = civil_floor_mod(micros, MICROS_PER_DAY) + offset_s * MICROS_PER_SECOND;
    int64_t carry = civil_floor_div(rest, MICROS_PER_DAY);
    civil_date d = civil_from_days(days + carry);
    char *at = put_date(out, d);
    *at++ = ' ';
    at = put_time(at, civil_floor_mod(rest, MICROS_PER_DAY));
    if (zoned)
        at = put_zone(at, offset_s);
    return (size_t)(put_era(at, d) - out);
}

size_t timestamp_text(int64_t micros, char *out) { return put_timestamp(micros, 0, false, out); }
size_t timestamptz_text(int64_t micros, char *out) { return put_timestamp(micros, 0, true, out); }
size_t timestamptz_text_at(int64_t micros, int32_t offset_s, char *out)
{
    return put_timestamp(micros, offset_s, true, out);
}
