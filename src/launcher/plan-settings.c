// Parses the records of settings.h.

#include "settings.h"

#include <stdlib.h>
#include <string.h>

#include "plan-reader.h"
#include "plan.h"

static void parse_scheduler(struct reader *reader, struct plan_settings *settings) {
  settings->has_scheduler = true;
  struct scheduling *scheduler = &settings->scheduler;
  scheduler->size = sizeof *scheduler;
  scheduler->policy = take_u32(reader);
  scheduler->flags = take_u64(reader);
  scheduler->nice = (int32_t)take_u32(reader);
  scheduler->priority = take_u32(reader);
  scheduler->runtime = take_u64(reader);
  scheduler->deadline = take_u64(reader);
  scheduler->period = take_u64(reader);
}

static void parse_affinity(struct reader *reader, struct plan_settings *settings) {
  struct bytes words = take_bytes(reader);
  if (reader->failed || words.length > sizeof *settings->affinity || settings->affinity != NULL) {
    reader->failed = true;
    return;
  }
  settings->affinity = calloc(1, sizeof *settings->affinity);
  if (settings->affinity == NULL) reader->failed = true;
  else if (words.length > 0) memcpy(settings->affinity->words, words.data, words.length);
}

/** Belongs to the mount before it. */
static void parse_details(struct reader *reader, struct plan *plan) {
  if (plan->step_count == 0) {
    reader->failed = true;
    return;
  }
  struct mount_details *details = &plan->steps[plan->step_count - 1].details;
  details->cleared = take_u32(reader);
  details->below_set = take_u32(reader);
  details->below_cleared = take_u32(reader);
  details->propagation = take_u32(reader);
  details->flags = take_u32(reader);
  details->uid_map = take_text(reader);
  details->gid_map = take_text(reader);
}

bool parse_settings_record(struct reader *reader, struct plan *plan, uint32_t tag) {
  struct plan_settings *settings = &plan->settings;
  switch (tag) {
    case TAG_SCHEDULER:
      parse_scheduler(reader, settings);
      return true;
    case TAG_IO_PRIORITY:
      settings->has_io_priority = true;
      settings->io_priority = take_u32(reader);
      return true;
    case TAG_PERSONALITY:
      settings->has_personality = true;
      settings->personality = take_u32(reader);
      return true;
    case TAG_MEMORY_POLICY:
      settings->has_memory_policy = true;
      settings->memory_policy.mode = take_u32(reader);
      settings->memory_policy.nodes = take_u64(reader);
      return true;
    case TAG_AFFINITY:
      parse_affinity(reader, settings);
      return true;
    case TAG_LABEL:
      settings->label_file = take_text(reader);
      settings->label = take_text(reader);
      return true;
    case TAG_DOMAIN_NAME:
      settings->domain_name = take_text(reader);
      return true;
    case TAG_ROOT_PROPAGATION:
      plan->root.propagation = take_u32(reader);
      return true;
    case TAG_MOUNT_DETAILS:
      parse_details(reader, plan);
      return true;
    default:
      return false;
  }
}
