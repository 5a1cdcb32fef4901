// On the control socket kauri sends signal numbers, one byte each; its end means SIGKILL.

#define _GNU_SOURCE
#include "supervision.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"
#include "terminal.h"

/** True where the user's own terminal is in raw mode meanwhile. */
static bool relays_terminal(const struct plan *plan) {
  return plan->has_terminal && plan->console_socket == NULL;
}

static pid_t child_of_terminal;

/** A launcher or keeper with a terminal is not killed with its parent: it puts the terminal's mode back, then ends. */
static void on_parent_death(int signal_number) {
  (void)signal_number;
  if (child_of_terminal > 0) kill(child_of_terminal, SIGKILL);
  end_raw_mode();
  _exit(EXIT_LAUNCH_FAILED);
}

int parent_death_signal(const struct plan *plan) {
  if (!relays_terminal(plan)) return SIGKILL;
  signal(SIGRTMAX, on_parent_death);
  return SIGRTMAX;
}

static void unblock_parent_death(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMAX);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void begin_supervision(struct supervision *supervision, const struct plan *plan, int parent_pid) {
  supervision->master_fd = supervision->terminal_socket = -1;
  supervision->kauri_is_there = true;
  block_signals();
  if (relays_terminal(plan)) unblock_parent_death();
  die_with_parent(parent_pid, parent_death_signal(plan));
  for (int i = 0; i < RELAYS; i++) supervision->relays[i].from = supervision->relays[i].to = -1;
  sigset_t all;
  sigfillset(&all);
  supervision->signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  if (supervision->signal_fd < 0) die_errno("signalfd");
}

/** Kills the container with everything in it, or the program that was added. */
static void kill_all(struct supervision *supervision) { kill(supervision->child, SIGKILL); }

static void deliver(struct supervision *supervision, int signal_number) {
  if (signal_number == SIGKILL)
    kill_all(supervision);
  else if (signal_number == SIGWINCH && supervision->master_fd >= 0)
    copy_window_size(supervision->master_fd);
  else if (signal_number > 0 && signal_number < _NSIG)
    kill(supervision->child, signal_number);
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

/** Passes signals on; true when the child has ended. */
static bool read_signals(struct supervision *supervision) {
  struct signalfd_siginfo info;
  while (read(supervision->signal_fd, &info, sizeof info) == sizeof info) {
    // A relay whose reader is gone raises SIGPIPE here; that is no signal for the container.
    if (info.ssi_pid == (uint32_t)getpid()) continue;
    if (info.ssi_signo != SIGCHLD) {
      deliver(supervision, (int)info.ssi_signo);
      continue;
    }
    if (waitpid(supervision->child, &supervision->wait_status, WNOHANG) == supervision->child)
      return true;
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

/** Waits for what there is and moves it; true when the child has ended. */
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

static int connect_console(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) die("the console socket's path %s is too long", path);
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
    die_errno("connecting to the console socket %s", path);
  return fd;
}

/**
 * Sockets cannot be opened again as /dev/stdout. Files can, for more than the caller meant: a container would write to the
 * one it is to read, and read or cut what was in the one it writes to.
 */
static bool needs_relay(const struct stat *status) {
  return S_ISSOCK(status->st_mode) || S_ISREG(status->st_mode) || S_ISBLK(status->st_mode) ||
         S_ISDIR(status->st_mode);
}

static bool is_same(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static void relay_over_pipe(struct supervision *supervision, struct inheritance *inheritance,
                            int fd, bool is_file) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) die_errno("pipe");
  bool is_input = fd == STDIN_FILENO;
  int own_end = ends[is_input ? 1 : 0];
  inheritance->streams[fd] = ends[is_input ? 0 : 1];
  // O_NONBLOCK belongs to this end alone, unlike to the streams, which others share.
  fcntl(own_end, F_SETFL, O_NONBLOCK);
  relay_stream(supervision, fd, is_input ? fd : own_end, is_input ? own_end : fd);
  supervision->relays[fd].takes_all = is_input || is_file;
}

/** What no container may have is relayed over pipes. Output and errors into one file keep their order in one pipe. */
static void relay_streams(struct supervision *supervision, struct inheritance *inheritance) {
  struct stat status[RELAYS];
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    if (fstat(fd, &status[fd]) != 0 || !needs_relay(&status[fd])) continue;
    bool is_shared = fd == STDERR_FILENO && S_ISREG(status[fd].st_mode) &&
                     inheritance->streams[STDOUT_FILENO] >= 0 &&
                     is_same(&status[fd], &status[STDOUT_FILENO]);
    if (!is_shared)
      relay_over_pipe(supervision, inheritance, fd, S_ISREG(status[fd].st_mode));
    else if ((inheritance->streams[fd] =
                  fcntl(inheritance->streams[STDOUT_FILENO], F_DUPFD_CLOEXEC, 0)) < 0)
      die_errno("dup");
  }
}

void prepare_streams(struct supervision *supervision, const struct plan *plan,
                     struct inheritance *inheritance) {
  if (!plan->has_terminal) {
    relay_streams(supervision, inheritance);
    return;
  }
  if (plan->console_socket != NULL) {
    inheritance->terminal_socket = connect_console(plan->console_socket);
    return;
  }
  int ends[2];
  open_terminal_sockets(ends);
  supervision->terminal_socket = ends[0];
  inheritance->terminal_socket = ends[1];
  before_death(end_raw_mode);
  begin_raw_mode();
}

/** What is not relayed is the container's alone, so that its readers see when the container closes it. */
static void release_streams(const struct supervision *supervision) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (supervision->relays[fd].from < 0) close(fd);
}

void supervise_until_end(struct supervision *supervision, const struct plan *plan) {
  if (relays_terminal(plan))
    child_of_terminal = supervision->child;
  else
    release_streams(supervision);
  while (!turn(supervision)) continue;
  for (int i = STDOUT_FILENO; i < RELAYS; i++) relay_drain(&supervision->relays[i]);
  end_raw_mode();
}
