/*
 * fault.h: fault points: named places before and after each step of a write that a crash or a
 * failure could interrupt. FRAZIL_FAULT="name[:nth][=action]" (comma separated) arms them;
 * actions: kill (SIGKILL of this process, the default), error (fail with FZ_IO), enospc,
 * sleep<ms>. The nth pass fires (default the first; 0: every one). FRAZIL_FAULT=list prints
 * each name that is passed, once, to standard error.
 * Read once per process; a disarmed point costs one predictable branch.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include "base/error.h"

/* Names are "<module>.<step>", as "parquet.write.footer", "commit.before_cas". */
fz_status fault_point(const char *name, fz_error *err);

#endif
