// Feeds the plan parser with changed plans: FILE ROUNDS SEED. Built with the sanitizers, which end it at the first access
// out of bounds, leak or undefined step. A plan that parses is walked whole, so that each of its pointers is followed.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"

static uint64_t state;

/** xorshift64*: the same changes for the same seed on every machine. */
static uint32_t next_random(void) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (uint32_t)((state * 0x2545f4914f6cdd1dULL) >> 32);
}

static size_t total;

static void touch(const char *text) { total += text == NULL ? 0 : strlen(text); }

static void touch_list(const struct text_list *list) {
  for (size_t i = 0; i < list->count; i++) touch(list->items[i]);
  if (list->count > 0 && list->items[list->count] != NULL) abort();
}

static void touch_bytes(const struct bytes *bytes) {
  for (uint32_t i = 0; i < bytes->length; i++) total += ((const uint8_t *)bytes->data)[i];
}

static void touch_root(const struct plan_root *root) {
  touch(root->directory);
  touch(root->upper);
  touch(root->work);
  touch_list(&root->lower);
  touch_list(&root->options);
}

static void touch_command(const struct plan_command *command) {
  touch_list(&command->arguments);
  touch_list(&command->environment);
}

static void walk_life(const struct plan *plan) {
  for (size_t i = 0; i < plan->hook_count; i++) {
    touch(plan->hooks[i].path);
    touch_command(&plan->hooks[i].command);
  }
  touch(plan->gate_directory);
  touch(plan->monitor.directory);
  touch(plan->log.file);
  touch(plan->console_socket);
  touch(plan->uid_map);
  touch(plan->gid_map);
  touch(plan->time_offsets);
  touch_command(&plan->clean_up);
  touch_command(&plan->timer.command);
  touch_list(&plan->oom_files);
  if (plan->inherited_count > PLAN_MAX_DESCRIPTORS) abort();
  if (plan->monitor.lock_count > PLAN_MAX_DESCRIPTORS) abort();
}

static void walk(const struct plan *plan) {
  walk_life(plan);
  for (size_t i = 0; i < plan->step_count; i++) {
    touch(plan->steps[i].target);
    touch(plan->steps[i].source);
    touch_list(&plan->steps[i].options);
    touch_root(&plan->steps[i].tree);
    touch_bytes(&plan->steps[i].content);
  }
  for (size_t i = 0; i < plan->join_count; i++) touch(plan->joins[i].path);
  for (size_t i = 0; i < plan->rlimit_count; i++) total += plan->rlimits[i].soft;
  for (size_t i = 0; i < plan->group_count; i++) total += plan->groups[i];
  touch(plan->hostname);
  touch(plan->directory);
  touch(plan->device_cgroup);
  touch(plan->cgroup_directory);
  touch_root(&plan->root);
  touch_list(&plan->cgroups);
  touch_list(&plan->arguments);
  touch_list(&plan->environment);
  touch_bytes(&plan->seccomp);
  touch_bytes(&plan->device_program);
  touch_bytes(&plan->netlink_outside);
  touch_bytes(&plan->netlink_inside);
}

/** A few bytes, words or lengths changed; the header is right most of the time, or nothing behind it would be read. */
static size_t change(char *data, size_t length) {
  if (next_random() % 8 == 0) length = next_random() % (length + 1);
  for (uint32_t changes = next_random() % 8; changes > 0 && length > 4; changes--) {
    size_t at = next_random() % (length - 3);
    uint32_t word = next_random();
    switch (next_random() % 4) {
      case 0:
        data[at] = (char)word;
        break;
      case 1:
        data[at] ^= (char)(1 << word % 8);
        break;
      case 2:
        word %= 64;
        memcpy(data + at, &word, sizeof word);
        break;
      default:
        word = 0xffffffff - word % 16;
        memcpy(data + at, &word, sizeof word);
    }
  }
  uint32_t whole = (uint32_t)length;
  if (length >= PLAN_HEADER_BYTES && next_random() % 16 != 0) memcpy(data + 4, &whole, sizeof whole);
  return length;
}

int main(int count, char *arguments[]) {
  static char original[PLAN_MAX_BYTES];
  FILE *file = count == 4 ? fopen(arguments[1], "rb") : NULL;
  if (file == NULL) return 2;
  size_t length = fread(original, 1, sizeof original, file);
  fclose(file);
  long rounds = atol(arguments[2]), accepted = 0;
  state = strtoull(arguments[3], NULL, 10) | 1;
  for (long round = 0; round < rounds; round++) {
    // An allocation of its own, so that a read behind the end is seen.
    char *data = malloc(length + 1);
    memcpy(data, original, length);
    size_t changed = round == 0 ? length : change(data, length);
    char *exact = malloc(changed + (changed == 0));
    memcpy(exact, data, changed);
    free(data);
    const char *problem = NULL;
    struct plan *plan = parse_plan(exact, changed, &problem);
    if (plan != NULL) {
      accepted++;
      walk(plan);
      free_plan(plan);
    } else if (problem == NULL) {
      abort();
    }
    free(exact);
  }
  printf("%ld of %ld accepted, %zu\n", accepted, rounds, total);
  return accepted > 0 ? 0 : 1;
}
