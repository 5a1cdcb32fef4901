// System calls that the C library of the build machine may not know yet, as thin inline functions. Each returns -1 with
// errno as the library's own would. <sys/mount.h> cannot be included beside <linux/mount.h>, so this file has what we
// need of both.

#ifndef KAURI_SYSTEM_CALLS_H
#define KAURI_SYSTEM_CALLS_H

#include <errno.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

/** MNT_DETACH of <sys/mount.h>. */
enum { UNMOUNT_DETACH = 2 };

static inline int sys_close_range(unsigned first, unsigned last, unsigned flags) {
  return (int)syscall(SYS_close_range, first, last, flags);
}

/**
 * EAGAIN: something on the machine was renamed or mounted while the kernel resolved a `..` inside a root, so that it could
 * not tell that it stayed inside.
 */
static inline int sys_openat2(int dir_fd, const char *path, struct open_how *how) {
  for (int attempt = 0; attempt < 128; attempt++) {
    int fd = (int)syscall(SYS_openat2, dir_fd, path, how, sizeof *how);
    if (fd >= 0 || (errno != EINTR && errno != EAGAIN)) return fd;
  }
  return -1;
}

/** What the C library's sys/stat.h calls statx(2), of the descriptor itself. */
static inline int sys_statx(int fd, unsigned mask, struct statx *status) {
  return (int)syscall(SYS_statx, fd, "", AT_EMPTY_PATH, mask, status);
}

static inline int sys_open_tree(int dir_fd, const char *path, unsigned flags) {
  return (int)syscall(SYS_open_tree, dir_fd, path, flags);
}

/** Puts the mount `mount_fd` on the file `target_fd`. */
static inline int sys_move_mount(int mount_fd, int target_fd) {
  return (int)syscall(SYS_move_mount, mount_fd, "", target_fd, "",
                      MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static inline int sys_fsopen(const char *type) {
  return (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
}

static inline int sys_fsconfig(int fs_fd, unsigned command, const char *key, const char *value) {
  return (int)syscall(SYS_fsconfig, fs_fd, command, key, value, 0);
}

static inline int sys_fsmount(int fs_fd, unsigned attributes) {
  return (int)syscall(SYS_fsmount, fs_fd, FSMOUNT_CLOEXEC, attributes);
}

static inline int sys_mount_setattr(int dir_fd, const char *path, unsigned flags,
                                    const struct mount_attr *attributes) {
  return (int)syscall(SYS_mount_setattr, dir_fd, path, flags, attributes, sizeof *attributes);
}

static inline int sys_mount(const char *source, const char *target, const char *type,
                            const char *options) {
  return (int)syscall(SYS_mount, source, target, type, 0UL, options);
}

static inline int sys_pivot_root(const char *new_root, const char *put_old) {
  return (int)syscall(SYS_pivot_root, new_root, put_old);
}

static inline int sys_umount2(const char *path, int flags) {
  return (int)syscall(SYS_umount2, path, flags);
}

#endif
