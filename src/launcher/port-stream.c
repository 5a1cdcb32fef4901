// Connections of a published port: what one side sends goes to the other; each side's end becomes the other's, an error of
// one breaks both off.

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ports.h"

enum { BUFFER_BYTES = 64 * 1024 };

/** One end of a connection, with what came from it and has not gone to the other yet. */
struct end {
  struct watched watched;
  struct connection *connection;
  size_t start, length;
  /** Nothing more comes from it. */
  bool has_ended;
  /** The other end knows that. */
  bool is_told;
  char bytes[BUFFER_BYTES];
};

struct connection {
  struct end client, container;
  bool is_connected;
};

static struct end *other_of(struct end *end) {
  struct connection *connection = end->connection;
  return end == &connection->client ? &connection->container : &connection->client;
}

static void close_connection(struct connection *connection) {
  unwatch(&connection->client.watched);
  unwatch(&connection->container.watched);
  free(connection);
  count_connection(-1);
}

/** Both peers learn that it was broken off, and do not take what they have for the whole. */
static void reset_connection(struct connection *connection) {
  const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  setsockopt(connection->client.watched.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  setsockopt(connection->container.watched.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close_connection(connection);
}

static bool is_passing(void) { return errno == EAGAIN || errno == EINTR; }

/** False where the connection is broken. */
static bool fill(struct end *end) {
  if (end->has_ended || end->length > 0) return true;
  ssize_t got = recv(end->watched.fd, end->bytes, sizeof end->bytes, 0);
  if (got < 0) return is_passing();
  end->start = 0;
  end->length = (size_t)got;
  end->has_ended = got == 0;
  return true;
}

/** Moves what came from one end to the other. False where the connection is broken. */
static bool drain(struct end *from) {
  int to = other_of(from)->watched.fd;
  while (from->length > 0) {
    ssize_t sent = send(to, from->bytes + from->start, from->length, MSG_NOSIGNAL);
    if (sent < 0) return is_passing();
    from->start += (size_t)sent;
    from->length -= (size_t)sent;
  }
  if (from->has_ended && !from->is_told) {
    from->is_told = true;
    shutdown(to, SHUT_WR);
  }
  return true;
}

static void wait_for_more(struct end *end) {
  const struct end *other = other_of(end);
  uint32_t events = 0;
  if (!end->has_ended && end->length == 0) events |= EPOLLIN;
  if (other->length > 0 || !end->connection->is_connected) events |= EPOLLOUT;
  watch(&end->watched, events);
}

static void turn_connection(struct watched *watched, uint32_t events) {
  struct end *end = (struct end *)watched;
  struct connection *connection = end->connection;
  struct end *client = &connection->client, *container = &connection->container;
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(watched->fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0 || (events & EPOLLERR)) {
    reset_connection(connection);
    return;
  }
  if (!connection->is_connected) {
    if (end != container) return;
    connection->is_connected = true;
  }
  if (!fill(client) || !fill(container) || !drain(client) || !drain(container)) {
    reset_connection(connection);
    return;
  }
  if (client->is_told && container->is_told) {
    close_connection(connection);
    return;
  }
  wait_for_more(client);
  wait_for_more(container);
}

static void begin_connection(int client_fd, const struct sockaddr_in *target) {
  const int on = 1;
  struct connection *connection = malloc(sizeof *connection);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  bool is_begun = connection != NULL && fd >= 0 &&
                  (connect(fd, (const struct sockaddr *)target, sizeof *target) == 0 ||
                   errno == EINPROGRESS);
  if (!is_begun) {
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(client_fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(client_fd);
    if (fd >= 0) close(fd);
    free(connection);
    return;
  }
  // The buffers need not be clean.
  memset(&connection->client, 0, offsetof(struct end, bytes));
  memset(&connection->container, 0, offsetof(struct end, bytes));
  connection->is_connected = false;
  setsockopt(client_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  connection->client.connection = connection->container.connection = connection;
  connection->client.watched = (struct watched){.fd = client_fd, .turn = turn_connection};
  connection->container.watched = (struct watched){.fd = fd, .turn = turn_connection};
  count_connection(1);
  watch(&connection->container.watched, EPOLLOUT);
}

void accept_stream(struct watched *watched, uint32_t events) {
  (void)events;
  const struct listener *listener = (const struct listener *)watched;
  int fd = accept4(watched->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd >= 0) begin_connection(fd, &listener->target);
}
