// Run mode: reads the plan, starts a keeper, which starts the container, and waits. Between them and kauri:
//
//   kauri ── control socket ── launcher ── keeper (first of an outer pid namespace) ── container (first of an inner one)
//
// The launcher dies with kauri, the keeper with the launcher, and with the keeper the kernel ends everything in its
// namespace. On the socket kauri sends the plan, then signal numbers, one byte each; its end means SIGKILL.

#define _GNU_SOURCE
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "container.h"
#include "keeper.h"
#include "plan.h"
#include "relay.h"
#include "report.h"
#include "system-calls.h"
#include "terminal.h"

enum { RELAYS = 3 };

struct supervision {
  pid_t keeper;
  int signal_fd;
  /** Where the terminal's master side comes from, then -1. */
  int terminal_socket;
  int master_fd;
  bool kauri_is_there;
  /** One for each standard stream that needs it. */
  struct relay relays[RELAYS];
};

static pid_t keeper_of_terminal;

/** A launcher or keeper with a terminal is not killed with its parent: it puts the terminal's mode back, then ends. */
static void on_parent_death(int signal_number) {
  (void)signal_number;
  if (keeper_of_terminal > 0) kill(keeper_of_terminal, SIGKILL);
  end_raw_mode();
  _exit(EXIT_LAUNCH_FAILED);
}

static int parent_death_signal(const struct plan *plan) {
  if (!plan->has_terminal) return SIGKILL;
  signal(SIGRTMAX, on_parent_death);
  return SIGRTMAX;
}

static void unblock_parent_death(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMAX);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static noreturn void keep(const struct plan *plan, int alive, const struct inheritance *inheritance,
                          struct keeper_outcome *outcome) {
  die_with_pipe(alive, parent_death_signal(plan));
  // The cgroup namespace comes later, when the container is in its cgroup.
  unsigned long namespaces = plan->namespaces & ~(unsigned)CLONE_NEWCGROUP;
  pid_t container = plan->cgroup_directory == NULL
                        ? fork_into(namespaces)
                        : fork_into_cgroup(namespaces, plan->cgroup_directory);
  if (container < 0) die_errno("clone");
  if (container == 0) become_container(plan, inheritance);
  dup2(alive, CONTROL_FD);
  // A terminal's input stays, for the keeper restores its mode where the launcher was killed.
  if (!plan->has_terminal) sys_close_range(0, CONTROL_FD - 1, 0);
  sys_close_range(CONTROL_FD + 1, ~0U, 0);
  outcome->wait_status = relay_signals_until_exit(container);
  outcome->ended = true;
  _exit(0);
}

/** Kills the container with everything in it. */
static void kill_all(struct supervision *supervision) { kill(supervision->keeper, SIGKILL); }

static void deliver(struct supervision *supervision, int signal_number) {
  if (signal_number == SIGKILL)
    kill_all(supervision);
  else if (signal_number == SIGWINCH && supervision->master_fd >= 0)
    copy_window_size(supervision->master_fd);
  else if (signal_number > 0 && signal_number < _NSIG)
    kill(supervision->keeper, signal_number);
}

static void read_control(struct supervision *supervision) {
  unsigned char signals[64];
  ssize_t length = recv(CONTROL_FD, signals, sizeof signals, MSG_DONTWAIT);
  if (length < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (length <= 0) {
    supervision->kauri_is_there = false;
    kill_all(supervision);
    return;
  }
  for (ssize_t i = 0; i < length; i++) deliver(supervision, signals[i]);
}

/** Passes signals on; true when the keeper has ended. */
static bool read_signals(struct supervision *supervision) {
  struct signalfd_siginfo info;
  while (read(supervision->signal_fd, &info, sizeof info) == sizeof info) {
    // A relay whose reader is gone raises SIGPIPE here; that is no signal for the container.
    if (info.ssi_pid == (uint32_t)getpid()) continue;
    if (info.ssi_signo != SIGCHLD) {
      deliver(supervision, (int)info.ssi_signo);
      continue;
    }
    if (waitpid(supervision->keeper, NULL, WNOHANG) == supervision->keeper) return true;
  }
  return false;
}

static void relay_stream(struct supervision *supervision, int stream, int from, int to) {
  struct relay *relay = &supervision->relays[stream];
  relay->from = from;
  relay->to = to;
  // A terminal's ends are needed to the last: for the other direction, and to put its mode back.
  relay->owns_both = supervision->master_fd < 0;
}

static void begin_terminal(struct supervision *supervision) {
  int master_fd = receive_terminal(supervision->terminal_socket);
  close(supervision->terminal_socket);
  supervision->terminal_socket = -1;
  if (master_fd < 0) return;
  supervision->master_fd = master_fd;
  fcntl(master_fd, F_SETFL, O_NONBLOCK);
  copy_window_size(master_fd);
  relay_stream(supervision, STDIN_FILENO, STDIN_FILENO, master_fd);
  relay_stream(supervision, STDOUT_FILENO, master_fd, STDOUT_FILENO);
}

enum { ON_SIGNAL, ON_CONTROL, ON_TERMINAL_SOCKET, ON_RELAYS, WATCHED = ON_RELAYS + RELAYS };

/** Waits for what there is and moves it; true when the keeper has ended. */
static bool turn(struct supervision *supervision) {
  struct pollfd watched[WATCHED] = {
      [ON_SIGNAL] = {.fd = supervision->signal_fd, .events = POLLIN},
      [ON_CONTROL] = {.fd = supervision->kauri_is_there ? CONTROL_FD : -1, .events = POLLIN},
      [ON_TERMINAL_SOCKET] = {.fd = supervision->terminal_socket, .events = POLLIN},
  };
  for (int i = 0; i < RELAYS; i++)
    watched[ON_RELAYS + i] = relay_wants(&supervision->relays[i]);
  if (poll(watched, WATCHED, -1) < 0 && errno != EINTR) die_errno("poll");
  if (watched[ON_TERMINAL_SOCKET].revents) begin_terminal(supervision);
  for (int i = 0; i < RELAYS; i++)
    relay_turn(&supervision->relays[i], watched[ON_RELAYS + i].revents);
  if (watched[ON_CONTROL].revents) read_control(supervision);
  return watched[ON_SIGNAL].revents && read_signals(supervision);
}

static void report_end(const struct keeper_outcome *outcome) {
  int status = outcome->wait_status;
  int code = !outcome->ended ? 128 + SIGKILL
             : WIFEXITED(status) ? WEXITSTATUS(status)
                                 : 128 + WTERMSIG(status);
  report("ended", "%d", code);
}

static bool is_socket(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

/** Sockets are no streams for a container: what cannot be opened again as /dev/stdout is relayed over a pipe. */
static void relay_sockets(struct supervision *supervision, struct inheritance *inheritance) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    int ends[2];
    if (!is_socket(fd)) continue;
    if (pipe2(ends, O_CLOEXEC) != 0) die_errno("pipe");
    bool is_input = fd == STDIN_FILENO;
    int own_end = ends[is_input ? 1 : 0];
    inheritance->streams[fd] = ends[is_input ? 0 : 1];
    // O_NONBLOCK belongs to this end alone, unlike to the streams, which others share.
    fcntl(own_end, F_SETFL, O_NONBLOCK);
    relay_stream(supervision, fd, is_input ? fd : own_end, is_input ? own_end : fd);
  }
}

static void close_inheritance(struct inheritance *inheritance) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (inheritance->streams[fd] >= 0) close(inheritance->streams[fd]);
  if (inheritance->terminal_socket >= 0) close(inheritance->terminal_socket);
  if (inheritance->netlink_socket >= 0) close(inheritance->netlink_socket);
}

static void start_keeper(const struct plan *plan, struct supervision *supervision,
                         struct keeper_outcome *outcome) {
  struct inheritance inheritance = {
      .streams = {-1, -1, -1}, .terminal_socket = -1, .netlink_socket = -1};
  int alive[2], terminal[2] = {-1, -1};
  if (pipe2(alive, O_CLOEXEC) != 0) die_errno("pipe");
  if (plan->has_terminal &&
      socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, terminal) != 0)
    die_errno("socketpair");
  inheritance.terminal_socket = terminal[1];
  supervision->terminal_socket = terminal[0];
  if (plan->has_terminal) {
    before_death(end_raw_mode);
    begin_raw_mode();
  } else {
    relay_sockets(supervision, &inheritance);
  }
  if (plan->netlink_outside.length > 0) inheritance.netlink_socket = open_netlink();
  supervision->keeper = fork_into(CLONE_NEWPID);
  if (supervision->keeper < 0) die_errno("clone(CLONE_NEWPID)");
  if (supervision->keeper == 0) {
    close(alive[1]);
    keep(plan, alive[0], &inheritance, outcome);
  }
  close(alive[0]);
  close_inheritance(&inheritance);
  if (plan->has_terminal) keeper_of_terminal = supervision->keeper;
}

/** What is not relayed is the container's alone, so that its readers see when the container closes it. */
static void release_streams(const struct plan *plan, const struct supervision *supervision) {
  if (plan->has_terminal) return;
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (supervision->relays[fd].from < 0) close(fd);
}

void supervise(int parent_pid) {
  static struct supervision supervision = {.master_fd = -1, .kauri_is_there = true};
  report_to(CONTROL_FD);
  fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
  // Whatever else the caller had open is nobody's business here.
  sys_close_range(CONTROL_FD + 1, ~0U, 0);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  const struct plan *plan = read_plan(CONTROL_FD);
  block_signals();
  if (plan->has_terminal) unblock_parent_death();
  die_with_parent(parent_pid, parent_death_signal(plan));
  attach_device_program(plan);
  struct keeper_outcome *outcome = share_outcome();
  for (int i = 0; i < RELAYS; i++) supervision.relays[i].from = supervision.relays[i].to = -1;
  sigset_t all;
  sigfillset(&all);
  supervision.signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  if (supervision.signal_fd < 0) die_errno("signalfd");
  start_keeper(plan, &supervision, outcome);
  release_streams(plan, &supervision);
  while (!turn(&supervision)) continue;
  for (int i = STDOUT_FILENO; i < RELAYS; i++) relay_drain(&supervision.relays[i]);
  end_raw_mode();
  report_end(outcome);
  _exit(0);
}
