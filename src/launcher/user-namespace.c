#define _GNU_SOURCE
#include "user-namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

enum { PID_BYTES = 16, MOST_MAP_WORDS = 3 * 340 };

struct mapping open_mapping(const struct plan *plan, struct inheritance *inheritance) {
  if (plan->uid_map == NULL) return (struct mapping){-1};
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) die_errno("socketpair");
  inheritance->mapping = ends[1];
  return (struct mapping){ends[0]};
}

static void write_process_file(const char *pid, const char *name, const char *text) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  size_t length = strlen(text);
  if (fd < 0 || write(fd, text, length) != (ssize_t)length)
    die_errno("writing %s of the container", name);
  close(fd);
}

/** newuidmap and newgidmap have rights over the ranges that /etc/subuid and /etc/subgid give to this user. */
static void run_helper(const char *program, const char *pid, const char *map) {
  static char *no_environment[] = {NULL};
  char *arguments[MOST_MAP_WORDS + 3] = {(char *)program, (char *)pid};
  char *words = strdup(map);
  if (words == NULL) die_errno("memory for the maps");
  size_t count = 2;
  for (char *word = strtok(words, " \n"); word != NULL; word = strtok(NULL, " \n")) {
    if (count >= MOST_MAP_WORDS + 2) die("the maps of the user namespace are too long");
    arguments[count++] = word;
  }
  pid_t helper = fork();
  if (helper < 0) die_errno("fork");
  if (helper == 0) {
    execve(program, arguments, no_environment);
    die_errno("executing %s", program);
  }
  int status;
  while (waitpid(helper, &status, 0) < 0)
    if (errno != EINTR) die_errno("waiting for %s", program);
  if (status != 0) die("%s refused the maps of the user namespace", program);
  free(words);
}

void write_maps(const struct plan *plan, struct mapping *mapping) {
  if (mapping->fd < 0) return;
  char pid[PID_BYTES + 1];
  ssize_t length = recv(mapping->fd, pid, PID_BYTES, 0);
  // The container has reported why it is not there.
  if (length <= 0) return;
  pid[length] = '\0';
  if (plan->map_flags & MAP_DENY_SETGROUPS) write_process_file(pid, "setgroups", "deny");
  if (plan->map_flags & MAP_BY_HELPER) {
    run_helper("/usr/bin/newuidmap", pid, plan->uid_map);
    run_helper("/usr/bin/newgidmap", pid, plan->gid_map);
  } else {
    write_process_file(pid, "uid_map", plan->uid_map);
    write_process_file(pid, "gid_map", plan->gid_map);
  }
  if (send(mapping->fd, "m", 1, MSG_NOSIGNAL) != 1) die_errno("telling of the maps");
  close(mapping->fd);
  mapping->fd = -1;
}

void await_maps(const struct inheritance *inheritance) {
  if (inheritance->mapping < 0) return;
  char pid[PID_BYTES], byte;
  ssize_t length = readlink("/proc/self", pid, sizeof pid);
  if (length < 0) die_errno("/proc/self");
  if (send(inheritance->mapping, pid, (size_t)length, MSG_NOSIGNAL) != length ||
      recv(inheritance->mapping, &byte, 1, 0) != 1)
    die("the maps of the user namespace were not written");
  close(inheritance->mapping);
}

void become_namespace_root(const struct plan *plan) {
  if (plan->uid_map == NULL) return;
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) die_errno("prctl(PR_SET_KEEPCAPS)");
  if (!(plan->map_flags & MAP_DENY_SETGROUPS) && setgroups(0, NULL) != 0) die_errno("setgroups");
  if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
    die_errno("becoming root of the user namespace");
}
