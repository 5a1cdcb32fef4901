// What containers of the network tests do. Each prints one line and exits with 0 where it worked.
//
//   connect ADDRESS PORT        what a server says, or the error, within two seconds
//   peer ADDRESS PORT           the second line of what it says
//   listen PORT SECONDS         says "hello" to who comes, and the address it comes from
//   abstract NAME               connects to an abstract socket
//   send-as SOURCE DESTINATION  one UDP datagram to port 9 with a source address of choice
//   around SOURCE DESTINATION   the same datagram in a frame to the bridge itself, past the own routing table
//   hear PORT SECONDS           the sender of the first datagram, or "nothing"
//   claim ADDRESS               an ARP answer that ADDRESS is this machine's
//   resolve SERVER NAME         the address that a name server has for a name, or the code of its answer

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int fail(void) {
  printf("%s\n", strerror(errno));
  return 1;
}

static struct sockaddr_in address_of(const char *text, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  inet_pton(AF_INET, text, &address.sin_addr);
  return address;
}

/** The first line of what comes, or the one behind it. */
static int print_answer(int fd, bool second) {
  FILE *stream = fdopen(fd, "r");
  char line[256] = "";
  if (fgets(line, sizeof line, stream) == NULL) return fail();
  if (second && fgets(line, sizeof line, stream) == NULL) return fail();
  printf("%s", line);
  return 0;
}

static int connect_to(const char *host, const char *port, bool second) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  const struct timeval limit = {.tv_sec = 2};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  struct sockaddr_in address = address_of(host, atoi(port));
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) return fail();
  return print_answer(fd, second);
}

static int listen_on(const char *port, const char *seconds) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = address_of("0.0.0.0", atoi(port));
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 16) != 0) return fail();
  printf("listening\n");
  fflush(stdout);
  alarm((unsigned)atoi(seconds));
  for (;;) {
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    int client = accept(fd, (struct sockaddr *)&peer, &length);
    if (client < 0) return fail();
    dprintf(client, "hello\n%s\n", inet_ntoa(peer.sin_addr));
    close(client);
  }
}

static int connect_abstract(const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path + 1, name, sizeof address.sun_path - 2);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
  if (connect(fd, (struct sockaddr *)&address, length) != 0) return fail();
  return print_answer(fd, false);
}

struct datagram {
  struct iphdr ip;
  struct udphdr udp;
  char data[4];
};

static uint16_t checksum_of(const struct iphdr *ip) {
  const uint16_t *words = (const uint16_t *)ip;
  uint32_t sum = 0;
  for (size_t i = 0; i < sizeof *ip / sizeof *words; i++) sum += words[i];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

static struct datagram datagram_of(const char *source, const char *destination) {
  struct datagram packet = {
      .ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP,
             .tot_len = htons(sizeof packet)},
      .udp = {.source = htons(9), .dest = htons(9), .len = htons(12)},
      .data = "spy",
  };
  inet_pton(AF_INET, source, &packet.ip.saddr);
  inet_pton(AF_INET, destination, &packet.ip.daddr);
  packet.ip.check = checksum_of(&packet.ip);
  return packet;
}

static int send_as(const char *source, const char *destination) {
  struct datagram packet = datagram_of(source, destination);
  int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  struct sockaddr_in address = address_of(destination, 0);
  if (sendto(fd, &packet, sizeof packet, 0, (struct sockaddr *)&address, sizeof address) < 0) return fail();
  printf("sent\n");
  return 0;
}

static int send_frame(const void *frame, size_t length) {
  struct ifreq request = {.ifr_name = "eth0"};
  int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  if (fd < 0 || ioctl(fd, SIOCGIFINDEX, &request) != 0) return fail();
  struct sockaddr_ll target = {.sll_family = AF_PACKET, .sll_ifindex = request.ifr_ifindex, .sll_halen = ETH_ALEN};
  if (sendto(fd, frame, length, 0, (struct sockaddr *)&target, sizeof target) < 0) return fail();
  printf("sent\n");
  return 0;
}

/** The own hardware address. */
static int read_own(unsigned char address[ETH_ALEN]) {
  struct ifreq request = {.ifr_name = "eth0"};
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request) != 0) return fail();
  memcpy(address, request.ifr_hwaddr.sa_data, ETH_ALEN);
  return 0;
}

static int around(const char *source, const char *destination) {
  struct __attribute__((packed)) {
    struct ether_header link;
    struct datagram packet;
  } frame = {
      .link = {.ether_type = htons(ETHERTYPE_IP), .ether_dhost = {0x02, 0x6b}},
      .packet = datagram_of(source, destination),
  };
  return read_own(frame.link.ether_shost) || send_frame(&frame, sizeof frame);
}

static int hear(const char *port, const char *seconds) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  const struct timeval limit = {.tv_sec = atoi(seconds)};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  struct sockaddr_in address = address_of("0.0.0.0", atoi(port)), peer;
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) return fail();
  printf("hearing\n");
  fflush(stdout);
  char data[64];
  socklen_t length = sizeof peer;
  bool heard = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&peer, &length) >= 0;
  printf("%s\n", heard ? inet_ntoa(peer.sin_addr) : "nothing");
  return 0;
}

static int claim(const char *host) {
  struct {
    struct ether_header link;
    struct ether_arp arp;
  } frame = {.link = {.ether_type = htons(ETHERTYPE_ARP)}};
  if (read_own(frame.link.ether_shost) != 0) return 1;
  memset(frame.link.ether_dhost, 0xff, ETH_ALEN);
  frame.arp.ea_hdr = (struct arphdr){.ar_hrd = htons(ARPHRD_ETHER), .ar_pro = htons(ETHERTYPE_IP),
                                     .ar_hln = ETH_ALEN, .ar_pln = 4, .ar_op = htons(ARPOP_REPLY)};
  memcpy(frame.arp.arp_sha, frame.link.ether_shost, ETH_ALEN);
  inet_pton(AF_INET, host, frame.arp.arp_spa);
  memset(frame.arp.arp_tha, 0xff, ETH_ALEN);
  memcpy(frame.arp.arp_tpa, frame.arp.arp_spa, 4);
  return send_frame(&frame, sizeof frame);
}

/** The labels of a name, each behind its length. */
static size_t put_name(unsigned char *at, const char *name) {
  size_t length = 0;
  while (*name != '\0') {
    size_t label = strcspn(name, ".");
    at[length++] = (unsigned char)label;
    memcpy(at + length, name, label);
    length += label;
    name += label + (name[label] == '.');
  }
  at[length++] = 0;
  return length;
}

static int resolve(const char *server, const char *name) {
  unsigned char message[512] = {0x4b, 0x01, 0x01, 0x00, 0, 1};
  size_t length = 12 + put_name(message + 12, name);
  message[length + 1] = message[length + 3] = 1;
  length += 4;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  const struct timeval limit = {.tv_sec = 10};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  struct sockaddr_in address = address_of(server, 53);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) return fail();
  if (send(fd, message, length, 0) < 0) return fail();
  ssize_t got = recv(fd, message, sizeof message, 0);
  if (got < 12) return fail();
  if (message[7] == 0)
    printf("code %d\n", message[3] & 15);
  else
    printf("%d.%d.%d.%d\n", message[got - 4], message[got - 3], message[got - 2], message[got - 1]);
  return 0;
}

int main(int count, char *words[]) {
  const char *word = count > 2 ? words[1] : "";
  if (count == 4 && strcmp(word, "connect") == 0) return connect_to(words[2], words[3], false);
  if (count == 4 && strcmp(word, "peer") == 0) return connect_to(words[2], words[3], true);
  if (count == 4 && strcmp(word, "listen") == 0) return listen_on(words[2], words[3]);
  if (count == 4 && strcmp(word, "send-as") == 0) return send_as(words[2], words[3]);
  if (count == 4 && strcmp(word, "around") == 0) return around(words[2], words[3]);
  if (count == 4 && strcmp(word, "hear") == 0) return hear(words[2], words[3]);
  if (count == 4 && strcmp(word, "resolve") == 0) return resolve(words[2], words[3]);
  if (count == 3 && strcmp(word, "abstract") == 0) return connect_abstract(words[2]);
  if (count == 3 && strcmp(word, "claim") == 0) return claim(words[2]);
  return 2;
}
