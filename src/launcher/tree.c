// What is mounted from a tree that has no place of its own, such as another stage of a build, and files that are in
// memory only.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mount.h"
#include "report.h"
#include "system-calls.h"
#include "target.h"

/**
 * A clone of what `path` names inside a mount that is seen nowhere. Only attached mounts can be cloned, so it lies on top
 * of the root for that moment; nothing else of this namespace runs yet.
 */
static int clone_inside(int mount_fd, const char *path) {
  int top_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (top_fd < 0 || sys_move_mount(mount_fd, top_fd) != 0) die_errno("attaching a tree");
  int inside_fd = find_target(mount_fd, path, 0);
  if (inside_fd < 0) die_errno("the mount source %s", path);
  int clone_fd = clone_mount(inside_fd, 0, path);
  if (fchdir(mount_fd) != 0 || sys_umount2(".", UNMOUNT_DETACH) != 0 || chdir("/") != 0)
    die_errno("detaching a tree");
  close(inside_fd);
  close(top_fd);
  return clone_fd;
}

/** Puts a mount that is seen nowhere on the step's target, with the step's attributes. */
static void place_mount(int root_fd, int mount_fd, const struct plan_step *step) {
  if (step->attributes != 0) set_attributes(mount_fd, 0, step->attributes, 0, step->target);
  apply_details(mount_fd, step);
  int target_fd =
      open_target(root_fd, step->target, kind_of(mount_fd, step->source), step->flags);
  if (sys_move_mount(mount_fd, target_fd) != 0) die_errno("mounting on %s", step->target);
  close(target_fd);
  close(mount_fd);
}

void mount_tree(int root_fd, const struct plan_step *step) {
  int tree_fd = detached_tree(&step->tree);
  int mount_fd = clone_inside(tree_fd, step->source);
  close(tree_fd);
  place_mount(root_fd, mount_fd, step);
}

/** Its pages must not reach a disk through swap; kernels before 6.4 cannot promise that. */
static int new_memory(void) {
  static const char *plain[] = {"mode=700", "nr_inodes=8", NULL};
  static const char *without_swap[] = {"mode=700", "nr_inodes=8", "noswap", NULL};
  const struct text_list preferred = {.items = without_swap, .count = 3};
  const struct text_list fallback = {.items = plain, .count = 2};
  const unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  bool has_noswap = takes_option("tmpfs", "noswap");
  int mount_fd = new_filesystem("tmpfs", has_noswap ? &preferred : &fallback, attributes);
  if (mount_fd < 0) die_errno("the file system tmpfs");
  return mount_fd;
}

static void write_whole(int fd, const struct bytes *content) {
  const char *at = content->data;
  for (size_t left = content->length; left > 0;) {
    ssize_t written = write(fd, at, left);
    if (written <= 0) die_errno("writing a file in memory");
    at += written;
    left -= (size_t)written;
  }
}

void mount_file(int root_fd, const struct plan_step *step) {
  static const char name[] = "file";
  int memory_fd = new_memory();
  int file_fd = openat(memory_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file_fd < 0) die_errno("making a file in memory");
  write_whole(file_fd, &step->content);
  // The mode last: a change of owner would take bits away.
  if (fchown(file_fd, step->uid, step->gid) != 0 || fchmod(file_fd, step->mode) != 0)
    die_errno("the owner of a file in memory");
  close(file_fd);
  int mount_fd = clone_inside(memory_fd, name);
  close(memory_fd);
  place_mount(root_fd, mount_fd, step);
}
