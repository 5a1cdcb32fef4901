// A command of the host that runs again and again while the container does, such as its health check.

#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "monitor.h"

static struct {
  /** Of the monotonic clock; -1: never. */
  int64_t due_ms;
  uint64_t interval_ms;
  /** 0 where none runs. */
  pid_t command;
} state = {.due_ms = -1};

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void start_timer(const struct plan_timer *timer) {
  if (timer->command.arguments.count == 0) return;
  state.interval_ms = timer->interval_ms;
  state.due_ms = now_ms() + (int64_t)timer->first_ms;
}

int timer_left_ms(void) {
  if (state.due_ms < 0 || state.command > 0) return -1;
  int64_t left = state.due_ms - now_ms();
  return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

static noreturn void execute(const struct plan_command *command) {
  static char *no_environment[] = {NULL};
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  for (int number = 1; number < _NSIG; number++) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  const struct text_list *environment = &command->environment;
  execve(command->arguments.items[0], (char *const *)command->arguments.items,
         environment->items == NULL ? no_environment : (char *const *)environment->items);
  _exit(127);
}

void run_timer(const struct plan_timer *timer) {
  if (timer_left_ms() != 0) return;
  pid_t command = fork();
  if (command == 0) execute(&timer->command);
  if (command > 0)
    state.command = command;
  else
    state.due_ms = now_ms() + (int64_t)state.interval_ms;
}

void timer_ended(pid_t ended) {
  if (ended != state.command) return;
  state.command = 0;
  state.due_ms = now_ms() + (int64_t)state.interval_ms;
}

void stop_timer(void) {
  if (state.command > 0) {
    kill(state.command, SIGKILL);
    while (waitpid(state.command, NULL, 0) < 0) continue;
  }
  state.command = 0;
  state.due_ms = -1;
}
