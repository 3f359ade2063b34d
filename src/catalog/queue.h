/*
 * queue.h: a fair lock between processes and threads of one machine, made of one small file: waiters
 * are served in the order they came, and the kernel takes the lock from a process that dies.
 *
 * Nothing's correctness depends on it: it keeps committers from working in vain. So whatever goes
 * wrong with the file (no permission, a file system without such locks) yields no lock and no error.
 *
 * The file holds the number of the next ticket. A ticket is a byte far behind the contents that
 * its holder keeps locked (an open-file-description lock, so threads count too) from when it is drawn
 * until it is given back. Its turn has come when no byte before its own is locked:
 *
 *   byte    0 .. 8     the next ticket's number; byte 0 is locked while one is drawn
 *   byte    2^32 + t   ticket t
 *
 * Waiting for all earlier tickets rather than for the one before keeps the order when a waiter in the
 * middle dies. A waiter sleeps until somebody closes the file (inotify), or looks again every few
 * milliseconds where that can't be had. The file may be deleted at any time: who holds or waits on
 * the old one goes on as before, who comes later uses a new one.
 */
#ifndef CATALOG_QUEUE_H
#define CATALOG_QUEUE_H

#include "base/error.h"
#include "base/str.h"

/* *fd: the lock, or -1 where none can be had. FZ_BUSY: it wasn't our turn within timeout_ms (< 0: no limit). */
fz_status queue_enter(const char *path, int64_t timeout_ms, int *fd, fz_error *err);
void queue_leave(int fd); /* -1 allowed */

/* The lock of a table, named by what tells it from all others, in a folder of locks that is made where its parent's parent is
 * there ("<lake>/.frazil/locks"). *token NULL: none. */
fz_status queue_table_lock(const char *folder, uint32_t n, const str *names, int64_t timeout_ms, void **token, fz_error *err);
void queue_table_unlock(void *token); /* NULL allowed */
/* For catalogs on other machines: a folder of this user's on this one ($XDG_RUNTIME_DIR, else $TMPDIR, else /var/tmp).
 * false: there is none that only he can write to. */
bool queue_user_folder(char *path, size_t size);

#endif
