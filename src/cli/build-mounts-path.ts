// Where the host says what every build container gets; the variable is for tests and for hosts that keep it elsewhere.

import process from 'node:process'

/** Path of build-mounts.conf, whether it is there or not. */
export function buildMountsPath(): string {
  return process.env['KAURI_BUILD_MOUNTS_CONF'] ?? '/etc/kauri/build-mounts.conf'
}
