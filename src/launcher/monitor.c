// Monitor mode: one small process for a container that outlives the command that made it. It holds the container's streams
// or terminal and its locks, writes the log, serves those who attach, and remembers how the container ended. Then it
// becomes the command that cleans up: same process, same locks, so that nobody finds a lock free between the two.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "clients.h"
#include "gate.h"
#include "monitor.h"
#include "report.h"
#include "stream-log.h"
#include "supervise.h"
#include "system-calls.h"
#include "terminal.h"

enum { OUTPUTS = 2, CHUNK_BYTES = 64 * 1024, PIPE_BYTES = 256 * 1024 };

static struct {
  const struct plan *plan;
  struct keeper_outcome *outcome;
  pid_t keeper;
  int signal_fd, listen_fd, terminal_socket, master_fd;
  /** -1 once this process is on its own. */
  int adoption_fd;
  /** Ends when the program is executed; then -1. */
  int progress_fd;
  /** Where input goes; -1: nowhere. */
  int input_fd;
  int output_fds[OUTPUTS];
  bool is_ended;
  char chunk[CHUNK_BYTES];
} self = {.input_fd = -1, .master_fd = -1, .terminal_socket = -1, .output_fds = {-1, -1}};

static void close_input(void) {
  // A terminal's input has no end of its own.
  if (self.input_fd < 0 || self.plan->has_terminal) return;
  close(self.input_fd);
  self.input_fd = -1;
}

static size_t take_input(const char *bytes, size_t length) {
  // Nobody reads any more: what comes is thrown away.
  if (self.input_fd < 0) return length;
  ssize_t written = write(self.input_fd, bytes, length);
  if (written >= 0) return (size_t)written;
  if (errno == EAGAIN || errno == EINTR) return 0;
  close_input();
  return length;
}

static void resize(uint16_t rows, uint16_t columns) {
  const struct winsize size = {.ws_row = rows, .ws_col = columns};
  if (self.master_fd >= 0) ioctl(self.master_fd, TIOCSWINSZ, &size);
}

static void deliver(int signal_number) {
  if (signal_number > 0 && signal_number < _NSIG && !self.is_ended)
    kill(self.keeper, signal_number);
}

static const struct client_handler handler = {
    .take_input = take_input,
    .end_input = close_input,
    .resize = resize,
    .deliver = deliver,
};

/** Pipes for the streams; a terminal comes from the container itself. */
static void open_streams(struct inheritance *inheritance) {
  const struct plan *plan = self.plan;
  if (plan->has_terminal) {
    int ends[2];
    open_terminal_sockets(ends);
    self.terminal_socket = ends[0];
    inheritance->terminal_socket = ends[1];
    return;
  }
  for (int i = 0; i < OUTPUTS; i++) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) die_errno("pipe");
    // A larger pipe is fewer turns; the kernel may have none to give.
    fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    self.output_fds[i] = ends[0];
    inheritance->streams[STDOUT_FILENO + i] = ends[1];
  }
  if (!(plan->monitor.flags & MONITOR_OPEN_INPUT)) return;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) die_errno("pipe");
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  self.input_fd = ends[1];
  inheritance->streams[STDIN_FILENO] = ends[0];
}

static void begin_terminal(void) {
  self.master_fd = receive_terminal(self.terminal_socket);
  close(self.terminal_socket);
  self.terminal_socket = -1;
  if (self.master_fd < 0) return;
  fcntl(self.master_fd, F_SETFL, O_NONBLOCK);
  self.output_fds[0] = self.master_fd;
  if (self.plan->monitor.flags & MONITOR_OPEN_INPUT) self.input_fd = self.master_fd;
}

/** Moves one chunk of a stream; false where there is none now. */
static bool move_output(int index) {
  ssize_t length = read(self.output_fds[index], self.chunk, sizeof self.chunk);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  // EIO: the other side of a terminal is closed.
  if (length <= 0) {
    if (self.output_fds[index] != self.master_fd) close(self.output_fds[index]);
    self.output_fds[index] = -1;
    return false;
  }
  log_bytes(index + 1, self.chunk, (size_t)length);
  send_output((uint8_t)(index + 1), self.chunk, (size_t)length);
  return true;
}

/** Reads what ended; the keeper is the container. */
static void read_signals(void) {
  struct signalfd_siginfo info;
  while (read(self.signal_fd, &info, sizeof info) == sizeof info) {
    if (info.ssi_pid == (uint32_t)getpid()) continue;
    if (info.ssi_signo != SIGCHLD) {
      deliver((int)info.ssi_signo);
      continue;
    }
    for (;;) {
      pid_t ended = waitpid(-1, NULL, WNOHANG);
      if (ended <= 0) break;
      if (ended == self.keeper)
        self.is_ended = true;
      else
        timer_ended(ended);
    }
  }
}

/** Until kauri has written down whose the container is, it goes with kauri. */
static void read_adoption(void) {
  char byte;
  ssize_t length = read(self.adoption_fd, &byte, 1);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  close(self.adoption_fd);
  self.adoption_fd = -1;
  if (length == 1) return;
  kill(self.keeper, SIGKILL);
  _exit(EXIT_LAUNCH_FAILED);
}

static void read_progress(void) {
  char byte;
  ssize_t length = read(self.progress_fd, &byte, 1);
  if (length == 1 || (length < 0 && errno == EINTR)) return;
  close(self.progress_fd);
  self.progress_fd = -1;
  if (!self.is_ended) start_timer(&self.plan->timer);
}

enum {
  ON_SIGNAL,
  ON_ADOPTION,
  ON_PROGRESS,
  ON_LISTEN,
  ON_TERMINAL_SOCKET,
  ON_INPUT,
  ON_OUTPUTS,
  ON_CLIENTS = ON_OUTPUTS + OUTPUTS,
  WATCHED = ON_CLIENTS + MOST_CLIENTS
};

static int shorter(int a, int b) { return a < 0 || (b >= 0 && b < a) ? b : a; }

static void turn(void) {
  static struct pollfd watched[WATCHED];
  bool is_behind = clients_are_behind();
  const int fds[ON_CLIENTS] = {
      [ON_SIGNAL] = self.signal_fd,
      [ON_ADOPTION] = self.adoption_fd,
      [ON_PROGRESS] = self.progress_fd,
      [ON_LISTEN] = self.listen_fd,
      [ON_TERMINAL_SOCKET] = self.terminal_socket,
      [ON_INPUT] = clients_wait_for_container() ? self.input_fd : -1,
      [ON_OUTPUTS] = is_behind ? -1 : self.output_fds[0],
      [ON_OUTPUTS + 1] = is_behind ? -1 : self.output_fds[1],
  };
  for (int i = 0; i < ON_CLIENTS; i++)
    watched[i] = (struct pollfd){.fd = fds[i], .events = i == ON_INPUT ? POLLOUT : POLLIN};
  clients_want(watched + ON_CLIENTS);
  int timeout_ms = shorter(is_behind ? patience_left_ms() : -1, timer_left_ms());
  if (poll(watched, WATCHED, timeout_ms) < 0 && errno != EINTR) _exit(EXIT_LAUNCH_FAILED);
  if (watched[ON_TERMINAL_SOCKET].revents) begin_terminal();
  if (watched[ON_INPUT].revents) container_takes_input(&handler);
  for (int i = 0; i < OUTPUTS; i++)
    if (watched[ON_OUTPUTS + i].revents) move_output(i);
  serve_clients(watched + ON_CLIENTS, &handler);
  if (watched[ON_LISTEN].revents) accept_client(self.listen_fd);
  if (watched[ON_ADOPTION].revents) read_adoption();
  if (watched[ON_PROGRESS].revents) read_progress();
  if (watched[ON_SIGNAL].revents) read_signals();
  drop_stalled_clients();
  run_timer(&self.plan->timer);
}

/** What the container wrote before its end; nobody writes any more. */
static void drain_outputs(void) {
  if (self.terminal_socket >= 0) begin_terminal();
  for (int i = 0; i < OUTPUTS; i++)
    while (self.output_fds[i] >= 0 && move_output(i))
      while (clients_are_behind()) wait_for_clients(&handler);
}

void monitor(int parent_pid) {
  (void)parent_pid;
  const struct plan *plan = begin_launch(1);
  if (plan->monitor.directory == NULL || plan->gate_directory == NULL)
    die("the plan names no place for the monitor");
  self.plan = plan;
  self.adoption_fd = ADOPTION_FD;
  block_signals();
  sigset_t all;
  sigfillset(&all);
  self.signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  if (self.signal_fd < 0) die_errno("signalfd");
  attach_device_program(plan);
  open_log(&plan->log);
  self.outcome = share_outcome();
  struct inheritance inheritance = empty_inheritance();
  open_streams(&inheritance);
  self.progress_fd = open_gate(plan, &inheritance);
  self.listen_fd = listen_in(plan->monitor.directory, "monitor.sock");
  if (plan->netlink_outside.length > 0) inheritance.netlink_socket = open_netlink();
  self.keeper = start_keeper(plan, SIGKILL, &inheritance, self.outcome);
  close(CONTROL_FD);
  while (!self.is_ended) turn();
  drain_outputs();
  close_log();
  stop_timer();
  // Nobody has taken the container over: whoever made it removes it.
  if (self.adoption_fd >= 0) _exit(EXIT_LAUNCH_FAILED);
  int status = self.outcome->wait_status;
  end_monitor(plan, self.outcome->ended ? exit_code_of(status) : 128 + SIGKILL);
}
