/*
 * libs.c: see libs.h. A table is filled under pthread_once; what went wrong is kept with it and told to everybody who asks.
 */
#include "io/libs.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

fz_status lib_open(const char *const *files, const char *package, const char *what_for, uint32_t n, const char *const *symbols,
                   void **table, fz_error *err)
{
    void *lib = NULL;
    for (uint32_t i = 0; files[i] && !lib; i++)
        lib = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
    if (!lib) {
        error_set(err, FZ_UNSUPPORTED, "%s needs the library %s, which can't be opened", what_for, files[0]);
        error_hint(err, "install it (Debian and Ubuntu: apt install %s)", package);
        return FZ_UNSUPPORTED;
    }
    for (uint32_t i = 0; i < n; i++) {
        table[i] = dlsym(lib, symbols[i]);
        if (!table[i]) {
            error_set(err, FZ_UNSUPPORTED, "%s needs a newer %s: this one has no %s", what_for, files[0], symbols[i]);
            dlclose(lib);
            return FZ_UNSUPPORTED;
        }
    }
    return FZ_OK;
}

/* ---- libcurl ---- */

static const char *const curl_files[] = {"libcurl.so.4", "libcurl-gnutls.so.4", NULL};
static const char *const curl_symbols[] = {
    "curl_easy_init", "curl_easy_cleanup", "curl_easy_reset", "curl_easy_setopt", "curl_easy_getinfo", "curl_easy_strerror", "curl_multi_init",
    "curl_multi_cleanup", "curl_multi_setopt", "curl_multi_add_handle", "curl_multi_remove_handle", "curl_multi_perform", "curl_multi_poll",
    "curl_multi_wakeup", "curl_multi_info_read", "curl_slist_append", "curl_slist_free_all", "curl_getdate", "curl_global_init",
};
#define CURL_SYMBOLS (sizeof curl_symbols / sizeof *curl_symbols)
_Static_assert(sizeof(lib_curl) == CURL_SYMBOLS * sizeof(void *), "one symbol per member");

static union {
    lib_curl lib;
    void *table[CURL_SYMBOLS];
} curl_table;
static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static fz_status curl_status;
static fz_error curl_error;

static void curl_load(void)
{
    curl_status = lib_open(curl_files, "libcurl4", "HTTP", CURL_SYMBOLS, curl_symbols, curl_table.table, &curl_error);
    if (curl_status == FZ_OK && curl_table.lib.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        curl_status = error_set(&curl_error, FZ_IO, "libcurl can't be initialised");
}

fz_status curl_lib(const lib_curl **out, fz_error *err)
{
    pthread_once(&curl_once, curl_load);
    *out = &curl_table.lib;
    if (curl_status != FZ_OK && err)
        *err = curl_error;
    return curl_status;
}

/* ---- libcrypto ---- */

static const char *const crypto_files[] = {"libcrypto.so.3", "libcrypto.so.1.1", NULL};
static const char *const crypto_symbols[] = {"EVP_Digest", "EVP_sha256", "EVP_md5", "HMAC"};
#define CRYPTO_SYMBOLS (sizeof crypto_symbols / sizeof *crypto_symbols)
_Static_assert(sizeof(lib_crypto) == CRYPTO_SYMBOLS * sizeof(void *), "one symbol per member");

static union {
    lib_crypto lib;
    void *table[CRYPTO_SYMBOLS];
} crypto_table;
static pthread_once_t crypto_once = PTHREAD_ONCE_INIT;
static fz_status crypto_status;
static fz_error crypto_error;

static void crypto_load(void)
{
    crypto_status = lib_open(crypto_files, "libssl3", "signing requests", CRYPTO_SYMBOLS, crypto_symbols, crypto_table.table, &crypto_error);
}

fz_status crypto_lib(const lib_crypto **out, fz_error *err)
{
    pthread_once(&crypto_once, crypto_load);
    *out = &crypto_table.lib;
    if (crypto_status != FZ_OK && err)
        *err = crypto_error;
    return crypto_status;
}
