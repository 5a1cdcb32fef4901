#define _GNU_SOURCE
#include "ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "report.h"
#include "supervise.h"
#include "system-calls.h"

enum {
  MAX_LISTENERS = 65536,
  MAX_BLOB_BYTES = 16 * 1024 * 1024,
  EVENTS_AT_ONCE = 64,
  BACKLOG = 512,
  /** Descriptors that one connection takes. */
  CONNECTION_FDS = 2,
  /** For senders of datagrams and what else there is. */
  SPARE_FDS = 2048,
  /** Strangers on the network must not take all memory. */
  MOST_CONNECTIONS = 8192,
  RENEW_MS = 20 * 1000,
};

struct blob {
  char *data;
  uint32_t length;
};

static struct {
  int epoll_fd;
  struct listener *listeners;
  uint32_t count;
  long connections, most_connections;
  struct blob renew, make, remove;
} ports;

static void read_exactly(void *into, size_t length) {
  char *at = into;
  while (length > 0) {
    ssize_t got = read(CONTROL_FD, at, length);
    if (got < 0 && errno == EINTR) continue;
    // Who asked for the ports is gone, and nobody else knows of them.
    if (got <= 0) _exit(0);
    at += got;
    length -= (size_t)got;
  }
}

static void *allocate(size_t count, size_t size) {
  void *memory = calloc(count, size);
  if (memory == NULL) die_errno("memory for ports");
  return memory;
}

void watch(struct watched *watched, uint32_t events) {
  if (watched->events == events) return;
  struct epoll_event event = {.events = events, .data.ptr = watched};
  int change = watched->events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  if (epoll_ctl(ports.epoll_fd, change, watched->fd, &event) != 0) die_errno("epoll_ctl");
  watched->events = events;
}

void unwatch(struct watched *watched) {
  watch(watched, 0);
  close(watched->fd);
  watched->fd = -1;
}

void count_connection(int change) {
  bool was_full = ports.connections >= ports.most_connections;
  ports.connections += change;
  bool is_full = ports.connections >= ports.most_connections;
  if (was_full == is_full) return;
  for (uint32_t i = 0; i < ports.count; i++)
    if (ports.listeners[i].is_stream) watch(&ports.listeners[i].watched, is_full ? 0 : EPOLLIN);
}

static int bind_socket(const struct port_request *request) {
  bool is_stream = request->protocol == IPPROTO_TCP;
  int domain = request->family == 6 ? AF_INET6 : AF_INET;
  int kind = is_stream ? SOCK_STREAM : SOCK_DGRAM;
  int fd = socket(domain, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  const int on = 1, off = 0;
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(request->host_port)};
  struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(request->host_port)};
  memcpy(&six.sin6_addr, request->address, sizeof six.sin6_addr);
  memcpy(&four.sin_addr, request->address, sizeof four.sin_addr);
  // Connections of an earlier container that are still being closed do not keep the port.
  if (is_stream) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (domain == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  const struct sockaddr *address =
      domain == AF_INET6 ? (const struct sockaddr *)&six : (const struct sockaddr *)&four;
  socklen_t length = domain == AF_INET6 ? sizeof six : sizeof four;
  if (bind(fd, address, length) == 0 && (!is_stream || listen(fd, BACKLOG) == 0)) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static uint16_t bound_port(int fd) {
  struct sockaddr_storage bound;
  socklen_t length = sizeof bound;
  if (getsockname(fd, (struct sockaddr *)&bound, &length) != 0) die_errno("getsockname");
  return ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                           : ((struct sockaddr_in *)&bound)->sin_port);
}

static void take_port(uint32_t index) {
  struct port_request request;
  read_exactly(&request, sizeof request);
  struct listener *listener = &ports.listeners[index];
  int fd = bind_socket(&request);
  if (fd < 0) {
    report("refused", "%u %d", index, errno);
    _exit(EXIT_LAUNCH_FAILED);
  }
  listener->is_stream = request.protocol == IPPROTO_TCP;
  listener->watched.fd = fd;
  listener->watched.turn = listener->is_stream ? accept_stream : accept_datagram;
  listener->target.sin_family = AF_INET;
  listener->target.sin_port = htons(request.container_port);
  report("bound", "%u", bound_port(fd));
}

static struct blob read_blob(void) {
  struct blob blob = {0};
  read_exactly(&blob.length, sizeof blob.length);
  if (blob.length > MAX_BLOB_BYTES) die("the messages for the packet filter are too long");
  blob.data = allocate(1, blob.length + 1);
  read_exactly(blob.data, blob.length);
  return blob;
}

static void read_target(void) {
  struct in_addr address;
  read_exactly(&address, sizeof address);
  for (uint32_t i = 0; i < ports.count; i++) ports.listeners[i].target.sin_addr = address;
  ports.renew = read_blob();
  ports.make = read_blob();
  ports.remove = read_blob();
}

/** Sends a transaction to nf_tables; false where any of it was refused. */
static bool tell_packet_filter(const struct blob *blob) {
  if (blob->length == 0) return true;
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0) return false;
  const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  bool is_done = sendto(fd, blob->data, blob->length, 0, (const struct sockaddr *)&kernel,
                        sizeof kernel) >= 0;
  _Alignas(struct nlmsghdr) char answers[8192];
  ssize_t length;
  while ((length = recv(fd, answers, sizeof answers, MSG_DONTWAIT)) > 0) {
    size_t left = (size_t)length;
    for (const struct nlmsghdr *at = (const void *)answers; NLMSG_OK(at, left);
         at = NLMSG_NEXT(at, left))
      if (at->nlmsg_type == NLMSG_ERROR && ((const struct nlmsgerr *)NLMSG_DATA(at))->error != 0)
        is_done = false;
  }
  close(fd);
  return is_done;
}

/** Elements of the packet filter go by themselves after a while, so that a killed relay leads nobody astray for long. */
static void renew_elements(void) {
  if (!tell_packet_filter(&ports.renew)) tell_packet_filter(&ports.make);
}

/** Rights that reach further than the packet filter are of no use here. */
static void drop_rights(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  const struct __user_cap_data_struct kept[2] = {
      {.effective = 1U << CAP_NET_ADMIN, .permitted = 1U << CAP_NET_ADMIN}};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (syscall(SYS_capset, &header, kept) != 0) die_errno("capset");
}

static void raise_file_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) die_errno("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  long most = (long)limit.rlim_cur - SPARE_FDS - (long)ports.count;
  most = most < CONNECTION_FDS ? 1 : most / CONNECTION_FDS;
  ports.most_connections = most < MOST_CONNECTIONS ? most : MOST_CONNECTIONS;
}

static void end_with_holders(struct watched *watched, uint32_t events) {
  (void)watched;
  if (!(events & (EPOLLHUP | EPOLLERR))) return;
  tell_packet_filter(&ports.remove);
  _exit(0);
}

static time_t seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

static noreturn void serve(void) {
  time_t renewed = seconds_now();
  for (;;) {
    struct epoll_event events[EVENTS_AT_ONCE];
    int count = epoll_wait(ports.epoll_fd, events, EVENTS_AT_ONCE, RENEW_MS);
    if (count < 0 && errno != EINTR) die_errno("epoll_wait");
    time_t now = seconds_now();
    if (now - renewed >= RENEW_MS / 1000) {
      renewed = now;
      renew_elements();
      forget_silent_senders();
    }
    // One thing a turn: what it does may close what the others are about.
    if (count > 0) {
      struct watched *watched = events[0].data.ptr;
      watched->turn(watched, events[0].events);
    }
  }
}

void relay_ports(void) {
  report_to(CONTROL_FD);
  fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
  sys_close_range(HOLD_FD + 1, ~0U, 0);
  signal(SIGPIPE, SIG_IGN);
  ports.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (ports.epoll_fd < 0) die_errno("epoll_create");
  read_exactly(&ports.count, sizeof ports.count);
  if (ports.count > MAX_LISTENERS) die("too many ports");
  ports.listeners = allocate(ports.count + 1, sizeof *ports.listeners);
  raise_file_limit();
  for (uint32_t i = 0; i < ports.count; i++) take_port(i);
  read_target();
  drop_rights();
  renew_elements();
  report("leading", "%u", ports.count);
  close(CONTROL_FD);
  struct watched hold = {.fd = HOLD_FD, .turn = end_with_holders};
  // Hanging up is told without being asked for.
  watch(&hold, EPOLLERR | EPOLLHUP);
  for (uint32_t i = 0; i < ports.count; i++) watch(&ports.listeners[i].watched, EPOLLIN);
  serve();
}
