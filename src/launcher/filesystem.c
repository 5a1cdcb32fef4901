// File systems by fsopen(2): options one by one, each error with the kernel's own words.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "copy-up.h"
#include "mount.h"
#include "report.h"
#include "system-calls.h"
#include "target.h"

static void die_filesystem(int fs_fd, const char *type, const char *what) {
  int failure = errno;
  char message[512];
  // Messages are `e text`, one for each read.
  ssize_t length = read(fs_fd, message, sizeof message - 1);
  if (length > 2) {
    message[length] = '\0';
    message[strcspn(message, "\n")] = '\0';
    die("mounting %s (%s): %s: %s", type, what, message + 2, strerror(failure));
  }
  errno = failure;
  die_errno("mounting %s (%s)", type, what);
}

static void set_option(int fs_fd, const char *type, const char *option) {
  char key[NAME_MAX];
  const char *equals = strchr(option, '=');
  size_t length = equals == NULL ? strlen(option) : (size_t)(equals - option);
  if (length >= sizeof key) die("a mount option of %s is too long", type);
  memcpy(key, option, length);
  key[length] = '\0';
  int result = equals == NULL ? sys_fsconfig(fs_fd, FSCONFIG_SET_FLAG, key, NULL)
                              : sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, key, equals + 1);
  if (result != 0) die_filesystem(fs_fd, type, option);
}

bool takes_option(const char *type, const char *option) {
  int fs_fd = sys_fsopen(type);
  if (fs_fd < 0) return false;
  bool taken = sys_fsconfig(fs_fd, FSCONFIG_SET_FLAG, option, NULL) == 0;
  close(fs_fd);
  return taken;
}

int new_filesystem(const char *type, const struct text_list *options, unsigned attributes) {
  int fs_fd = sys_fsopen(type);
  if (fs_fd < 0) return -1;
  for (size_t i = 0; i < options->count; i++) set_option(fs_fd, type, options->items[i]);
  if (sys_fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL) != 0)
    die_filesystem(fs_fd, type, "create");
  int mount_fd = sys_fsmount(fs_fd, attributes);
  if (mount_fd < 0) die_filesystem(fs_fd, type, "fsmount");
  close(fs_fd);
  return mount_fd;
}

void mount_filesystem(int root_fd, const struct plan_step *step) {
  // What it covers may have to be copied into it first.
  const unsigned writable = step->attributes & ~(unsigned)MOUNT_ATTR_RDONLY;
  int mount_fd = new_filesystem(step->source, &step->options, writable);
  if (mount_fd < 0 && errno == ENODEV && step->flags & STEP_OPTIONAL) {
    warn_errno("%s is not mounted on %s", step->source, step->target);
    return;
  }
  if (mount_fd < 0) die_errno("the file system %s", step->source);
  int target_fd = open_target(root_fd, step->target, TARGET_DIRECTORY, step->flags);
  if (step->details.flags & DETAIL_COPY_UP) copy_up(target_fd, mount_fd);
  if (step->attributes & MOUNT_ATTR_RDONLY)
    set_attributes(mount_fd, 0, MOUNT_ATTR_RDONLY, 0, step->target);
  apply_details(mount_fd, step);
  if (sys_move_mount(mount_fd, target_fd) != 0) die_errno("mounting on %s", step->target);
  close(target_fd);
  close(mount_fd);
}
