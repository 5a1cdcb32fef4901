// Records of a plan about the process: who it is, what it may do, what it executes.

#include <stdlib.h>

#include "plan-reader.h"

static void parse_user(struct reader *reader, struct plan *plan) {
  plan->uid = take_u32(reader);
  plan->gid = take_u32(reader);
  plan->umask = take_u32(reader);
  uint32_t count = take_u32(reader);
  if (reader->failed || plan->groups != NULL || count > 65536) {
    reader->failed = true;
    return;
  }
  plan->groups = calloc(count + 1, sizeof *plan->groups);
  if (plan->groups == NULL) reader->failed = true;
  for (uint32_t i = 0; i < count && !reader->failed; i++) plan->groups[i] = take_u32(reader);
  plan->group_count = count;
}

static void parse_rlimit(struct reader *reader, struct plan *plan) {
  void *rlimits = grow(reader, plan->rlimits, plan->rlimit_count, &plan->rlimit_capacity,
                       sizeof *plan->rlimits);
  if (rlimits == NULL) return;
  plan->rlimits = rlimits;
  struct plan_rlimit *rlimit = &plan->rlimits[plan->rlimit_count++];
  rlimit->resource = take_u32(reader);
  rlimit->soft = take_u64(reader);
  rlimit->hard = take_u64(reader);
}

bool parse_process_record(struct reader *reader, struct plan *plan, uint32_t tag) {
  switch (tag) {
    case TAG_TERMINAL:
      plan->has_terminal = true;
      plan->rows = take_u32(reader);
      plan->columns = take_u32(reader);
      break;
    case TAG_RLIMIT:
      parse_rlimit(reader, plan);
      break;
    case TAG_OOM_SCORE:
      plan->has_oom_score = true;
      plan->oom_score = (int32_t)take_u32(reader);
      break;
    case TAG_USER:
      parse_user(reader, plan);
      break;
    case TAG_CAPABILITIES:
      plan->bounding = take_u64(reader);
      plan->effective = take_u64(reader);
      plan->permitted = take_u64(reader);
      plan->inheritable = take_u64(reader);
      plan->ambient = take_u64(reader);
      break;
    case TAG_NO_NEW_PRIVILEGES:
      plan->no_new_privileges = true;
      break;
    case TAG_SECCOMP:
      plan->seccomp_flags = take_u32(reader);
      plan->seccomp = take_bytes(reader);
      break;
    case TAG_DIRECTORY:
      plan->directory = take_text(reader);
      break;
    case TAG_ARGUMENT:
      append_text(reader, &plan->arguments, take_text(reader));
      break;
    case TAG_ENVIRONMENT:
      append_text(reader, &plan->environment, take_text(reader));
      break;
    case TAG_MERGE_OUTPUT:
      plan->merge_output = true;
      break;
    case TAG_KEEP_KEYRING:
      plan->keeps_keyring = true;
      break;
    default:
      return false;
  }
  return true;
}
