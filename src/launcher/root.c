// The container's root: a directory, or an overlay that only this mount namespace sees.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mount.h"
#include "report.h"
#include "system-calls.h"

/** MS_ bits of mount(2). */
enum {
  PROPAGATE_NOT_BOUND = 1 << 17,
  PROPAGATE_PRIVATE = 1 << 18,
  PROPAGATE_SLAVE = 1 << 19,
  PROPAGATE_SHARED = 1 << 20,
};

/** `/proc/self/fd/N`: short, whatever the path is. fsconfig(2) takes 256 bytes, mount(2) a page for all layers. */
enum { FD_PATH_BYTES = 32, OPTIONS_BYTES = 4096 };

static void open_layer(const char *path, char fd_path[FD_PATH_BYTES]) {
  int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) die_errno("the directory %s of the root", path);
  snprintf(fd_path, FD_PATH_BYTES, "/proc/self/fd/%d", fd);
}

struct overlay_paths {
  char (*lower)[FD_PATH_BYTES];
  char upper[FD_PATH_BYTES], work[FD_PATH_BYTES];
};

static void open_layers(const struct plan_root *root, struct overlay_paths *paths) {
  paths->lower = calloc(root->lower.count, FD_PATH_BYTES);
  if (paths->lower == NULL) die_errno("memory for the layers");
  for (size_t i = 0; i < root->lower.count; i++) open_layer(root->lower.items[i], paths->lower[i]);
  if (*root->upper == '\0') return;
  open_layer(root->upper, paths->upper);
  open_layer(root->work, paths->work);
}

static void add_option(struct text_list *options, char *text, const char *key, const char *path) {
  sprintf(text, "%s=%s", key, path);
  options->items[options->count++] = text;
}

/** Kernels before 6.5 know overlays by mount(2) alone: there a context takes any word, and says so only when it is mounted. */
static bool takes_layer_by_layer(const char *layer) {
  int probe_fd = sys_fsopen("overlay");
  if (probe_fd < 0) die_errno("the file system overlay");
  bool takes = sys_fsconfig(probe_fd, FSCONFIG_SET_STRING, "lowerdir+", layer) == 0 &&
               sys_fsconfig(probe_fd, FSCONFIG_SET_STRING, "no-such-option", "") != 0;
  close(probe_fd);
  return takes;
}

static int mount_overlay_by_layer(const struct plan_root *root, const struct overlay_paths *paths) {
  size_t most = root->options.count + root->lower.count + 2;
  struct text_list options = {.items = calloc(most, sizeof(char *))};
  char (*texts)[2 * FD_PATH_BYTES] = calloc(most, sizeof *texts);
  if (options.items == NULL || texts == NULL) die_errno("memory for the layers");
  for (size_t i = 0; i < root->options.count; i++)
    options.items[options.count++] = root->options.items[i];
  for (size_t i = 0; i < root->lower.count; i++)
    add_option(&options, texts[options.count], "lowerdir+", paths->lower[i]);
  if (*root->upper != '\0') {
    add_option(&options, texts[options.count], "upperdir", paths->upper);
    add_option(&options, texts[options.count], "workdir", paths->work);
  }
  int mount_fd = new_filesystem("overlay", &options, root->attributes & ~MOUNT_ATTR_RDONLY);
  if (mount_fd < 0) die_errno("the file system overlay");
  free(options.items);
  free(texts);
  return mount_fd;
}

static void append(char options[OPTIONS_BYTES], const char *format, const char *value) {
  size_t length = strlen(options);
  int added = snprintf(options + length, OPTIONS_BYTES - length, format, value);
  if (added < 0 || length + (size_t)added >= OPTIONS_BYTES)
    die("this kernel cannot mount a root of so many layers; Linux 6.5 can");
}

/** Older kernels: mount(2), which needs a place. The topmost layer is one, in this mount namespace only. */
static int mount_overlay_at_once(const struct plan_root *root, const struct overlay_paths *paths) {
  char options[OPTIONS_BYTES] = "";
  for (size_t i = 0; i < root->lower.count; i++)
    append(options, i == 0 ? "lowerdir=%s" : ":%s", paths->lower[i]);
  if (*root->upper != '\0') {
    append(options, ",upperdir=%s", paths->upper);
    append(options, ",workdir=%s", paths->work);
  }
  for (size_t i = 0; i < root->options.count; i++)
    if (strncmp(root->options.items[i], "source=", strlen("source=")) != 0)
      append(options, ",%s", root->options.items[i]);
  const char *place = root->lower.items[0];
  if (sys_mount("overlay", place, "overlay", options) != 0) die_errno("mounting the overlay");
  int attached_fd = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (attached_fd < 0) die_errno("opening the overlay");
  int mount_fd = clone_mount(attached_fd, 0, "the overlay");
  uint64_t attributes = root->attributes & ~(uint64_t)MOUNT_ATTR_RDONLY;
  if (attributes != 0) set_attributes(mount_fd, 0, attributes, 0, "the overlay");
  close(attached_fd);
  // What is mounted later may have the same layer.
  if (sys_umount2(place, UNMOUNT_DETACH) != 0) die_errno("detaching the overlay");
  return mount_fd;
}

int detached_tree(const struct plan_root *root) {
  if (root->directory != NULL) {
    int fd = open(root->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) die_errno("the root directory %s", root->directory);
    int mount_fd = clone_mount(fd, AT_RECURSIVE, root->directory);
    uint64_t attributes = root->attributes & ~(uint64_t)MOUNT_ATTR_RDONLY;
    const uint64_t propagation = root->propagation & PROPAGATE_SLAVE ? PROPAGATE_SLAVE : PROPAGATE_PRIVATE;
    set_attributes(mount_fd, AT_RECURSIVE, attributes, propagation, root->directory);
    close(fd);
    return mount_fd;
  }
  struct overlay_paths paths = {0};
  open_layers(root, &paths);
  int mount_fd = takes_layer_by_layer(paths.lower[0]) ? mount_overlay_by_layer(root, &paths)
                                                      : mount_overlay_at_once(root, &paths);
  free(paths.lower);
  return mount_fd;
}

/** What is mounted here must not appear on the host; what the host mounts may still appear in slave binds. */
static int cut_propagation(const char *top) {
  const struct mount_attr slave = {.propagation = 1 << 19};
  return sys_mount_setattr(AT_FDCWD, top, AT_RECURSIVE, &slave);
}

/** Up to the root of this mount namespace, from a directory outside this process's own root. */
static void climb(void) {
  for (struct statx here = {0}, above;; here = above) {
    if (sys_statx(AT_FDCWD, STATX_INO | STATX_MNT_ID, &above) != 0) die_errno("statx");
    if (here.stx_ino == above.stx_ino && here.stx_mnt_id == above.stx_mnt_id) return;
    if (chdir("..") != 0) die_errno("leaving the chroot");
  }
}

/** Makes a mount of this namespace its root and this process's; the old root goes with everything below it. */
static void pivot_to(int mount_fd) {
  int old_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (old_fd < 0) die_errno("opening the old root");
  if (fchdir(mount_fd) != 0) die_errno("entering the root");
  if (sys_pivot_root(".", ".") != 0) die_errno("pivot_root");
  // The old root lies on top of the new one now.
  if (fchdir(old_fd) != 0) die_errno("fchdir to the old root");
  if (sys_umount2(".", UNMOUNT_DETACH) != 0) die_errno("unmounting the old root");
  if (chdir("/") != 0) die_errno("chdir to the root");
  close(old_fd);
}

/**
 * Where kauri runs in a chroot, the root of this mount namespace is above it: a container could climb to it, and who joins
 * the namespace would begin there. So the chroot becomes the namespace's root. Any directory below serves as a root to be
 * outside of, from where one can climb; without a chroot that leads back to where it began.
 */
void leave_chroot(void) {
  struct statx own, top;
  int own_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (own_fd < 0 || chroot("/proc") != 0 || fchdir(own_fd) != 0) die_errno("leaving the root");
  if (sys_statx(own_fd, STATX_INO | STATX_MNT_ID, &own) != 0) die_errno("statx");
  climb();
  if (sys_statx(AT_FDCWD, STATX_INO | STATX_MNT_ID, &top) != 0) die_errno("statx");
  if (chroot(".") != 0) die_errno("entering the root of the mount namespace");
  if (own.stx_ino != top.stx_ino || own.stx_mnt_id != top.stx_mnt_id) {
    if (cut_propagation("/") != 0) die_errno("mount_setattr of the host's mounts");
    int mount_fd = clone_mount(own_fd, AT_RECURSIVE, "the chroot");
    if (sys_move_mount(mount_fd, own_fd) != 0) die_errno("mounting the chroot on itself");
    pivot_to(mount_fd);
    close(mount_fd);
  }
  close(own_fd);
}

void leave_host_propagation(void) {
  leave_chroot();
  if (cut_propagation("/") != 0) die_errno("mount_setattr of the host's mounts");
}

/**
 * Where mounts of the container shall be seen on the host, those of the host stay as they are. All but the top: what is put
 * on that must never be seen there.
 */
static void detach_from_host(const struct plan_root *root) {
  if (!(root->propagation & PROPAGATE_SHARED)) return leave_host_propagation();
  leave_chroot();
  const struct mount_attr private = {.propagation = PROPAGATE_PRIVATE};
  if (sys_mount_setattr(AT_FDCWD, "/", 0, &private) != 0)
    die_errno("mount_setattr of the host's root");
}

int mount_root(const struct plan_root *root) {
  detach_from_host(root);
  int mount_fd = detached_tree(root);
  // On top of everything, where no path leads; it is reached by its descriptor alone.
  int top_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (top_fd < 0 || sys_move_mount(mount_fd, top_fd) != 0) die_errno("attaching the root");
  close(top_fd);
  return mount_fd;
}

void enter_root(int root_fd, const struct plan_root *root) {
  if (root->attributes & MOUNT_ATTR_RDONLY)
    set_attributes(root_fd, 0, MOUNT_ATTR_RDONLY, 0, "the root");
  pivot_to(root_fd);
  // Only now: a root that is shared cannot be pivoted to.
  if (root->propagation & (PROPAGATE_SHARED | PROPAGATE_NOT_BOUND))
    set_attributes(root_fd, 0, 0, root->propagation, "the root");
}
