// Records of a plan about who watches the container, when it starts, and what runs for it on the host.

#include "plan-reader.h"

static void parse_monitor(struct reader *reader, struct plan *plan) {
  plan->monitor.directory = take_text(reader);
  plan->monitor.flags = take_u32(reader);
  plan->monitor.lock_count = take_u32(reader);
  if (plan->monitor.lock_count > PLAN_MAX_DESCRIPTORS) reader->failed = true;
}

static void parse_log(struct reader *reader, struct plan *plan) {
  plan->log.driver = take_u32(reader);
  plan->log.file = take_text(reader);
  plan->log.max_bytes = take_u64(reader);
  plan->log.max_files = take_u32(reader);
}

/** A second record would leave the texts of the first behind. */
static void parse_command(struct reader *reader, struct plan_command *command) {
  if (command->arguments.items != NULL || command->environment.items != NULL) {
    reader->failed = true;
    return;
  }
  take_texts(reader, &command->arguments);
  take_texts(reader, &command->environment);
  if (command->arguments.count == 0) reader->failed = true;
}

static void parse_hook(struct reader *reader, struct plan *plan) {
  void *hooks =
      grow(reader, plan->hooks, plan->hook_count, &plan->hook_capacity, sizeof *plan->hooks);
  if (hooks == NULL) return;
  plan->hooks = hooks;
  struct plan_hook *hook = &plan->hooks[plan->hook_count++];
  *hook = (struct plan_hook){.moment = take_u32(reader), .path = take_text(reader)};
  hook->timeout_seconds = take_u32(reader);
  parse_command(reader, &hook->command);
}

static void parse_target(struct reader *reader, struct plan *plan) {
  plan->target.pid = take_u32(reader);
  plan->target.start_ticks = take_u64(reader);
  plan->target.namespaces = take_u32(reader);
}

bool parse_supervision_record(struct reader *reader, struct plan *plan, uint32_t tag) {
  switch (tag) {
    case TAG_GATE:
      plan->gate_directory = take_text(reader);
      break;
    case TAG_MONITOR:
      parse_monitor(reader, plan);
      break;
    case TAG_LOG:
      parse_log(reader, plan);
      break;
    case TAG_CLEAN_UP:
      parse_command(reader, &plan->clean_up);
      break;
    case TAG_TIMER:
      plan->timer.first_ms = take_u64(reader);
      plan->timer.interval_ms = take_u64(reader);
      parse_command(reader, &plan->timer.command);
      break;
    case TAG_OOM_FILE:
      append_text(reader, &plan->oom_files, take_text(reader));
      break;
    case TAG_INHERITED:
      plan->inherited_count = take_u32(reader);
      if (plan->inherited_count > PLAN_MAX_DESCRIPTORS) reader->failed = true;
      break;
    case TAG_HOST_TURN:
      plan->has_host_turn = true;
      break;
    case TAG_HOOK:
      parse_hook(reader, plan);
      break;
    case TAG_TARGET:
      parse_target(reader, plan);
      break;
    case TAG_CONSOLE_SOCKET:
      plan->console_socket = take_text(reader);
      break;
    case TAG_DETACHED:
      plan->is_detached = true;
      plan->reaps = take_u32(reader) != 0;
      break;
    default:
      return false;
  }
  return true;
}
