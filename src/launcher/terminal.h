// A container's terminal. Its own side is opened in container.c's course; the launcher's side is here: the user's
// terminal in raw mode, and the old mode again at the end.

#ifndef KAURI_TERMINAL_H
#define KAURI_TERMINAL_H

/** Takes the master side that the container sends over `socket_fd`; -1 when it ended without. */
int receive_terminal(int socket_fd);

/** Switches standard input to raw mode where it is a terminal; remembers the old mode. */
void begin_raw_mode(void);

/** Puts the old mode back; harmless when there was none, and in a signal handler. */
void end_raw_mode(void);

/** The user's terminal size becomes the container's. */
void copy_window_size(int master_fd);

#endif
