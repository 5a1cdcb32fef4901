#define _GNU_SOURCE
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "plan.h"
#include "report.h"
#include "system-calls.h"

enum { MAX_LINKS = 40, DIRECTORY_MODE = 0755, FILE_MODE = 0644 };

int find_target(int root_fd, const char *path, unsigned flags) {
  struct open_how how = {
      .flags = O_PATH | O_CLOEXEC | (flags & STEP_OVER_LINK ? O_NOFOLLOW : 0),
      .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS |
                 (flags & STEP_NO_LINKS ? RESOLVE_NO_SYMLINKS : 0),
  };
  return sys_openat2(root_fd, path, &how);
}

bool is_on_kernel_fs(int fd) {
  struct statfs fs;
  if (fstatfs(fd, &fs) != 0) die_errno("fstatfs");
  return fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC;
}

static __u64 mount_id(int fd) {
  struct statx status;
  if (sys_statx(fd, STATX_MNT_ID, &status) != 0) die_errno("statx");
  return status.stx_mnt_id;
}

/**
 * What was made in the root itself is told, so that it can be removed; in a tmpfs or volume it stays. The path is the
 * kernel's, without links: the root lies on top of the host's, so its paths begin there.
 */
static void report_made(int root_fd, int made_fd, enum target_kind kind) {
  if (mount_id(root_fd) != mount_id(made_fd)) return;
  char fd_path[32], path[PATH_MAX];
  snprintf(fd_path, sizeof fd_path, "/proc/self/fd/%d", made_fd);
  ssize_t length = readlink(fd_path, path, sizeof path - 1);
  if (length < 0) die_errno("%s", fd_path);
  report("made", "%s %.*s", kind == TARGET_FILE ? "file" : "directory", (int)length, path);
}

static void make_file(int parent_fd, const char *name) {
  int fd = openat(parent_fd, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, FILE_MODE);
  if (fd >= 0) close(fd);
}

/** Makes one entry; the directory that gets it keeps its times. */
static void make_entry(int parent_fd, const char *name, enum target_kind kind) {
  struct stat before;
  if (fstat(parent_fd, &before) != 0) die_errno("fstat");
  if (kind == TARGET_FILE)
    make_file(parent_fd, name);
  else
    mkdirat(parent_fd, name, DIRECTORY_MODE);
  // Whether it is there now is seen when it is opened: somebody else may have made it.
  const struct timespec times[] = {before.st_atim, before.st_mtim};
  utimensat(parent_fd, "", times, AT_EMPTY_PATH);
}

/** Puts the target of the link at path[0..length) in its place; 0 where there is no link. */
static int follow_link(int parent_fd, char path[PATH_MAX], size_t name_start, size_t length) {
  char name[NAME_MAX + 1], target[PATH_MAX], rest[PATH_MAX];
  if (length - name_start > NAME_MAX) die("a file name in %s is too long", path);
  memcpy(name, path + name_start, length - name_start);
  name[length - name_start] = '\0';
  ssize_t target_length = readlinkat(parent_fd, name, target, sizeof target - 1);
  if (target_length < 0) return 0;
  target[target_length] = '\0';
  size_t kept = target[0] == '/' ? 0 : name_start;
  strcpy(rest, path + length);
  if (kept + (size_t)target_length + strlen(rest) + 1 > PATH_MAX) die("%s leads too far", path);
  memcpy(path + kept, target, (size_t)target_length);
  strcpy(path + kept + (size_t)target_length, rest);
  return 1;
}

/** Length of the prefix of `path` that ends with the component at or after `from`. */
static size_t component_end(const char *path, size_t from) {
  while (path[from] == '/') from++;
  return from + strcspn(path + from, "/");
}

/** Opens the prefix of `length` bytes. */
static int find_prefix(int root_fd, const char *path, size_t length, unsigned flags) {
  char prefix[PATH_MAX];
  memcpy(prefix, path, length);
  prefix[length] = '\0';
  return find_target(root_fd, prefix, flags);
}

/** Makes the component path[start..end) in the directory `parent_fd` and opens it. */
static int make_component(int root_fd, int parent_fd, const char *path, size_t end,
                          enum target_kind kind, unsigned flags) {
  size_t start = end;
  while (start > 0 && path[start - 1] != '/') start--;
  char name[NAME_MAX + 1];
  if (end - start > NAME_MAX) die("a file name in %s is too long", path);
  memcpy(name, path + start, end - start);
  name[end - start] = '\0';
  if (is_on_kernel_fs(parent_fd)) die("%s cannot be made in procfs or sysfs", path);
  make_entry(parent_fd, name, kind);
  int fd = find_prefix(root_fd, path, end, STEP_OVER_LINK);
  if (fd < 0) die_errno("making the mount point %.*s", (int)end, path);
  if (!(flags & STEP_KEEP)) report_made(root_fd, fd, kind);
  return fd;
}

/**
 * Walks the path component by component; what is missing is made. A dangling link is followed by its text: its target
 * takes the place of the prefix, and the walk starts again.
 */
static int make_target(int root_fd, const char *wanted, enum target_kind kind, unsigned flags) {
  char path[PATH_MAX];
  if (strlen(wanted) >= sizeof path) die("the mount point %s is too long", wanted);
  strcpy(path, wanted);
  int parent_fd = find_target(root_fd, "/", 0);
  if (parent_fd < 0) die_errno("opening the root");
  size_t end = 0;
  for (int links = 0; links <= MAX_LINKS;) {
    end = component_end(path, end);
    bool is_last = path[end + strspn(path + end, "/")] == '\0';
    int fd = find_prefix(root_fd, path, end, is_last ? flags : flags & ~(unsigned)STEP_OVER_LINK);
    if (fd < 0 && errno != ENOENT) die_errno("opening the mount point %.*s", (int)end, path);
    if (fd < 0) {
      size_t start = end;
      while (start > 0 && path[start - 1] != '/') start--;
      if (follow_link(parent_fd, path, start, end)) {
        if (flags & STEP_NO_LINKS) die("the mount point %s is a symbolic link", wanted);
        links++;
        end = 0;
        close(parent_fd);
        parent_fd = find_target(root_fd, "/", 0);
        continue;
      }
      fd = make_component(root_fd, parent_fd, path, end, is_last ? kind : TARGET_DIRECTORY, flags);
    }
    close(parent_fd);
    if (is_last) return fd;
    parent_fd = fd;
  }
  die("too many links on the way to %s", wanted);
}

static void check_kind(int fd, const char *path, enum target_kind kind) {
  struct stat status;
  if (fstat(fd, &status) != 0) die_errno("fstat");
  if (kind == TARGET_DIRECTORY && !S_ISDIR(status.st_mode))
    die("a directory cannot be mounted on %s, which is none", path);
  if (kind == TARGET_FILE && S_ISDIR(status.st_mode))
    die("a file cannot be mounted on the directory %s", path);
}

int open_target(int root_fd, const char *path, enum target_kind kind, unsigned flags) {
  int fd = find_target(root_fd, path, flags);
  if (fd < 0 && errno == ELOOP && flags & STEP_NO_LINKS)
    die("%s must not be a symbolic link, nor be behind one", path);
  if (fd < 0 && errno == ENOENT) fd = make_target(root_fd, path, kind, flags);
  if (fd < 0) die_errno("opening the mount point %s", path);
  check_kind(fd, path, kind);
  if (!(flags & STEP_ON_KERNEL_FS) && is_on_kernel_fs(fd))
    die("nothing may be mounted on %s, which leads into procfs or sysfs", path);
  return fd;
}

int open_parent(int root_fd, const char *path, const char **name) {
  const char *slash = strrchr(path, '/');
  if (slash == NULL || slash[1] == '\0') die("%s has no name", path);
  *name = slash + 1;
  char parent[PATH_MAX];
  int length = snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
  if (length < 0 || (size_t)length >= sizeof parent) die("%s is too long", path);
  return open_target(root_fd, length == 0 ? "/" : parent, TARGET_DIRECTORY, STEP_NO_LINKS);
}
