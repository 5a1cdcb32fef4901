#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <unistd.h>

/** As much as a pipe that is ready for writing takes without making its writer wait. */
enum { PIECE_BYTES = 4096 };

struct pollfd relay_wants(const struct relay *relay) {
  if (relay->start < relay->end) return (struct pollfd){.fd = relay->to, .events = POLLOUT};
  return (struct pollfd){.fd = relay->from, .events = POLLIN};
}

static void finish(struct relay *relay) {
  if (relay->owns_both) {
    close(relay->from);
    close(relay->to);
  }
  relay->from = relay->to = -1;
  relay->start = relay->end = 0;
}

static bool is_passing(void) { return errno == EINTR || errno == EAGAIN; }

static void read_more(struct relay *relay) {
  ssize_t length = read(relay->from, relay->bytes, sizeof relay->bytes);
  if (length < 0 && is_passing()) return;
  // EIO: the other side of a terminal is closed.
  if (length <= 0) {
    finish(relay);
    return;
  }
  relay->start = 0;
  relay->end = (size_t)length;
}

static void write_piece(struct relay *relay) {
  size_t length = relay->end - relay->start;
  ssize_t written = write(relay->to, relay->bytes + relay->start,
                          length < PIECE_BYTES || relay->takes_all ? length : PIECE_BYTES);
  if (written < 0 && is_passing()) return;
  // The reader is gone; with the source closed the writer learns it.
  if (written < 0)
    finish(relay);
  else
    relay->start += (size_t)written;
}

void relay_turn(struct relay *relay, short events) {
  if (events == 0 || relay->from < 0) return;
  if (relay->start < relay->end)
    write_piece(relay);
  else
    read_more(relay);
}

void relay_drain(struct relay *relay) {
  while (relay->from >= 0) {
    struct pollfd wanted = relay_wants(relay);
    bool is_reading = relay->start == relay->end;
    // A source that has nothing now will have nothing later: its writers have ended.
    int ready = poll(&wanted, 1, is_reading ? 0 : -1);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return;
    relay_turn(relay, wanted.revents);
  }
}
