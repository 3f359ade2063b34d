/* thrift.c: the compact protocol's reader; see thrift.h for interface and invariants. */
#include "format/parquet/thrift.h"

#define SKIP_DEPTH 32 /* nesting of structs and lists that are stepped over */

void thrift_init(thrift_in *t, const uint8_t *data, size_t n)
{
    *t = (thrift_in){.start = data, .at = data, .end = data + n};
}

void thrift_fail(thrift_in *t, const char *why)
{
    if (t->fault)
        return;
    t->fault = why;
    t->fault_at = (size_t)(t->at - t->start);
}

static size_t bytes_left(const thrift_in *t) { return (size_t)(t->end - t->at); }

static uint8_t byte_read(thrift_in *t)
{
    if (t->fault || t->at == t->end) {
        thrift_fail(t, "ends too early");
        return 0;
    }
    return *t->at++;
}

static uint64_t varint_read(thrift_in *t)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = byte_read(t);
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return t->fault ? 0 : v;
    }
    thrift_fail(t, "has a number of more than 64 bits");
    return 0;
}

static int64_t zigzag_read(thrift_in *t)
{
    uint64_t v = varint_read(t);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

bool thrift_next(thrift_in *t, thrift_field *f)
{
    uint8_t head = byte_read(t);
    if (t->fault || head == THRIFT_STOP)
        return false;
    f->type = head & 15;
    if (head >> 4) {
        f->id += head >> 4;
    } else {
        int64_t id = zigzag_read(t);
        if (id < INT16_MIN || id > INT16_MAX)
            thrift_fail(t, "has a field id out of range");
        f->id = (int32_t)id;
    }
    if (f->id > INT16_MAX || f->type > THRIFT_UUID || f->type == THRIFT_STOP)
        thrift_fail(t, "has a malformed field");
    return !t->fault;
}

static bool type_expect(thrift_in *t, uint8_t got, uint8_t want)
{
    if (got != want)
        thrift_fail(t, "has a field of an unexpected type");
    return !t->fault;
}

int64_t thrift_i64(thrift_in *t, uint8_t type)
{
    if (type == THRIFT_I8)
        return (int8_t)byte_read(t);
    if (type != THRIFT_I16 && type != THRIFT_I32 && type != THRIFT_I64)
        thrift_fail(t, "has a field of an unexpected type");
    return zigzag_read(t);
}

int32_t thrift_i32(thrift_in *t, uint8_t type)
{
    int64_t v = thrift_i64(t, type);
    if (v < INT32_MIN || v > INT32_MAX) {
        thrift_fail(t, "has a 32-bit number out of range");
        return 0;
    }
    return (int32_t)v;
}

bool thrift_bool(thrift_in *t, uint8_t type)
{
    if (type != THRIFT_TRUE && type != THRIFT_FALSE)
        thrift_fail(t, "has a field of an unexpected type");
    return type == THRIFT_TRUE;
}

bool thrift_bool_element(thrift_in *t) { return byte_read(t) == THRIFT_TRUE; }

bool thrift_struct(thrift_in *t, uint8_t type) { return type_expect(t, type, THRIFT_STRUCT); }

str thrift_binary(thrift_in *t, uint8_t type)
{
    if (!type_expect(t, type, THRIFT_BINARY))
        return (str){0};
    uint64_t n = varint_read(t);
    if (n > bytes_left(t)) {
        thrift_fail(t, "has a string longer than what is left");
        return (str){0};
    }
    str s = {(const char *)t->at, (size_t)n};
    t->at += n;
    return s;
}

/* The head of a list or set; `least` bytes per element are required to be there. */
static uint32_t list_head(thrift_in *t, uint8_t *elem, size_t least)
{
    uint8_t head = byte_read(t);
    *elem = head & 15;
    uint64_t n = head >> 4;
    if (n == 15)
        n = varint_read(t);
    if (!t->fault && n > bytes_left(t) / least)
        thrift_fail(t, "has a list longer than what is left");
    return t->fault ? 0 : (uint32_t)(n > UINT32_MAX ? UINT32_MAX : n);
}

uint32_t thrift_list(thrift_in *t, uint8_t type, uint8_t elem, size_t min_bytes)
{
    uint8_t got;
    if (!type_expect(t, type, THRIFT_LIST))
        return 0;
    uint32_t n = list_head(t, &got, min_bytes ? min_bytes : 1);
    bool same = got == elem || (elem == THRIFT_TRUE && got == THRIFT_FALSE);
    if (n && !same)
        thrift_fail(t, "has a list of an unexpected type");
    return t->fault ? 0 : n;
}

/* Steps over a value that holds no others; false if it is a container. */
static bool scalar_skip(thrift_in *t, uint8_t type, bool in_list)
{
    size_t n = 0;
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE: n = in_list; break;
    case THRIFT_I8: n = 1; break;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64: varint_read(t); return true;
    case THRIFT_DOUBLE: n = 8; break;
    case THRIFT_BINARY: thrift_binary(t, type); return true;
    case THRIFT_UUID: n = 16; break;
    default: return false;
    }
    if (n > bytes_left(t))
        thrift_fail(t, "ends too early");
    else
        t->at += n;
    return true;
}

void thrift_skip(thrift_in *t, uint8_t type)
{
    /* A frame is a struct (fields until STOP), or a list or map with `left` values to come,
     * whose types alternate between the two. */
    struct { bool is_struct; uint8_t elem[2]; uint64_t left; thrift_field f; } stack[SKIP_DEPTH];
    int depth = 0;
    bool in_list = false;
    for (;;) {
        if (!scalar_skip(t, type, in_list) && !t->fault) {
            if (depth == SKIP_DEPTH) {
                thrift_fail(t, "is nested too deeply");
                return;
            }
            stack[depth].is_struct = type == THRIFT_STRUCT;
            stack[depth].f = (thrift_field){0};
            stack[depth].left = 0;
            if (type == THRIFT_LIST || type == THRIFT_SET) {
                stack[depth].left = list_head(t, &stack[depth].elem[0], 1);
                stack[depth].elem[1] = stack[depth].elem[0];
            } else if (type == THRIFT_MAP) {
                uint64_t n = varint_read(t);
                if (n > bytes_left(t) / 2)
                    thrift_fail(t, "has a map longer than what is left");
                uint8_t kv = n ? byte_read(t) : 0;
                stack[depth].elem[0] = kv >> 4; /* `left` is even at a key */
                stack[depth].elem[1] = kv & 15;
                stack[depth].left = t->fault ? 0 : 2 * n;
            } else if (type != THRIFT_STRUCT) {
                thrift_fail(t, "has a value of an unknown type");
            }
            depth++;
        }
        /* The next value: of the innermost frame that has one. */
        for (;;) {
            if (t->fault || depth == 0)
                return;
            if (stack[depth - 1].is_struct) {
                if (thrift_next(t, &stack[depth - 1].f)) {
                    type = stack[depth - 1].f.type;
                    in_list = false;
                    break;
                }
            } else if (stack[depth - 1].left) {
                type = stack[depth - 1].elem[stack[depth - 1].left & 1];
                stack[depth - 1].left--;
                in_list = true;
                break;
            }
            depth--;
        }
    }
}

fz_status thrift_fault(const thrift_in *t, const char *what, uint64_t base, fz_error *err)
{
    if (!t->fault)
        return FZ_OK;
    error_set(err, FZ_DATA, "Parquet %s %s", what, t->fault);
    error_offset(err, (int64_t)(base + t->fault_at));
    return FZ_DATA;
}
