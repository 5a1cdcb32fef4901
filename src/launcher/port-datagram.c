// Datagrams of a published port. Each sender has a socket of its own towards the container, so that answers find back; a
// sender that has been silent for a minute is forgotten, and the one silent for longest makes room for a new one.

#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ports.h"

enum { MOST_SENDERS = 1024, SILENT_SECONDS = 60, DATAGRAM_BYTES = 65536 };

struct sender {
  struct watched watched;
  struct listener *listener;
  struct sockaddr_storage address;
  socklen_t address_length;
  time_t heard;
};

/** Of all ports; NULL where there is room. */
static struct sender *senders[MOST_SENDERS];
static char datagram[DATAGRAM_BYTES];

static time_t seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

static void forget(size_t index) {
  unwatch(&senders[index]->watched);
  free(senders[index]);
  senders[index] = NULL;
}

void forget_silent_senders(void) {
  time_t now = seconds();
  for (size_t i = 0; i < MOST_SENDERS; i++)
    if (senders[i] != NULL && now - senders[i]->heard >= SILENT_SECONDS) forget(i);
}

static void answer_sender(struct watched *watched, uint32_t events) {
  (void)events;
  struct sender *sender = (struct sender *)watched;
  // An error, such as a closed port of the container, is read away here and is none of the relay's.
  ssize_t length = recv(watched->fd, datagram, sizeof datagram, MSG_DONTWAIT);
  if (length < 0) return;
  sender->heard = seconds();
  sendto(sender->listener->watched.fd, datagram, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL,
         (const struct sockaddr *)&sender->address, sender->address_length);
}

static bool is_from(const struct sender *sender, const struct listener *listener,
                    const struct sockaddr_storage *address, socklen_t length) {
  return sender->listener == listener && sender->address_length == length &&
         memcmp(&sender->address, address, length) == 0;
}

/** The place of a new sender: a free one, or that of who has been silent for longest. */
static size_t make_room(void) {
  size_t oldest = 0;
  for (size_t i = 0; i < MOST_SENDERS; i++) {
    if (senders[i] == NULL) return i;
    if (senders[i]->heard < senders[oldest]->heard) oldest = i;
  }
  forget(oldest);
  return oldest;
}

static struct sender *new_sender(struct listener *listener, const struct sockaddr_storage *address,
                                 socklen_t length) {
  struct sender *sender = calloc(1, sizeof *sender);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (sender == NULL || fd < 0 ||
      connect(fd, (const struct sockaddr *)&listener->target, sizeof listener->target) != 0) {
    if (fd >= 0) close(fd);
    free(sender);
    return NULL;
  }
  sender->watched = (struct watched){.fd = fd, .turn = answer_sender};
  sender->listener = listener;
  memcpy(&sender->address, address, length);
  sender->address_length = length;
  senders[make_room()] = sender;
  watch(&sender->watched, EPOLLIN);
  return sender;
}

static struct sender *find_sender(struct listener *listener, const struct sockaddr_storage *address,
                                  socklen_t length) {
  for (size_t i = 0; i < MOST_SENDERS; i++)
    if (senders[i] != NULL && is_from(senders[i], listener, address, length)) return senders[i];
  return new_sender(listener, address, length);
}

void accept_datagram(struct watched *watched, uint32_t events) {
  (void)events;
  struct listener *listener = (struct listener *)watched;
  struct sockaddr_storage from = {0};
  socklen_t length = sizeof from;
  ssize_t got = recvfrom(watched->fd, datagram, sizeof datagram, MSG_DONTWAIT,
                         (struct sockaddr *)&from, &length);
  if (got < 0) return;
  struct sender *sender = find_sender(listener, &from, length);
  if (sender == NULL) return;
  sender->heard = seconds();
  send(sender->watched.fd, datagram, (size_t)got, MSG_DONTWAIT | MSG_NOSIGNAL);
}
