// Binds of the host's files, and the mounts that hide files of the container or make them read-only.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "mount.h"
#include "report.h"
#include "system-calls.h"
#include "target.h"

enum { PROPAGATE_PRIVATE = 1 << 18, PROPAGATE_SLAVE = 1 << 19 };

void set_attributes(int mount_fd, unsigned flags, uint64_t attributes, uint64_t propagation,
                    const char *path) {
  // How access times are kept is one field: a new value replaces the old one.
  const uint64_t replaced = attributes & MOUNT_ATTR__ATIME ? MOUNT_ATTR__ATIME : 0;
  const struct mount_attr change = {
      .attr_set = attributes, .attr_clr = replaced, .propagation = propagation};
  if (sys_mount_setattr(mount_fd, "", AT_EMPTY_PATH | flags, &change) != 0)
    die_errno("mount_setattr of %s", path);
}

int clone_mount(int fd, unsigned flags, const char *path) {
  int mount_fd =
      sys_open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | flags);
  if (mount_fd < 0) die_errno("open_tree of %s", path);
  return mount_fd;
}

enum target_kind kind_of(int fd, const char *path) {
  struct stat status;
  if (fstat(fd, &status) != 0) die_errno("fstat of %s", path);
  return S_ISDIR(status.st_mode) ? TARGET_DIRECTORY : TARGET_FILE;
}

static unsigned recursive_flag(const struct plan_step *step) {
  return step->flags & STEP_RECURSIVE ? AT_RECURSIVE : 0;
}

static int open_source(const struct plan_step *step) {
  int mount_fd = sys_open_tree(AT_FDCWD, step->source,
                               OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive_flag(step));
  if (mount_fd < 0) die_errno("the mount source %s", step->source);
  return mount_fd;
}

void open_bind_sources(const struct plan *plan) {
  for (size_t i = 0; i < plan->step_count; i++)
    if (plan->steps[i].tag == TAG_BIND) plan->steps[i].source_fd = open_source(&plan->steps[i]);
}

void mount_bind(int root_fd, const struct plan_step *step) {
  int mount_fd = step->source_fd >= 0 ? step->source_fd : open_source(step);
  uint64_t propagation = step->flags & STEP_SLAVE ? PROPAGATE_SLAVE : PROPAGATE_PRIVATE;
  unsigned below = step->flags & STEP_RECURSIVE_ATTRIBUTES ? AT_RECURSIVE : 0;
  if (!is_to_be_shared(step))
    set_attributes(mount_fd, recursive_flag(step), 0, propagation, step->source);
  if (step->attributes != 0)
    set_attributes(mount_fd, below, step->attributes, 0, step->source);
  apply_details(mount_fd, step);
  int target_fd =
      open_target(root_fd, step->target, kind_of(mount_fd, step->source), step->flags);
  if (sys_move_mount(mount_fd, target_fd) != 0)
    die_errno("mounting %s on %s", step->source, step->target);
  close(target_fd);
  close(mount_fd);
}

void change_attributes(int root_fd, const struct plan_step *step) {
  int target_fd = find_target(root_fd, step->target, STEP_NO_LINKS);
  if (target_fd < 0) die_errno("opening %s", step->target);
  set_attributes(target_fd, 0, step->attributes, 0, step->target);
  apply_details(target_fd, step);
  close(target_fd);
}

/**
 * The host's /dev/null, whose identity is checked: a mask bound from the container's own /dev could be anything
 * (CVE-2025-31133).
 */
static int host_null(void) {
  static int null_fd = -1;
  if (null_fd >= 0) return null_fd;
  null_fd = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
  struct stat status;
  if (null_fd < 0 || fstat(null_fd, &status) != 0) die_errno("/dev/null");
  if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, 3))
    die("/dev/null of the host is not the null device");
  return null_fd;
}

/** A mount of an empty read-only directory. Only attached mounts can be cloned, so the first is kept in place. */
static int empty_directory(void) {
  static int first_fd = -1;
  if (first_fd >= 0) return clone_mount(first_fd, 0, "an empty directory");
  const struct text_list no_options = {0};
  const unsigned hardened =
      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  first_fd = new_filesystem("tmpfs", &no_options, hardened);
  if (first_fd < 0) die_errno("the file system tmpfs");
  return first_fd;
}

void mask_path(int root_fd, const char *path) {
  int target_fd = find_target(root_fd, path, STEP_NO_LINKS);
  if (target_fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return;
  if (target_fd < 0) die_errno("masking %s", path);
  int mount_fd = kind_of(target_fd, path) == TARGET_DIRECTORY
                     ? empty_directory()
                     : clone_mount(host_null(), 0, "/dev/null");
  if (sys_move_mount(mount_fd, target_fd) != 0) die_errno("masking %s", path);
  close(target_fd);
}

void make_readonly(int root_fd, const char *path) {
  int target_fd = find_target(root_fd, path, STEP_NO_LINKS);
  if (target_fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return;
  if (target_fd < 0) die_errno("making %s read-only", path);
  int mount_fd = clone_mount(target_fd, AT_RECURSIVE, path);
  set_attributes(mount_fd, AT_RECURSIVE, MOUNT_ATTR_RDONLY, PROPAGATE_PRIVATE, path);
  if (sys_move_mount(mount_fd, target_fd) != 0) die_errno("making %s read-only", path);
  close(target_fd);
  close(mount_fd);
}
