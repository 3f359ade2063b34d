/*
 * settle.h: files of this machine whose durability is put off (file_io_deferring), and the parts of local.c that
 * it shares.
 *
 * A finished file is handed over open, its write-back begun; so are the directories that hold new names. Syncing them
 * all at once lets the file system put them into few journal commits. At most SETTLE_OPEN files are kept open: when there
 * are as many, these are synced, so that a load of many files doesn't end in one long wait either. A file is synced through the
 * descriptor that wrote it, which is sure to hear of a failed write-back.
 */
#ifndef IO_SETTLE_H
#define IO_SETTLE_H

#include "io/io.h"

#define SETTLE_OPEN 64

io_fs *settle_fs_new(mem *m); /* NULL: no memory */
fz_status settle_fs_sync(io_fs *fs, fz_error *err);

/* ---- between local.c and settle.c ---- */

typedef struct settle settle;
/* Takes fd, of the file at `path`, also on failure. */
fz_status settle_file(settle *s, const char *path, int fd, fz_error *err);
fz_status settle_dir(settle *s, const char *dir, fz_error *err);
fz_status settle_remove(settle *s, const char *location, fz_error *err);

/* Writer whose file and directories are handed over to `later` (NULL: synced by itself). */
fz_status local_create_later(settle *later, const char *location, mem *m, io_writer **out, fz_error *err);
fz_status local_fd_sync(int fd, const char *path, fz_error *err);   /* fault point io.sync */
fz_status local_dir_sync(const char *dir, fz_error *err);          /* fault point io.dirsync */

#endif
