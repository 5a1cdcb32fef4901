// How the fields of a plan's records are taken from its bytes: nothing behind the end, every text with its only NUL. A
// reader that failed gives zeros and empty texts from then on.

#ifndef KAURI_PLAN_READER_H
#define KAURI_PLAN_READER_H

#include "plan.h"

struct reader {
  const char *at, *end;
  bool failed;
};

/** The next `length` bytes; NULL where there are fewer. */
const char *take(struct reader *reader, size_t length);

uint32_t take_u32(struct reader *reader);
uint64_t take_u64(struct reader *reader);
const char *take_text(struct reader *reader);
struct bytes take_bytes(struct reader *reader);

/** Room for one more item; NULL (and a failed reader) without memory. */
void *grow(struct reader *reader, void *items, size_t count, size_t *capacity, size_t item_size);

void append_text(struct reader *reader, struct text_list *list, const char *text);

/** A count, and as many texts. */
void take_texts(struct reader *reader, struct text_list *list);

/** Records about the process; false where the tag is none of them. */
bool parse_process_record(struct reader *reader, struct plan *plan, uint32_t tag);

/** Records about who watches the container, and when it starts; false where the tag is none of them. */
bool parse_supervision_record(struct reader *reader, struct plan *plan, uint32_t tag);

#endif
