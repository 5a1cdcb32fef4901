// Random names without node:crypto, which costs every start that loads it 4 ms.

import { closeSync, openSync, readSync } from 'node:fs'

/** So many random bytes as hexadecimal digits, from the kernel's generator. */
export function randomHex(bytes: number): string {
  const buffer = Buffer.alloc(bytes)
  const fd = openSync('/dev/urandom', 'r')
  try {
    // the device never gives less for so few
    readSync(fd, buffer)
  } finally {
    closeSync(fd)
  }
  return buffer.toString('hex')
}
