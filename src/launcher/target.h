// Files inside the container's root, opened by descriptor. The kernel resolves every path below the root, so neither a
// link nor a race can lead out of it (CVE-2021-30465, CVE-2024-45310, CVE-2019-16884).

#ifndef KAURI_TARGET_H
#define KAURI_TARGET_H

#include <stdbool.h>

enum target_kind { TARGET_DIRECTORY, TARGET_FILE };

/** An O_PATH descriptor of `path` in the root, or -1 with errno. `flags` are of enum step_flag. */
int find_target(int root_fd, const char *path, unsigned flags);

/** The same, made where it is missing, with its parents; exits where that cannot be. */
int open_target(int root_fd, const char *path, enum target_kind kind, unsigned flags);

/** Descriptor of the directory that holds `path`, made where it is missing; `*name` becomes the last component. */
int open_parent(int root_fd, const char *path, const char **name);

/** True for a file of procfs or sysfs. */
bool is_on_kernel_fs(int fd);

#endif
