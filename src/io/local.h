/* local.h: the file system of this machine, as io.c's first scheme. */
#ifndef IO_LOCAL_H
#define IO_LOCAL_H

#include "io/io.h"

extern const io_fs local_fs;

#endif
