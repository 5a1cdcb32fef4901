// Parses plans. It trusts nothing, though kauri wrote it: every length is checked against what is left, every text ends
// with its only NUL.

#include "plan.h"

#include <stdlib.h>

#include "plan-reader.h"

static struct plan_step *append_step(struct reader *reader, struct plan *plan, enum plan_tag tag) {
  void *steps =
      grow(reader, plan->steps, plan->step_count, &plan->step_capacity, sizeof *plan->steps);
  if (steps == NULL) return NULL;
  plan->steps = steps;
  struct plan_step *step = &plan->steps[plan->step_count++];
  *step = (struct plan_step){.tag = tag, .target = take_text(reader), .source = "", .source_fd = -1};
  return step;
}

static void parse_overlay(struct reader *reader, struct plan_root *root) {
  root->attributes = take_u32(reader);
  root->upper = take_text(reader);
  root->work = take_text(reader);
  take_texts(reader, &root->options);
  take_texts(reader, &root->lower);
}

/** One directory, where there are no options; else an overlay. */
static void parse_tree(struct reader *reader, struct plan_root *tree) {
  parse_overlay(reader, tree);
  if (tree->lower.count == 0) reader->failed = true;
  if (!reader->failed && tree->options.count == 0) tree->directory = tree->lower.items[0];
}

static void parse_step(struct reader *reader, struct plan *plan, enum plan_tag tag) {
  struct plan_step *step = append_step(reader, plan, tag);
  if (step == NULL) return;
  switch (tag) {
    case TAG_FILESYSTEM:
      step->source = take_text(reader);
      step->attributes = take_u32(reader);
      step->flags = take_u32(reader);
      take_texts(reader, &step->options);
      break;
    case TAG_BIND:
      step->source = take_text(reader);
      step->attributes = take_u32(reader);
      step->flags = take_u32(reader);
      break;
    case TAG_DEVICE:
      step->mode = take_u32(reader);
      step->major = take_u32(reader);
      step->minor = take_u32(reader);
      step->uid = take_u32(reader);
      step->gid = take_u32(reader);
      step->flags = take_u32(reader);
      break;
    case TAG_TREE:
      step->source = take_text(reader);
      step->attributes = take_u32(reader);
      step->flags = take_u32(reader);
      parse_tree(reader, &step->tree);
      break;
    case TAG_FILE:
      step->attributes = take_u32(reader);
      step->flags = take_u32(reader);
      step->mode = take_u32(reader);
      step->uid = take_u32(reader);
      step->gid = take_u32(reader);
      step->content = take_bytes(reader);
      break;
    case TAG_SYMLINK:
    case TAG_SYSCTL:
      step->source = take_text(reader);
      break;
    case TAG_ATTRIBUTES:
      step->attributes = take_u32(reader);
      break;
    default:
      break;
  }
}

static void parse_join(struct reader *reader, struct plan *plan) {
  void *joins =
      grow(reader, plan->joins, plan->join_count, &plan->join_capacity, sizeof *plan->joins);
  if (joins == NULL) return;
  plan->joins = joins;
  struct plan_join *join = &plan->joins[plan->join_count++];
  join->kind = take_u32(reader);
  join->path = take_text(reader);
}

static void parse_record(struct reader *reader, struct plan *plan, uint32_t tag) {
  switch (tag) {
    case TAG_NAMESPACES:
      plan->namespaces = take_u32(reader);
      break;
    case TAG_JOIN:
      parse_join(reader, plan);
      break;
    case TAG_CGROUP:
      append_text(reader, &plan->cgroups, take_text(reader));
      break;
    case TAG_CGROUP_DIRECTORY:
      plan->cgroup_directory = take_text(reader);
      break;
    case TAG_DEVICE_PROGRAM:
      plan->device_cgroup = take_text(reader);
      plan->device_program = take_bytes(reader);
      break;
    case TAG_HOSTNAME:
      plan->hostname = take_text(reader);
      break;
    case TAG_USER_MAP:
      plan->uid_map = take_text(reader);
      plan->gid_map = take_text(reader);
      plan->map_flags = take_u32(reader);
      break;
    case TAG_TIME_OFFSETS:
      plan->time_offsets = take_text(reader);
      break;
    case TAG_LOOPBACK:
      plan->loopback_up = true;
      break;
    case TAG_NETLINK_OUTSIDE:
      plan->netlink_outside = take_bytes(reader);
      break;
    case TAG_NETLINK_INSIDE:
      plan->netlink_inside = take_bytes(reader);
      break;
    case TAG_ROOT_DIRECTORY:
      plan->root.attributes = take_u32(reader);
      plan->root.directory = take_text(reader);
      break;
    case TAG_ROOT_OVERLAY:
      parse_overlay(reader, &plan->root);
      break;
    case TAG_FILESYSTEM:
    case TAG_BIND:
    case TAG_DEVICE:
    case TAG_SYMLINK:
    case TAG_MASK:
    case TAG_READONLY:
    case TAG_SYSCTL:
    case TAG_ATTRIBUTES:
    case TAG_TREE:
    case TAG_FILE:
      parse_step(reader, plan, (enum plan_tag)tag);
      break;
    default:
      if (!parse_process_record(reader, plan, tag) &&
          !parse_supervision_record(reader, plan, tag) && !parse_settings_record(reader, plan, tag))
        reader->failed = true;
  }
}

static bool is_complete(const struct plan *plan) {
  return plan->arguments.count > 0 && plan->directory != NULL && plan->groups != NULL &&
         (plan->root.directory != NULL || plan->root.lower.count > 0 || plan->target.pid != 0);
}

struct plan *parse_plan(const char *data, size_t length, const char **problem) {
  struct reader reader = {.at = data, .end = data + length};
  if (take_u32(&reader) != PLAN_MAGIC || take_u32(&reader) != length) {
    *problem = "the plan has no valid header";
    return NULL;
  }
  struct plan *plan = calloc(1, sizeof *plan);
  if (plan == NULL) {
    *problem = "no memory for the plan";
    return NULL;
  }
  plan->environment.items = NULL;
  while (!reader.failed && reader.at < reader.end) {
    uint32_t tag = take_u32(&reader);
    uint32_t body_length = take_u32(&reader);
    const char *body = take(&reader, body_length);
    if (body == NULL) break;
    struct reader record = {.at = body, .end = body + body_length};
    parse_record(&record, plan, tag);
    reader.failed = record.failed || record.at != record.end;
  }
  *problem = reader.failed ? "a record of the plan is malformed" : "the plan is incomplete";
  if (!reader.failed && is_complete(plan)) return plan;
  free_plan(plan);
  return NULL;
}

static void free_command(struct plan_command *command) {
  free(command->arguments.items);
  free(command->environment.items);
}

void free_plan(struct plan *plan) {
  for (size_t i = 0; i < plan->step_count; i++) {
    free(plan->steps[i].options.items);
    free(plan->steps[i].tree.options.items);
    free(plan->steps[i].tree.lower.items);
  }
  free(plan->steps);
  free(plan->joins);
  free(plan->rlimits);
  free(plan->groups);
  free(plan->cgroups.items);
  free(plan->root.lower.items);
  free(plan->root.options.items);
  free(plan->arguments.items);
  free(plan->environment.items);
  free(plan->oom_files.items);
  free(plan->settings.affinity);
  free_command(&plan->clean_up);
  free_command(&plan->timer.command);
  for (size_t i = 0; i < plan->hook_count; i++) free_command(&plan->hooks[i].command);
  free(plan->hooks);
  free(plan);
}
