// Rooted mode: another runtime of the host's (crun, lxc-execute, systemd-nspawn) finds a container's root mounted, in a
// mount namespace that ends with it. The plan's steps are mounts of the host's paths that only this runtime shall see.

#define _GNU_SOURCE
#include "rooted.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "container.h"
#include "keeper.h"
#include "mount.h"
#include "report.h"
#include "system-calls.h"

/** The plan may hold secrets, so it goes as soon as it is read. */
static const struct plan *take_plan(const char *file) {
  int fd = open(file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || unlink(file) != 0) die_errno("the plan %s", file);
  const struct plan *plan = read_plan(fd);
  close(fd);
  return plan;
}

static void do_step(int host_fd, const struct plan_step *step) {
  switch (step->tag) {
    case TAG_TREE:
      mount_tree(host_fd, step);
      break;
    case TAG_FILE:
      mount_file(host_fd, step);
      break;
    case TAG_SYSCTL:
      write_sysctl(host_fd, step);
      break;
    case TAG_FILESYSTEM:
      mount_filesystem(host_fd, step);
      break;
    default:
      die("the plan has a step %d", (int)step->tag);
  }
}

static void mount_on(int mount_fd, const char *directory) {
  int target_fd = open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (target_fd < 0 || sys_move_mount(mount_fd, target_fd) != 0)
    die_errno("mounting the root on %s", directory);
  close(target_fd);
  close(mount_fd);
}

/** The messages call the namespace that of process 1, which a container's first process is. */
static void connect_as_first(const struct plan *plan, int outside) {
  pid_t first = fork_into(CLONE_NEWPID);
  if (first < 0) die_errno("clone(CLONE_NEWPID)");
  if (first == 0) {
    connect_network(plan, outside);
    _exit(0);
  }
  close(outside);
  int status;
  while (waitpid(first, &status, 0) < 0)
    if (errno != EINTR) die_errno("waitpid");
  // It has said what failed.
  if (status != 0) _exit(EXIT_LAUNCH_FAILED);
}

void run_rooted(const char *plan_file) {
  const struct plan *plan = take_plan(plan_file);
  int outside = plan->netlink_outside.length > 0 ? open_netlink() : -1;
  if (unshare(CLONE_NEWNS | (int)(plan->namespaces & CLONE_NEWNET)) != 0) die_errno("unshare");
  leave_host_propagation();
  mount_on(detached_tree(&plan->root), plan->directory);
  int host_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (host_fd < 0) die_errno("opening /");
  for (size_t i = 0; i < plan->step_count; i++) do_step(host_fd, &plan->steps[i]);
  close(host_fd);
  if (plan->loopback_up) set_loopback_up();
  if (outside >= 0) connect_as_first(plan, outside);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execute_program(plan);
}
