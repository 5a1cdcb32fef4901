// Bytes from one descriptor to another, for streams that the container cannot have as they are: a terminal, sockets,
// which no program can open again as /dev/stdout, and files, which it could open for more than it may. A relay never waits; poll(2) says when its turn is.

#ifndef KAURI_RELAY_H
#define KAURI_RELAY_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

enum { RELAY_BYTES = 64 * 1024 };

struct relay {
  /** -1: at its end. */
  int from, to;
  /** Both are closed at the end, so that writer and reader learn it. */
  bool owns_both;
  /** `to` makes nobody wait, however much is written at once: it is a file, or not blocking. */
  bool takes_all;
  size_t start, end;
  char bytes[RELAY_BYTES];
};

/** What the relay waits for; `fd` -1 where it is through. */
struct pollfd relay_wants(const struct relay *relay);

/** Moves what can be moved, after poll(2) reported `events`. */
void relay_turn(struct relay *relay, short events);

/** Moves what is left when nobody writes any more; waits for the reader. */
void relay_drain(struct relay *relay);

#endif
