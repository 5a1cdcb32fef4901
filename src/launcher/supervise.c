// Run mode: reads the plan, starts a keeper, which starts the container, and waits. The launcher dies with kauri.

#include <signal.h>
#include <unistd.h>

#include "report.h"
#include "supervision.h"

static void report_end(const struct keeper_outcome *outcome) {
  report("ended", "%d", outcome->ended ? exit_code_of(outcome->wait_status) : 128 + SIGKILL);
}

void supervise(int parent_pid) {
  static struct supervision supervision;
  const struct plan *plan = begin_launch(0);
  begin_supervision(&supervision, plan, parent_pid);
  attach_device_program(plan);
  struct keeper_outcome *outcome = share_outcome();
  struct inheritance inheritance = empty_inheritance();
  prepare_streams(&supervision, plan, &inheritance);
  if (plan->netlink_outside.length > 0) inheritance.netlink_socket = open_netlink();
  supervision.child = start_keeper(plan, parent_death_signal(plan), &inheritance, outcome);
  supervise_until_end(&supervision, plan);
  report_end(outcome);
  _exit(0);
}
