// The last things that a monitor does.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clients.h"
#include "monitor.h"
#include "report.h"
#include "supervise.h"

/** The number behind `oom_kill ` in a file of a cgroup; 0 where it says none. */
static uint64_t out_of_memory_kills(const char *path) {
  char text[1024];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  if (length <= 0) return 0;
  text[length] = '\0';
  const char *found = strstr(text, "oom_kill ");
  return found == NULL ? 0 : strtoull(found + strlen("oom_kill "), NULL, 10);
}

static bool was_out_of_memory(const struct plan *plan) {
  for (size_t i = 0; i < plan->oom_files.count; i++)
    if (out_of_memory_kills(plan->oom_files.items[i]) > 0) return true;
  return false;
}

/** Whole or not at all: the rename comes last. */
static void write_exit(const struct plan *plan, int exit_code) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
  char text[128];
  int length = snprintf(text, sizeof text,
                        "{\"exitCode\":%d,\"outOfMemory\":%s,\"finishedMs\":%" PRId64 "}\n", exit_code,
                        was_out_of_memory(plan) ? "true" : "false", now_ms);
  int directory = open(plan->monitor.directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return;
  int fd = openat(directory, "exit.json.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd >= 0 && write(fd, text, (size_t)length) == length)
    renameat(directory, "exit.json.new", directory, "exit.json");
  if (fd >= 0) close(fd);
  close(directory);
}

static void reset_for_exec(void) {
  for (int number = 1; number < _NSIG; number++) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

void end_monitor(const struct plan *plan, int exit_code) {
  write_exit(plan, exit_code);
  end_clients((uint32_t)exit_code);
  const struct plan_command *command = &plan->clean_up;
  if (command->arguments.count == 0) _exit(0);
  static char *no_environment[] = {NULL};
  for (uint32_t i = 0; i < plan->monitor.lock_count; i++)
    fcntl(ADOPTION_FD + 1 + (int)i, F_SETFD, 0);
  reset_for_exec();
  const struct text_list *environment = &command->environment;
  execve(command->arguments.items[0], (char *const *)command->arguments.items,
         environment->items == NULL ? no_environment : (char *const *)environment->items);
  _exit(EXIT_LAUNCH_FAILED);
}
