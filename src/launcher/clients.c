#define _GNU_SOURCE
#include "clients.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  /** A client that takes nothing for so long is given up, so that a stopped terminal does not stop the container. */
  PATIENCE_MS = 10 * 1000,
  LAST_WORDS_MS = 1000,
  REQUEST_BYTES = 4096,
};

struct client {
  /** -1: the place is free. */
  int fd;
  /** Bit 1 << stream for each stream it gets. */
  unsigned streams;
  /** Bytes of input frames that are still to come, and whether the container does not take them now. */
  uint32_t input_left;
  bool waits_for_container;
  size_t request_length;
  /** What it has not taken yet. */
  char *pending;
  size_t pending_start, pending_end;
  int64_t stalled_since_ms;
  char request[REQUEST_BYTES];
};

static struct client clients[MOST_CLIENTS];
static size_t used_places;

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_there(size_t place) { return place < used_places && clients[place].fd >= 0; }

static void drop(struct client *client) {
  close(client->fd);
  free(client->pending);
  *client = (struct client){.fd = -1};
}

void accept_client(int listen_fd) {
  int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  size_t place = 0;
  while (is_there(place)) place++;
  if (place == MOST_CLIENTS) {
    close(fd);
    return;
  }
  if (place >= used_places) used_places = place + 1;
  clients[place].fd = fd;
}

static bool is_behind(const struct client *client) {
  return client->pending_start < client->pending_end;
}

void clients_want(struct pollfd watched[MOST_CLIENTS]) {
  for (size_t i = 0; i < MOST_CLIENTS; i++) {
    watched[i] = (struct pollfd){.fd = -1};
    if (!is_there(i)) continue;
    const struct client *client = &clients[i];
    bool reads = !client->waits_for_container;
    watched[i].events = (short)((reads ? POLLIN : 0) | (is_behind(client) ? POLLOUT : 0));
    // A connection that the other side has closed would be reported again and again.
    if (watched[i].events != 0) watched[i].fd = client->fd;
  }
}

/** As much as the connection takes now; false where it is broken. */
static bool send_now(struct client *client, const char *bytes, size_t length, size_t *sent) {
  for (*sent = 0; *sent < length;) {
    ssize_t now = send(client->fd, bytes + *sent, length - *sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (now < 0 && errno == EINTR) continue;
    if (now < 0) return errno == EAGAIN;
    *sent += (size_t)now;
  }
  return true;
}

/** It takes nothing any more; what it sent before still counts. */
static void fall_silent(struct client *client) {
  free(client->pending);
  client->pending = NULL;
  client->pending_start = client->pending_end = 0;
  client->streams = 0;
}

static void send_pending(struct client *client) {
  size_t sent;
  if (!send_now(client, client->pending + client->pending_start,
                client->pending_end - client->pending_start, &sent)) {
    fall_silent(client);
    return;
  }
  client->pending_start += sent;
  if (sent > 0) client->stalled_since_ms = now_ms();
  if (is_behind(client)) return;
  free(client->pending);
  client->pending = NULL;
  client->pending_start = client->pending_end = 0;
}

/** Keeps what could not be sent; more comes only when that is gone, or as an end. */
static void keep_rest(struct client *client, const char *bytes, size_t length) {
  size_t left = client->pending_end - client->pending_start;
  char *grown = malloc(left + length);
  if (grown == NULL) {
    fall_silent(client);
    return;
  }
  if (left > 0) memcpy(grown, client->pending + client->pending_start, left);
  memcpy(grown + left, bytes, length);
  if (left == 0) client->stalled_since_ms = now_ms();
  free(client->pending);
  client->pending = grown;
  client->pending_start = 0;
  client->pending_end = left + length;
}

static void send_bytes(struct client *client, const char *bytes, size_t length) {
  size_t sent = 0;
  if (!is_behind(client) && !send_now(client, bytes, length, &sent))
    fall_silent(client);
  else if (sent < length)
    keep_rest(client, bytes + sent, length - sent);
}

static void send_frame(struct client *client, uint8_t type, const char *bytes, uint32_t length) {
  char header[FRAME_HEADER_BYTES] = {(char)type};
  const uint32_t wire_length = htonl(length);
  memcpy(header + 4, &wire_length, sizeof wire_length);
  send_bytes(client, header, sizeof header);
  if (length > 0) send_bytes(client, bytes, length);
}

void send_output(uint8_t stream, const char *bytes, size_t length) {
  for (size_t i = 0; i < used_places; i++)
    if (is_there(i) && clients[i].streams >> stream & 1)
      send_frame(&clients[i], stream, bytes, (uint32_t)length);
}

bool clients_are_behind(void) {
  for (size_t i = 0; i < used_places; i++)
    if (is_there(i) && is_behind(&clients[i])) return true;
  return false;
}

int patience_left_ms(void) {
  int64_t least = -1, now = now_ms();
  for (size_t i = 0; i < used_places; i++) {
    if (!is_there(i) || !is_behind(&clients[i])) continue;
    int64_t left = clients[i].stalled_since_ms + PATIENCE_MS - now;
    if (left < 0) left = 0;
    if (least < 0 || left < least) least = left;
  }
  return (int)least;
}

void drop_stalled_clients(void) {
  int64_t now = now_ms();
  for (size_t i = 0; i < used_places; i++)
    if (is_there(i) && is_behind(&clients[i]) && now - clients[i].stalled_since_ms >= PATIENCE_MS)
      drop(&clients[i]);
}

/** Takes the first `length` bytes out of what was read. */
static void consume(struct client *client, size_t length) {
  client->request_length -= length;
  memmove(client->request, client->request + length, client->request_length);
}

static uint32_t read_u32(const char *at) {
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return ntohl(value);
}

static uint16_t read_u16(const char *at) {
  uint16_t value;
  memcpy(&value, at, sizeof value);
  return ntohs(value);
}

/** A frame other than input, whole; false where it is none. */
static bool obey(struct client *client, uint8_t type, const char *body, uint32_t length,
                 const struct client_handler *handler) {
  if (type == CLIENT_RESIZE && length == 4) {
    handler->resize(read_u16(body), read_u16(body + 2));
    return true;
  }
  if (type == CLIENT_SIGNAL && length == 1) {
    handler->deliver((unsigned char)*body);
    return true;
  }
  if (type != CLIENT_ATTACH || length != 1) return false;
  client->streams = (unsigned char)*body & (1 << SERVER_STDOUT | 1 << SERVER_STDERR);
  send_frame(client, SERVER_ATTACHED, NULL, 0);
  return true;
}

/** Hands input on; false where the container does not take all of it now. */
static bool pass_input(struct client *client, const struct client_handler *handler) {
  size_t length =
      client->request_length < client->input_left ? client->request_length : client->input_left;
  size_t taken = handler->take_input(client->request, length);
  client->input_left -= (uint32_t)taken;
  consume(client, taken);
  client->waits_for_container = taken < length;
  return taken == length;
}

/** Works off every frame that is there; false where the client does not speak as it should. */
static bool obey_all(struct client *client, const struct client_handler *handler) {
  for (;;) {
    if (client->input_left > 0 && client->request_length > 0 && !pass_input(client, handler))
      return true;
    if (client->input_left > 0 || client->request_length < FRAME_HEADER_BYTES) return true;
    uint8_t type = (uint8_t)client->request[0];
    uint32_t length = read_u32(client->request + 4);
    if (type == CLIENT_INPUT) {
      consume(client, FRAME_HEADER_BYTES);
      client->input_left = length;
      if (length == 0) handler->end_input();
      continue;
    }
    if (length > REQUEST_BYTES - FRAME_HEADER_BYTES) return false;
    if (client->request_length < FRAME_HEADER_BYTES + length) return true;
    char body[REQUEST_BYTES];
    memcpy(body, client->request + FRAME_HEADER_BYTES, length);
    consume(client, FRAME_HEADER_BYTES + length);
    if (!obey(client, type, body, length, handler)) return false;
  }
}

static void read_request(struct client *client, const struct client_handler *handler) {
  size_t room = REQUEST_BYTES - client->request_length;
  if (room > 0) {
    ssize_t length = recv(client->fd, client->request + client->request_length, room, MSG_DONTWAIT);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) length = 0;
    else if (length <= 0) {
      drop(client);
      return;
    }
    client->request_length += (size_t)length;
  }
  if (!obey_all(client, handler)) drop(client);
}

void serve_clients(const struct pollfd watched[MOST_CLIENTS],
                   const struct client_handler *handler) {
  for (size_t i = 0; i < used_places; i++) {
    struct client *client = &clients[i];
    if (!is_there(i) || watched[i].fd != client->fd || watched[i].revents == 0) continue;
    if (watched[i].revents & POLLOUT) send_pending(client);
    if (watched[i].events & POLLIN && watched[i].revents & ~POLLOUT) read_request(client, handler);
  }
}

bool clients_wait_for_container(void) {
  for (size_t i = 0; i < used_places; i++)
    if (is_there(i) && clients[i].waits_for_container) return true;
  return false;
}

void container_takes_input(const struct client_handler *handler) {
  for (size_t i = 0; i < used_places; i++)
    if (is_there(i) && clients[i].waits_for_container && !obey_all(&clients[i], handler))
      drop(&clients[i]);
}

void wait_for_clients(const struct client_handler *handler) {
  struct pollfd watched[MOST_CLIENTS];
  clients_want(watched);
  poll(watched, MOST_CLIENTS, patience_left_ms());
  serve_clients(watched, handler);
  drop_stalled_clients();
}

void end_clients(uint32_t exit_code) {
  const uint32_t wire_code = htonl(exit_code);
  int64_t deadline = now_ms() + LAST_WORDS_MS;
  for (size_t i = 0; i < used_places; i++)
    if (is_there(i)) send_frame(&clients[i], SERVER_EXIT, (const char *)&wire_code, sizeof wire_code);
  for (size_t i = 0; i < used_places; i++)
    while (is_there(i) && is_behind(&clients[i])) {
      struct pollfd writable = {.fd = clients[i].fd, .events = POLLOUT};
      int64_t left = deadline - now_ms();
      if (left <= 0 || poll(&writable, 1, (int)left) <= 0) break;
      send_pending(&clients[i]);
    }
  for (size_t i = 0; i < used_places; i++)
    if (is_there(i)) drop(&clients[i]);
}
