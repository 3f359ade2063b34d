/*
 * input.h: a file, a pipe or standard input as one stream of text, decompressed, that can be read a second time: what the CSV and
 * the JSON reader read from. One thread at a time.
 */
#ifndef FORMAT_TEXT_INPUT_H
#define FORMAT_TEXT_INPUT_H

#include "base/task.h"
#include "base/str.h"
#include "io/io.h"

typedef enum text_compression { TEXT_AUTO, TEXT_PLAIN, TEXT_GZIP, TEXT_ZSTD } text_compression;

typedef struct text_input text_input;

typedef struct text_input_options {
    const char *format;            /* for messages: "CSV" */
    text_compression compression;
    int64_t spool_limit;           /* bytes kept of input that can't be read twice; 0: none */
    const char *temp_dir;          /* for them; NULL: $TMPDIR, else /var/tmp. Outlives the input */
    job *j;                        /* for cancel and progress (bytes); may be NULL */
    file_io *io;                   /* for files that aren't of this machine; outlives the input; NULL: there are none */
} text_input_options;

/* location: a file, or "-" for standard input. */
fz_status input_open(const char *location, const text_input_options *o, mem *m, text_input **out, fz_error *err);
void input_close(text_input *in); /* NULL allowed */
void input_attach(text_input *in, job *j);
/* Up to cap bytes of (decompressed) text; less than cap only at the end of input, where the
 * file is checked for having changed. */
fz_status input_read(text_input *in, void *dst, size_t cap, size_t *got, fz_error *err);
/* Whether input_rewind can succeed: the input seeks, or what was read of it has been kept. */
bool input_seekable(const text_input *in);
fz_status input_rewind(text_input *in, fz_error *err);
void input_stop_spooling(text_input *in);
const char *input_name(const text_input *in);
text_compression input_compression(const text_input *in); /* never TEXT_AUTO */
int64_t input_size(const text_input *in);                   /* of the file as it lies there, or -1 */
bool input_is_file(const text_input *in, const char *path); /* the same file */

#endif
