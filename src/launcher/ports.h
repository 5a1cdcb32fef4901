// Ports mode: sockets of the host that pass on to a container what comes in. One small process for all ports of a container;
// it ends when nobody holds the container any more.
//
// On descriptor 3 it is told which ports to take (struct port_request, after their number), and says `bound PORT` for each
// or `refused INDEX ERRNO`. Then it gets the container's address and three groups of messages for the packet filter, each
// after its length in bytes: those that renew an entry, those that make it anew, and those that take it away again; when
// that is done it says `leading COUNT`.
// Descriptor 4 is the reading end of a pipe whose writing end the container's holders have.

#ifndef KAURI_PORTS_H
#define KAURI_PORTS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { HOLD_FD = 4 };

/** As src/network/port-relay.ts writes it; ports are in the machine's byte order. */
struct port_request {
  uint8_t protocol;
  /** 4 or 6. */
  uint8_t family;
  uint16_t host_port, container_port;
  uint16_t unused;
  /** Of the host; the first 4 of them for IPv4. */
  uint8_t address[16];
};

/** Something that epoll tells of. */
struct watched {
  int fd;
  /** EPOLL bits that are waited for. */
  uint32_t events;
  void (*turn)(struct watched *watched, uint32_t events);
};

/** A published port. */
struct listener {
  struct watched watched;
  bool is_stream;
  /** Where it leads. */
  struct sockaddr_in target;
};

/** Changes what is waited for; 0 for nothing. */
void watch(struct watched *watched, uint32_t events);
/** Ends waiting and closes the descriptor. */
void unwatch(struct watched *watched);

/** One more connection is there, or one less: while there are too many none is accepted. */
void count_connection(int change);

/** A connection waits to be accepted. */
void accept_stream(struct watched *watched, uint32_t events);
/** A datagram came in. */
void accept_datagram(struct watched *watched, uint32_t events);
/** Forgets senders that have been silent; called once in a while. */
void forget_silent_senders(void);

noreturn void relay_ports(void);

#endif
