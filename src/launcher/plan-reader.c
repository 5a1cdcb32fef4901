// Takes fields from the bytes of a plan. It trusts nothing, though kauri wrote it.

#include "plan-reader.h"

#include <stdlib.h>
#include <string.h>

const char *take(struct reader *reader, size_t length) {
  if (reader->failed || (size_t)(reader->end - reader->at) < length) {
    reader->failed = true;
    return NULL;
  }
  const char *taken = reader->at;
  reader->at += length;
  return taken;
}

uint32_t take_u32(struct reader *reader) {
  uint32_t value = 0;
  const char *from = take(reader, sizeof value);
  if (from != NULL) memcpy(&value, from, sizeof value);
  return value;
}

uint64_t take_u64(struct reader *reader) {
  uint64_t value = 0;
  const char *from = take(reader, sizeof value);
  if (from != NULL) memcpy(&value, from, sizeof value);
  return value;
}

const char *take_text(struct reader *reader) {
  uint32_t length = take_u32(reader);
  const char *text = take(reader, length);
  if (text == NULL) return "";
  if (length == 0 || memchr(text, '\0', length) != text + length - 1) {
    reader->failed = true;
    return "";
  }
  return text;
}

struct bytes take_bytes(struct reader *reader) {
  struct bytes bytes = {.length = take_u32(reader)};
  bytes.data = take(reader, bytes.length);
  return bytes;
}

void *grow(struct reader *reader, void *items, size_t count, size_t *capacity,
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

void append_text(struct reader *reader, struct text_list *list, const char *text) {
  // One place is kept free for the NULL that ends argument lists.
  void *items = grow(reader, list->items, list->count + 1, &list->capacity, sizeof *list->items);
  if (items == NULL) return;
  list->items = items;
  list->items[list->count++] = text;
  list->items[list->count] = NULL;
}

void take_texts(struct reader *reader, struct text_list *list) {
  uint32_t count = take_u32(reader);
  for (uint32_t i = 0; i < count && !reader->failed; i++)
    append_text(reader, list, take_text(reader));
}
