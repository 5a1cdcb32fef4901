// /dev. Nodes are made in directories opened by descriptor below the root, so a /dev that is a link leads nowhere else
// (CVE-2026-41579, CVE-2026-47766).

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "container.h"
#include "mount.h"
#include "report.h"
#include "system-calls.h"
#include "target.h"

/** Without a cgroup that limits devices every mount is nodev, and a device is a bind of the host's node. */
static void bind_device(int root_fd, const struct plan_step *step) {
  int device_fd = open(step->target, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  struct stat status;
  if (device_fd < 0 || fstat(device_fd, &status) != 0) die_errno("%s of the host", step->target);
  if ((status.st_mode & S_IFMT) != (step->mode & S_IFMT) ||
      status.st_rdev != makedev(step->major, step->minor))
    die("%s of the host is another device", step->target);
  int mount_fd = clone_mount(device_fd, 0, step->target);
  int target_fd = open_target(root_fd, step->target, TARGET_FILE, STEP_NO_LINKS);
  if (sys_move_mount(mount_fd, target_fd) != 0) die_errno("mounting on %s", step->target);
  close(mount_fd);
  close(device_fd);
  close(target_fd);
}

/** What is there already must be that device (config-linux.md#devices). */
static void check_device(int parent_fd, const char *name, const struct plan_step *step) {
  struct stat status;
  if (fstatat(parent_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
    die_errno("the device %s", step->target);
  const bool has_number = !S_ISFIFO(status.st_mode);
  if ((status.st_mode & S_IFMT) != (step->mode & S_IFMT) ||
      (has_number && status.st_rdev != makedev(step->major, step->minor)))
    die("%s is there already, and is another file", step->target);
}

void make_device(int root_fd, const struct plan_step *step) {
  if (step->flags & STEP_BIND_DEVICE) {
    bind_device(root_fd, step);
    return;
  }
  const char *name;
  int parent_fd = open_parent(root_fd, step->target, &name);
  const dev_t number = makedev(step->major, step->minor);
  if (mknodat(parent_fd, name, step->mode, number) != 0) {
    if (errno != EEXIST) die_errno("making the device %s", step->target);
    check_device(parent_fd, name, step);
  }
  // The umask is none of the plan's business.
  if (fchownat(parent_fd, name, step->uid, step->gid, AT_SYMLINK_NOFOLLOW) != 0 ||
      fchmodat(parent_fd, name, step->mode & 07777, 0) != 0)
    die_errno("owner and mode of the device %s", step->target);
  close(parent_fd);
}

void make_symlink(int root_fd, const struct plan_step *step) {
  const char *name;
  int parent_fd = open_parent(root_fd, step->target, &name);
  if (symlinkat(step->source, parent_fd, name) != 0 && errno != EEXIST)
    die_errno("making the link %s", step->target);
  close(parent_fd);
}
