// From a fresh process in new namespaces to the container's program. Everything up to drop_privileges runs with all
// rights of kauri, so each step names what it touches by descriptor.

#define _GNU_SOURCE
#include "container.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "gate.h"
#include "mount.h"
#include "report.h"
#include "supervise.h"
#include "system-calls.h"
#include "target.h"
#include "user-namespace.h"

/** This process's id as the host sees it, while the host's procfs is still there. */
static void report_pid(const char *kind) {
  char pid[16];
  ssize_t length = readlink("/proc/self", pid, sizeof pid - 1);
  if (length < 0) die_errno("/proc/self");
  report(kind, "%.*s", (int)length, pid);
}

void join_namespace(const struct plan_join *join) {
  int fd = open(join->path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, (int)join->kind) != 0) die_errno("joining the namespace %s", join->path);
  close(fd);
}

/** Pid and user namespaces were joined by the parent. */
static void join_namespaces(const struct plan *plan) {
  for (size_t i = 0; i < plan->join_count; i++)
    if (!(plan->joins[i].kind & (CLONE_NEWPID | CLONE_NEWUSER))) join_namespace(&plan->joins[i]);
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

/** Made as docker makes it: by root, and it stays. */
static void make_directory(int root_fd, const char *directory) {
  int fd = find_target(root_fd, directory, 0);
  if (fd < 0) fd = open_target(root_fd, directory, TARGET_DIRECTORY, STEP_ON_KERNEL_FS | STEP_KEEP);
  close(fd);
}

/** Descriptors of the launcher that are no business of the container, not even while it waits. */
static void close_locks(const struct plan *plan) {
  if (plan->monitor.directory == NULL) return;
  sys_close_range(ADOPTION_FD, ADOPTION_FD + plan->monitor.lock_count, 0);
}

/** Everything that other processes see of the container, up to its root. */
static int build_container(const struct plan *plan, const struct inheritance *inheritance) {
  enter_cgroups(plan);
  join_namespaces(plan);
  if (plan->hostname != NULL && sethostname(plan->hostname, strlen(plan->hostname)) != 0)
    die_errno("setting the host name");
  const char *domain_name = plan->settings.domain_name;
  if (domain_name != NULL && setdomainname(domain_name, strlen(domain_name)) != 0)
    die_errno("setting the domain name");
  if (plan->loopback_up) set_loopback_up();
  set_oom_score(plan);
  set_rlimits(plan);
  open_all_id_maps(plan);
  int root_fd = mount_root(&plan->root);
  if (plan->uid_map != NULL) open_bind_sources(plan);
  become_namespace_root(plan);
  for (size_t i = 0; i < plan->step_count; i++) do_step(root_fd, &plan->steps[i]);
  // After the sysctls: what they say of new interfaces holds for this one.
  connect_network(plan, inheritance->netlink_socket);
  return root_fd;
}

void become_container(const struct plan *plan, const struct inheritance *inheritance) {
  struct bytes state = {.data = "", .length = 0};
  close_locks(plan);
  await_maps(inheritance);
  int root_fd = build_container(plan, inheritance);
  if (plan->has_host_turn) {
    report_pid("prepared");
    take_host_turn(&state);
  }
  run_hooks(plan, HOOK_CREATE_CONTAINER, &state);
  if (setsid() < 0) die_errno("setsid");
  leave_keyring(plan);
  if (plan->has_terminal)
    open_terminal(root_fd, plan, inheritance->terminal_socket);
  else
    take_streams(plan, inheritance);
  make_directory(root_fd, plan->directory);
  report_pid("started");
  enter_root(root_fd, &plan->root);
  reset_signals();
  if (inheritance->gate >= 0) wait_at_gate(plan, inheritance, &state);
  run_hooks(plan, HOOK_START_CONTAINER, &state);
  enter_directory(plan->directory);
  apply_settings(plan);
  keep_inherited(plan);
  drop_privileges(plan);
  execute_program(plan);
}
