/* machine_int.h: the parsing half of machine.c, for its test. */
#ifndef BASE_MACHINE_INT_H
#define BASE_MACHINE_INT_H

#include "base/str.h"

/* The group's path in a text laid out as /proc/self/cgroup: of a version 1 controller, or of
 * version 2 where `controller` is empty. */
bool cgroup_path(str table, str controller, str *path);
/* CPUs of a quota and its period in microseconds, rounded up; INT64_MAX: no limit. */
int64_t cpus_of_quota(str quota, str period);

#endif
