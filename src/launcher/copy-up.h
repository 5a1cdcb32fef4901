#ifndef KAURI_COPY_UP_H
#define KAURI_COPY_UP_H

/** Copies what is in the directory `from_fd` into the directory `to_fd`: files, directories and links, with owners, modes and times. */
void copy_up(int from_fd, int to_fd);

#endif
