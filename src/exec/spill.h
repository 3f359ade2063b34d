/*
 * spill.h: batches in a temporary file: what an operator puts aside when its memory runs out, and reads back in the order
 * it was written. The file is unlinked at once, so that it goes with the process; nothing but this process reads it.
 * Write everything, then rewind, then read; one thread at a time.
 */
#ifndef EXEC_SPILL_H
#define EXEC_SPILL_H

#include "arrow/vector.h"

typedef struct spill_file spill_file;

/* temp_dir NULL: $TMPDIR, else /var/tmp. Nothing is created before the first write. */
fz_status spill_create(const char *temp_dir, mem *m, spill_file **out, fz_error *err);
/* Appends the selected rows. Errors (disk full, …) name the folder. */
fz_status spill_write(spill_file *f, const batch *b, fz_error *err);
fz_status spill_rewind(spill_file *f, fz_error *err);
/* The next batch as written (dense), or *end. `out` is initialised and reset first. */
fz_status spill_read(spill_file *f, batch *out, bool *end, fz_error *err);
/* Plain bytes instead of batches, in a file that has nothing else. */
fz_status spill_put(spill_file *f, const void *p, size_t n, fz_error *err);
fz_status spill_get(spill_file *f, void *p, size_t n, fz_error *err);
bool spill_end(const spill_file *f); /* all was read */
/* Writes out what is buffered and gives back the buffer, until more is written. */
fz_status spill_flush(spill_file *f, fz_error *err);
int64_t spill_bytes(const spill_file *f);
void spill_close(spill_file *f); /* NULL allowed */

#endif
