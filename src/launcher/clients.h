// Those who attach to a container: connections to the monitor's socket. Frames go both ways: type, three zero bytes, the
// length as a big-endian u32, and that many bytes; for output this is docker's stream format.

#ifndef KAURI_CLIENTS_H
#define KAURI_CLIENTS_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MOST_CLIENTS = 64, FRAME_HEADER_BYTES = 8 };

/** What clients send. */
enum client_frame { CLIENT_INPUT = 0, CLIENT_RESIZE = 1, CLIENT_SIGNAL = 2, CLIENT_ATTACH = 3 };

/** What they get. */
enum server_frame { SERVER_STDOUT = 1, SERVER_STDERR = 2, SERVER_ATTACHED = 16, SERVER_EXIT = 17 };

/** What a client may ask of the container. */
struct client_handler {
  /** How much of the input was taken; less than `length` where the container does not read now. */
  size_t (*take_input)(const char *bytes, size_t length);
  void (*end_input)(void);
  void (*resize)(uint16_t rows, uint16_t columns);
  void (*deliver)(int signal_number);
};

/** Accepts one more client; at most MOST_CLIENTS, others are closed at once. */
void accept_client(int listen_fd);

/** Fills in what clients wait for, one entry for each place. */
void clients_want(struct pollfd watched[MOST_CLIENTS]);

/** True where a client has input that the container did not take. */
bool clients_wait_for_container(void);

/** The container takes input again. */
void container_takes_input(const struct client_handler *handler);

/** Waits for clients that are behind, and serves them. */
void wait_for_clients(const struct client_handler *handler);

/** Works off what poll(2) reported. */
void serve_clients(const struct pollfd watched[MOST_CLIENTS], const struct client_handler *handler);

/** Sends output of a stream to those who attached to it. */
void send_output(uint8_t stream, const char *bytes, size_t length);

/** True while a client has not taken all it was sent; the container's output waits for it. */
bool clients_are_behind(void);

/** Milliseconds until a client that takes nothing is given up; -1 where there is none. */
int patience_left_ms(void);

/** Drops clients that took nothing for too long. */
void drop_stalled_clients(void);

/** Tells every client of the end, waits a moment for each to take it, and closes all. */
void end_clients(uint32_t exit_code);

#endif
