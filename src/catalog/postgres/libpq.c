/*
 * libpq.c: loads libpq once per process, on first use. It stays loaded: OpenSSL beneath it can't be unloaded.
 */
#include "catalog/postgres/postgres_int.h"

#include <dlfcn.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pq_api api;
static const char *missing; /* what could not be had */

static void load(void)
{
    void *lib = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
    if (!lib) {
        missing = "libpq.so.5";
        return;
    }
#define PQ_FIND(NAME)                                                   \
    if (!(api.NAME = (__typeof__(NAME) *)dlsym(lib, #NAME)) && !missing) \
        missing = #NAME;
    PQ_FUNCTIONS(PQ_FIND)
    if (!missing && !api.PQisthreadsafe())
        missing = "a libpq made for threads";
}

fz_status pq_load(const pq_api **out, fz_error *err)
{
    pthread_once(&once, load);
    *out = &api;
    if (!missing)
        return FZ_OK;
    error_set(err, FZ_UNSUPPORTED, "a catalog in PostgreSQL needs PostgreSQL's client library: %s isn't there", missing);
    error_hint(err, "on Debian: apt-get install libpq5");
    return FZ_UNSUPPORTED;
}
