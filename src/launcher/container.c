// From a fresh process in new namespaces to the container's program. Everything up to drop_privileges runs with all
// rights of kauri, so each step names what it touches by descriptor.

#define _GNU_SOURCE
#include "container.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mount.h"
#include "report.h"
#include "system-calls.h"
#include "target.h"

/** This process's id as the host sees it, while the host's procfs is still there. */
static void report_started(void) {
  char pid[16];
  ssize_t length = readlink("/proc/self", pid, sizeof pid - 1);
  if (length < 0) die_errno("/proc/self");
  report("started", "%.*s", (int)length, pid);
}

static void join_namespaces(const struct plan *plan) {
  for (size_t i = 0; i < plan->join_count; i++) {
    const struct plan_join *join = &plan->joins[i];
    int fd = open(join->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, (int)join->kind) != 0) die_errno("joining the namespace %s", join->path);
    close(fd);
  }
}

static void do_step(int root_fd, const struct plan_step *step) {
  switch (step->tag) {
    case TAG_FILESYSTEM:
      mount_filesystem(root_fd, step);
      break;
    case TAG_BIND:
      mount_bind(root_fd, step);
      break;
    case TAG_TREE:
      mount_tree(root_fd, step);
      break;
    case TAG_FILE:
      mount_file(root_fd, step);
      break;
    case TAG_DEVICE:
      make_device(root_fd, step);
      break;
    case TAG_SYMLINK:
      make_symlink(root_fd, step);
      break;
    case TAG_MASK:
      mask_path(root_fd, step->target);
      break;
    case TAG_READONLY:
      make_readonly(root_fd, step->target);
      break;
    case TAG_ATTRIBUTES:
      change_attributes(root_fd, step);
      break;
    case TAG_SYSCTL:
      write_sysctl(root_fd, step);
      break;
    default:
      die("the plan has a step %d", (int)step->tag);
  }
}

/** A key that a program puts into its session keyring must not be found by the host's other processes. */
static void leave_keyring(void) {
  if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
    warn_errno("no session keyring of its own");
}

/** A directory of the host must not be left as the working directory (CVE-2024-21626). */
static void enter_directory(const char *directory) {
  if (chdir(directory) != 0) die_errno("the working directory %s", directory);
  char path[PATH_MAX];
  if (syscall(SYS_getcwd, path, sizeof path) < 0) die_errno("getcwd");
  if (path[0] != '/') die("the working directory %s is outside the container", directory);
}

/** Made as docker makes it: by root, and it stays. */
static void make_directory(int root_fd, const char *directory) {
  int fd = find_target(root_fd, directory, 0);
  if (fd < 0) fd = open_target(root_fd, directory, TARGET_DIRECTORY, STEP_ON_KERNEL_FS | STEP_KEEP);
  close(fd);
}

/** A program that drops root can then still open /dev/stdout, where that is a pipe. */
static void give_pipes_to(uid_t uid) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) && status.st_uid != uid)
      if (fchown(fd, uid, (gid_t)-1) != 0) warn_errno("the owner of stream %d", fd);
  }
}

static void reset_signals(void) {
  for (int number = 1; number < _NSIG; number++) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/** A program that opens /dev/stdout needs a pipe there; launchers get sockets from Node. */
static void take_streams(const struct plan *plan, const struct inheritance *inheritance) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (inheritance->streams[fd] >= 0 && dup2(inheritance->streams[fd], fd) < 0) die_errno("dup2");
  if (plan->merge_output && dup2(STDOUT_FILENO, STDERR_FILENO) < 0) die_errno("dup2");
  if (plan->uid != 0) give_pipes_to(plan->uid);
}

void become_container(const struct plan *plan, const struct inheritance *inheritance) {
  enter_cgroups(plan);
  join_namespaces(plan);
  if (plan->hostname != NULL && sethostname(plan->hostname, strlen(plan->hostname)) != 0)
    die_errno("setting the host name");
  if (plan->loopback_up) set_loopback_up();
  set_limits(plan);
  int root_fd = mount_root(&plan->root);
  for (size_t i = 0; i < plan->step_count; i++) do_step(root_fd, &plan->steps[i]);
  // After the sysctls: what they say of new interfaces holds for this one.
  connect_network(plan, inheritance->netlink_socket);
  if (setsid() < 0) die_errno("setsid");
  leave_keyring();
  if (plan->has_terminal)
    open_terminal(root_fd, plan, inheritance->terminal_socket);
  else
    take_streams(plan, inheritance);
  make_directory(root_fd, plan->directory);
  report_started();
  enter_root(root_fd, plan->root.attributes);
  enter_directory(plan->directory);
  reset_signals();
  // Nothing of the host's but the three streams goes through the exec (CVE-2024-21626).
  if (sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) die_errno("close_range");
  drop_privileges(plan);
  execute_program(plan);
}
