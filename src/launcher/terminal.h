// The launcher's side of a container's terminal: the user's terminal in raw mode, bytes in both directions, and the old
// mode again at the end.

#ifndef KAURI_TERMINAL_H
#define KAURI_TERMINAL_H

#include <poll.h>
#include <stdbool.h>

/** Takes the master side that the container sends over `socket_fd`; -1 when it ended without. */
int receive_terminal(int socket_fd);

/** Switches standard input to raw mode where it is a terminal; remembers the old mode. */
void begin_raw_mode(void);

/** Puts the old mode back; harmless when there was none, and in a signal handler. */
void end_raw_mode(void);

/** The user's terminal size becomes the container's. */
void copy_window_size(int master_fd);

/** Moves what is there; false when the container has closed its side. */
bool relay_output(int master_fd);

/** Moves what is left after the container's end. */
void drain_output(int master_fd);

/** Moves keys to the container; false at the end of input. */
bool relay_input(int master_fd);

#endif
