// What a launcher does while kauri is there: signals and the end of kauri go in, streams and the terminal are relayed.

#ifndef KAURI_SUPERVISION_H
#define KAURI_SUPERVISION_H

#include "relay.h"
#include "supervise.h"

enum { RELAYS = 3 };

struct supervision {
  /** The keeper of a container, or a program added to one. */
  pid_t child;
  int wait_status;
  int signal_fd;
  /** Where the terminal's master side comes from, then -1. */
  int terminal_socket;
  int master_fd;
  bool kauri_is_there;
  /** One for each standard stream that needs it. */
  struct relay relays[RELAYS];
};

/** Blocks signals, and dies with the parent; a terminal of the user's gets its mode back first. */
void begin_supervision(struct supervision *supervision, const struct plan *plan, int parent_pid);

/** SIGKILL, or what reaches a process that has a terminal's mode to restore. */
int parent_death_signal(const struct plan *plan);

/** Prepares the container's streams: a terminal, or relays where a stream is a socket. */
void prepare_streams(struct supervision *supervision, const struct plan *plan,
                     struct inheritance *inheritance);

/** Lets go of what is the container's alone, then works until `child` has ended. */
void supervise_until_end(struct supervision *supervision, const struct plan *plan);

#endif
