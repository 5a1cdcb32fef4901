// The container's network interface. Which messages make it is the plan's business; here they are sent, by the container's
// first process, which has the rights for both namespaces: over a socket that the launcher opened in its own, then over one
// of the new namespace. What they make in the new namespace goes with it, and with that the other end outside.

#define _GNU_SOURCE
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "container.h"
#include "report.h"

enum { ANSWER_BYTES = 8192 };

int open_netlink(void) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) die_errno("opening rtnetlink");
  const int on = 1;
  // Answers do not repeat what was asked; the kernel's own words on what it refuses are in them.
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  return fd;
}

/** Ends this process with a report of its own kind: kauri can say what there is instead. */
static noreturn void fail(const char *place, const char *text) {
  const char *errno_text = strerror(errno);
  report("error network", "making the network interface %s: %s%s%s", place, errno_text,
         *text == '\0' ? "" : ", ", text);
  _exit(EXIT_LAUNCH_FAILED);
}

/** The text that the kernel puts behind an error; empty where it has none. */
static const char *refusal_text(const struct nlmsghdr *header) {
  if (!(header->nlmsg_flags & NLM_F_ACK_TLVS)) return "";
  const char *at = (const char *)header + NLMSG_LENGTH(sizeof(struct nlmsgerr));
  const char *end = (const char *)header + header->nlmsg_len;
  while (end - at > NLA_HDRLEN) {
    struct nlattr attribute;
    memcpy(&attribute, at, sizeof attribute);
    if (attribute.nla_len < NLA_HDRLEN || attribute.nla_len > end - at) break;
    if (attribute.nla_type == NLMSGERR_ATTR_MSG && at[attribute.nla_len - 1] == '\0')
      return at + NLA_HDRLEN;
    at += NLA_ALIGN(attribute.nla_len);
  }
  return "";
}

static void check_answers(const char *answers, size_t length, const char *place) {
  const struct nlmsghdr *header = (const struct nlmsghdr *)answers;
  for (; NLMSG_OK(header, length); header = NLMSG_NEXT(header, length)) {
    if (header->nlmsg_type != NLMSG_ERROR) continue;
    const struct nlmsgerr *answer = NLMSG_DATA(header);
    if (answer->error == 0) continue;
    errno = -answer->error;
    fail(place, refusal_text(header));
  }
}

/** The kernel has worked the messages off when send(2) returns, so every answer is there to be read. */
static void exchange(int fd, const struct bytes *messages, const char *place) {
  const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  if (sendto(fd, messages->data, messages->length, 0, (const struct sockaddr *)&kernel,
             sizeof kernel) < 0)
    fail(place, "");
  _Alignas(struct nlmsghdr) char answers[ANSWER_BYTES];
  for (;;) {
    ssize_t length = recv(fd, answers, sizeof answers, MSG_DONTWAIT);
    if (length < 0 && errno == EAGAIN) return;
    if (length < 0) fail(place, "");
    check_answers(answers, (size_t)length, place);
  }
}

void connect_network(const struct plan *plan, int outside_socket) {
  if (plan->netlink_outside.length > 0)
    exchange(outside_socket, &plan->netlink_outside, "on the host");
  if (plan->netlink_inside.length == 0) return;
  int fd = open_netlink();
  exchange(fd, &plan->netlink_inside, "in the container");
  close(fd);
}
