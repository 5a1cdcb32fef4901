// From the plan to a keeper and a container: what all modes share. Between them and kauri:
//
//   kauri ── control socket ── launcher ── keeper (first of an outer pid namespace) ── container (first of an inner one)
//
// The keeper dies with the launcher, and with the keeper the kernel ends everything in its namespace.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mount.h"
#include "report.h"
#include "supervise.h"
#include "system-calls.h"
#include "user-namespace.h"

const struct plan *begin_launch(unsigned expected_descriptors) {
  report_to(CONTROL_FD);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  const struct plan *plan = read_plan(CONTROL_FD);
  // Whatever else the caller had open is nobody's business here.
  unsigned expected = expected_descriptors + plan->inherited_count + plan->monitor.lock_count;
  sys_close_range(CONTROL_FD + 1 + expected, ~0U, 0);
  for (unsigned fd = CONTROL_FD; fd <= CONTROL_FD + expected; fd++)
    if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) != 0) die_errno("descriptor %u of the caller", fd);
  return plan;
}

struct inheritance empty_inheritance(void) {
  return (struct inheritance){
      .streams = {-1, -1, -1},
      .terminal_socket = -1,
      .netlink_socket = -1,
      .gate = -1,
      .progress = -1,
      .mapping = -1,
  };
}

static void close_if_open(int fd) {
  if (fd >= 0) close(fd);
}

void close_inheritance(const struct inheritance *inheritance) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) close_if_open(inheritance->streams[fd]);
  close_if_open(inheritance->terminal_socket);
  close_if_open(inheritance->netlink_socket);
  close_if_open(inheritance->gate);
  close_if_open(inheritance->progress);
  close_if_open(inheritance->mapping);
}

void open_terminal_sockets(int ends[2]) {
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) die_errno("socketpair");
}

/** Kinds that a process joins for its children, so whoever forks must be there first. */
enum { JOINED_BEFORE_FORK = CLONE_NEWPID | CLONE_NEWUSER };

bool has_own_pids(const struct plan *plan) { return plan->namespaces & CLONE_NEWPID; }

static void join_before_fork(const struct plan *plan) {
  for (size_t i = 0; i < plan->join_count; i++)
    if (plan->joins[i].kind & JOINED_BEFORE_FORK) join_namespace(&plan->joins[i]);
}

/** The first process that is born in the namespace fixes its clocks, so they are set before. */
static void make_time_namespace(const struct plan *plan) {
  if (unshare(CLONE_NEWTIME) != 0) die_errno("unshare(CLONE_NEWTIME)");
  if (plan->time_offsets == NULL) return;
  size_t length = strlen(plan->time_offsets);
  int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, plan->time_offsets, length) != (ssize_t)length)
    die_errno("setting the clocks' offsets");
  close(fd);
}

pid_t fork_container(const struct plan *plan) {
  // The cgroup namespace comes later, when the container is in its cgroup.
  unsigned long namespaces = plan->namespaces & ~(unsigned)(CLONE_NEWCGROUP | CLONE_NEWTIME);
  int cgroup_fd = plan->cgroup_directory == NULL ? -1 : open_cgroup(plan->cgroup_directory);
  if (plan->namespaces & CLONE_NEWTIME) make_time_namespace(plan);
  join_before_fork(plan);
  if (plan->namespaces & CLONE_NEWUSER) {
    // Which the kernel makes for nobody in a chroot.
    if (unshare(CLONE_NEWNS) != 0) die_errno("unshare(CLONE_NEWNS)");
    leave_chroot();
  }
  return cgroup_fd < 0 ? fork_into(namespaces) : fork_into_cgroup(namespaces, cgroup_fd);
}

static noreturn void keep(const struct plan *plan, int alive, struct inheritance *inheritance,
                          struct keeper_outcome *outcome) {
  struct mapping mapping = open_mapping(plan, inheritance);
  pid_t container = fork_container(plan);
  if (container < 0) die_errno("clone");
  if (container == 0) {
    // Where no namespace of its own ends it with the keeper, a signal does.
    if (!has_own_pids(plan)) die_with_pipe(alive, SIGKILL);
    become_container(plan, inheritance);
  }
  write_maps(plan, &mapping);
  dup2(alive, CONTROL_FD);
  // A terminal's input stays, for the keeper restores its mode where the launcher was killed.
  if (!plan->has_terminal) sys_close_range(0, CONTROL_FD - 1, 0);
  sys_close_range(CONTROL_FD + 1, ~0U, 0);
  outcome->wait_status = relay_signals_until_exit(container);
  outcome->ended = true;
  _exit(0);
}

pid_t start_keeper(const struct plan *plan, int death_signal, struct inheritance *inheritance,
                   struct keeper_outcome *outcome) {
  int alive[2];
  if (pipe2(alive, O_CLOEXEC) != 0) die_errno("pipe");
  // A container in the pid namespace of others cannot be below one of the keeper's.
  pid_t keeper = fork_into(has_own_pids(plan) ? CLONE_NEWPID : 0);
  if (keeper < 0) die_errno("clone(CLONE_NEWPID)");
  if (keeper == 0) {
    close(alive[1]);
    die_with_pipe(alive[0], death_signal);
    keep(plan, alive[0], inheritance, outcome);
  }
  close(alive[0]);
  close_inheritance(inheritance);
  return keeper;
}

int exit_code_of(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}
