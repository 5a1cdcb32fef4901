// What OCI configurations ask of a mount beside its attributes: attributes that it loses, those of the mounts below it,
// propagation, owners mapped by a user namespace, and a tmpfs that begins with what it covers.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mount.h"
#include "report.h"
#include "settings.h"
#include "system-calls.h"

enum { PROPAGATE_SHARED = 1 << 20, PID_BYTES = 16 };

bool is_to_be_shared(const struct plan_step *step) {
  return step->details.propagation & PROPAGATE_SHARED;
}

static void change(int mount_fd, unsigned flags, const struct mount_attr *attributes,
                   const char *path) {
  if (sys_mount_setattr(mount_fd, "", AT_EMPTY_PATH | flags, attributes) != 0)
    die_errno("mount_setattr of %s", path);
}

static void write_map(const char *pid, const char *name, const char *map) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, map, strlen(map)) < 0) die_errno("the id map %s", map);
  close(fd);
}

/** Tells its own number, as the procfs in sight counts, and stays until it is killed. */
static noreturn void hold_namespace(int to_parent) {
  char pid[PID_BYTES];
  ssize_t length = readlink("/proc/self", pid, sizeof pid);
  if (length > 0 && write(to_parent, pid, (size_t)length) == length)
    for (;;) pause();
  _exit(EXIT_LAUNCH_FAILED);
}

/** A user namespace that has these maps and nobody in it. */
static int open_id_maps(const char *uid_map, const char *gid_map) {
  int ends[2];
  // The kernel makes none for who is in a chroot.
  leave_chroot();
  if (pipe2(ends, O_CLOEXEC) != 0) die_errno("pipe");
  pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
  if (child < 0) die_errno("a user namespace for id maps");
  if (child == 0) hold_namespace(ends[1]);
  close(ends[1]);
  char pid[PID_BYTES + 1], path[64];
  ssize_t length = read(ends[0], pid, PID_BYTES);
  if (length <= 0) die("a user namespace for id maps has nobody in it");
  pid[length] = '\0';
  close(ends[0]);
  write_map(pid, "uid_map", uid_map);
  write_map(pid, "gid_map", gid_map);
  snprintf(path, sizeof path, "/proc/%s/ns/user", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) die_errno("%s", path);
  kill(child, SIGKILL);
  while (waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
  return fd;
}

static void map_owners(int mount_fd, const struct plan_step *step) {
  const struct mount_details *details = &step->details;
  const struct mount_attr mapped = {.attr_set = MOUNT_ATTR_IDMAP,
                                    .userns_fd = (uint64_t)details->id_maps_fd};
  change(mount_fd, details->flags & DETAIL_IDMAP_BELOW ? AT_RECURSIVE : 0, &mapped, step->target);
  close(details->id_maps_fd);
}

static bool has_id_maps(const struct mount_details *details) {
  return details->uid_map != NULL && *details->uid_map != '\0';
}

void open_all_id_maps(const struct plan *plan) {
  for (size_t i = 0; i < plan->step_count; i++) {
    struct mount_details *details = &plan->steps[i].details;
    if (has_id_maps(details)) details->id_maps_fd = open_id_maps(details->uid_map, details->gid_map);
  }
}

void apply_details(int mount_fd, const struct plan_step *step) {
  const struct mount_details *details = &step->details;
  if (has_id_maps(details)) map_owners(mount_fd, step);
  if (details->below_set != 0 || details->below_cleared != 0) {
    // How access times are kept is one field: a new value replaces the old one.
    const bool has_times = (details->below_set | details->below_cleared) & MOUNT_ATTR__ATIME;
    const struct mount_attr below = {
        .attr_set = details->below_set,
        .attr_clr = details->below_cleared | (has_times ? MOUNT_ATTR__ATIME : 0)};
    change(mount_fd, AT_RECURSIVE, &below, step->target);
  }
  if (details->cleared != 0) {
    const bool has_times = details->cleared & MOUNT_ATTR__ATIME;
    const struct mount_attr own = {
        .attr_set = step->attributes,
        .attr_clr = details->cleared | (has_times ? MOUNT_ATTR__ATIME : 0)};
    change(mount_fd, 0, &own, step->target);
  }
  if (details->propagation != 0) {
    const struct mount_attr shared = {.propagation = details->propagation};
    change(mount_fd, details->flags & DETAIL_PROPAGATION_BELOW ? AT_RECURSIVE : 0, &shared,
           step->target);
  }
}
