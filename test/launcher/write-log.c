// Feeds the log writer from standard input, in pieces of changing lengths, to both streams: DRIVER FILE MAX-BYTES SEED.
// Built with the sanitizers.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream-log.h"

int main(int count, char *arguments[]) {
  if (count != 5) return 2;
  const struct plan_log log = {
      .driver = (uint32_t)atoi(arguments[1]),
      .file = arguments[2],
      .max_bytes = strtoull(arguments[3], NULL, 10),
      .max_files = 2,
  };
  srand((unsigned)atoi(arguments[4]));
  open_log(&log);
  static char input[1 << 20];
  size_t length = fread(input, 1, sizeof input, stdin);
  for (size_t at = 0; at < length;) {
    size_t piece = (size_t)rand() % (rand() % 4 == 0 ? 70000 : 300) + 1;
    if (piece > length - at) piece = length - at;
    // A copy of its own, so that a read behind its end is seen.
    char *exact = malloc(piece);
    memcpy(exact, input + at, piece);
    log_bytes(1 + rand() % 2, exact, piece);
    free(exact);
    at += piece;
  }
  close_log();
  return 0;
}
