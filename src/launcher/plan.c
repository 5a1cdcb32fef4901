// Parses plans. It trusts nothing, though kauri wrote it: every length is checked against what is left, every text ends
// with its only NUL.

#include "plan.h"

#include <stdlib.h>
#include <string.h>

struct reader {
  const char *at, *end;
  bool failed;
};

static const char *take(struct reader *reader, size_t length) {
  if (reader->failed || (size_t)(reader->end - reader->at) < length) {
    reader->failed = true;
    return NULL;
  }
  const char *taken = reader->at;
  reader->at += length;
  return taken;
}

static uint32_t take_u32(struct reader *reader) {
  uint32_t value = 0;
  const char *from = take(reader, sizeof value);
  if (from != NULL) memcpy(&value, from, sizeof value);
  return value;
}

static uint64_t take_u64(struct reader *reader) {
  uint64_t value = 0;
  const char *from = take(reader, sizeof value);
  if (from != NULL) memcpy(&value, from, sizeof value);
  return value;
}

static const char *take_text(struct reader *reader) {
  uint32_t length = take_u32(reader);
  const char *text = take(reader, length);
  if (text == NULL) return "";
  if (length == 0 || memchr(text, '\0', length) != text + length - 1) {
    reader->failed = true;
    return "";
  }
  return text;
}

static struct bytes take_bytes(struct reader *reader) {
  struct bytes bytes = {.length = take_u32(reader)};
  bytes.data = take(reader, bytes.length);
  return bytes;
}

/** Room for one more item; NULL (and a failed reader) without memory. */
static void *grow(struct reader *reader, void *items, size_t count, size_t *capacity,
                  size_t item_size) {
  if (count < *capacity) return items;
  size_t wanted = *capacity == 0 ? 16 : *capacity * 2;
  void *grown = reallocarray(items, wanted, item_size);
  if (grown == NULL) {
    reader->failed = true;
    return NULL;
  }
  *capacity = wanted;
  return grown;
}

static void append_text(struct reader *reader, struct text_list *list, const char *text) {
  // One place is kept free for the NULL that ends argument lists.
  void *items = grow(reader, list->items, list->count + 1, &list->capacity, sizeof *list->items);
  if (items == NULL) return;
  list->items = items;
  list->items[list->count++] = text;
  list->items[list->count] = NULL;
}

static void take_texts(struct reader *reader, struct text_list *list) {
  uint32_t count = take_u32(reader);
  for (uint32_t i = 0; i < count && !reader->failed; i++)
    append_text(reader, list, take_text(reader));
}

static struct plan_step *append_step(struct reader *reader, struct plan *plan, enum plan_tag tag) {
  void *steps =
      grow(reader, plan->steps, plan->step_count, &plan->step_capacity, sizeof *plan->steps);
  if (steps == NULL) return NULL;
  plan->steps = steps;
  struct plan_step *step = &plan->steps[plan->step_count++];
  *step = (struct plan_step){.tag = tag, .target = take_text(reader), .source = ""};
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

static void parse_join(struct reader *reader, struct plan *plan) {
  void *joins =
      grow(reader, plan->joins, plan->join_count, &plan->join_capacity, sizeof *plan->joins);
  if (joins == NULL) return;
  plan->joins = joins;
  struct plan_join *join = &plan->joins[plan->join_count++];
  join->kind = take_u32(reader);
  join->path = take_text(reader);
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

static void parse_process_record(struct reader *reader, struct plan *plan, uint32_t tag) {
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
    default:
      reader->failed = true;
  }
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
      parse_process_record(reader, plan, tag);
  }
}

static bool is_complete(const struct plan *plan) {
  return plan->arguments.count > 0 && plan->directory != NULL && plan->groups != NULL &&
         (plan->root.directory != NULL || plan->root.lower.count > 0);
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
  free(plan);
}
