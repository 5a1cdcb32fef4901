// A container's output in files: docker's json-file form, or records that are shorter. What cannot be written is lost,
// for a full disk must not stop a container.

#ifndef KAURI_STREAM_LOG_H
#define KAURI_STREAM_LOG_H

#include <stddef.h>

#include "plan.h"

/** Opens the plan's log, behind what is in it already. */
void open_log(const struct plan_log *log);

/** Writes bytes of the stream (1 or 2) with the time of now; an unfinished line waits for its rest. */
void log_bytes(int stream, const char *bytes, size_t length);

/** Writes the lines that no line break ended. */
void close_log(void);

#endif
