/*
 * libs.h: libraries that are opened when they are first used, so that a local query never loads them and their dependants:
 * a table of functions per library, filled once per process.
 */
#ifndef IO_LIBS_H
#define IO_LIBS_H

#include "base/error.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

/* The generic form, for other libraries too: files are tried in turn up to NULL; symbols[i] is stored at table[i]. The error names the
 * Debian package to install. The library stays loaded. */
fz_status lib_open(const char *const *files, const char *package, const char *what_for, uint32_t n, const char *const *symbols,
                   void **table, fz_error *err);

typedef struct lib_curl {
    CURL *(*easy_init)(void);
    void (*easy_cleanup)(CURL *);
    void (*easy_reset)(CURL *);
    CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
    CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
    const char *(*easy_strerror)(CURLcode);
    CURLM *(*multi_init)(void);
    CURLMcode (*multi_cleanup)(CURLM *);
    CURLMcode (*multi_setopt)(CURLM *, CURLMoption, ...);
    CURLMcode (*multi_add_handle)(CURLM *, CURL *);
    CURLMcode (*multi_remove_handle)(CURLM *, CURL *);
    CURLMcode (*multi_perform)(CURLM *, int *);
    CURLMcode (*multi_poll)(CURLM *, struct curl_waitfd *, unsigned, int, int *);
    CURLMcode (*multi_wakeup)(CURLM *);
    CURLMsg *(*multi_info_read)(CURLM *, int *);
    struct curl_slist *(*slist_append)(struct curl_slist *, const char *);
    void (*slist_free_all)(struct curl_slist *);
    time_t (*getdate)(const char *, const time_t *);
    CURLcode (*global_init)(long);
} lib_curl;

typedef struct lib_crypto {
    int (*digest)(const void *, size_t, unsigned char *, unsigned *, const EVP_MD *, ENGINE *); /* EVP_Digest */
    const EVP_MD *(*sha256)(void);
    const EVP_MD *(*md5)(void);
    unsigned char *(*hmac)(const EVP_MD *, const void *, int, const unsigned char *, size_t, unsigned char *, unsigned *);
} lib_crypto;

fz_status curl_lib(const lib_curl **out, fz_error *err);
fz_status crypto_lib(const lib_crypto **out, fz_error *err);

#endif
