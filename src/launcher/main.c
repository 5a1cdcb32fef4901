// The launcher: enters namespaces and executes. It takes no decision of its own; what it does is a plan that the
// TypeScript side has validated, or, in guard mode, a command line.
//
//   kauri-launcher MODE PARENT-PID                            a plan on descriptor 3; supervise.h has the modes
//   kauri-launcher guard PARENT-PID COMMAND [ARGUMENT...]     a program of the host
//   kauri-launcher connect PID                                an interface for a container that runs
//   kauri-launcher rooted PLAN-FILE                         a program of the host with a root of its own
//   kauri-launcher ports                                      published ports, from the list on descriptor 3
//   kauri-launcher -- COMMAND [ARGUMENT...]                a container's init
//   kauri-launcher later MILLISECONDS COMMAND [ARGUMENT...]   a program of the host, after a while

#include <stdlib.h>
#include <string.h>

#include "connect.h"
#include "guard.h"
#include "init.h"
#include "later.h"
#include "ports.h"
#include "protect.h"
#include "report.h"
#include "rooted.h"
#include "supervise.h"

/** A mode that runs a container, and what it calls itself once its file is protected. */
struct mode {
  const char *name;
  char protected_name[24];
  void (*work)(int parent_pid);
};

static struct mode modes[] = {
    {"run", "run-protected", supervise},
    {"monitor", "monitor-protected", monitor},
    {"create", "create-protected", create},
    {"exec", "exec-protected", execute},
};

/** A number from the command line; 0 where it is none. */
static int parse_number(const char *text) {
  char *end;
  long number = strtol(text, &end, 10);
  return *text != '\0' && *end == '\0' && number > 0 && number < 1 << 30 ? (int)number : 0;
}

static void find_mode(int number, char *arguments[]) {
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
    if (strcmp(arguments[1], modes[i].protected_name) == 0) modes[i].work(number);
    if (strcmp(arguments[1], modes[i].name) != 0) continue;
    report_to(CONTROL_FD);
    char *const again[] = {arguments[0], modes[i].protected_name, arguments[2], NULL};
    execute_protected(again);
  }
}

int main(int count, char *arguments[]) {
  if (count == 2 && strcmp(arguments[1], "ports") == 0) relay_ports();
  if (count == 3 && strcmp(arguments[1], "rooted") == 0) run_rooted(arguments[2]);
  if (count > 2 && strcmp(arguments[1], "--") == 0) run_init(arguments + 2);
  int number = count > 2 ? parse_number(arguments[2]) : 0;
  if (count == 3 && number > 0 && strcmp(arguments[1], "connect") == 0) connect_running(number);
  if (count == 3 && number > 0) find_mode(number, arguments);
  if (count > 3 && number > 0 && strcmp(arguments[1], "guard") == 0) guard(number, arguments + 3);
  if (count > 3 && strcmp(arguments[1], "later") == 0) later(number, arguments + 3);
  die("usage: kauri-launcher run|monitor|create|exec PARENT-PID | guard PARENT-PID COMMAND "
      "[ARGUMENT...] | later MILLISECONDS COMMAND [ARGUMENT...] | rooted PLAN-FILE");
}
