// What no layer of an image holds: what belongs to a running system, as KIWI and docker leave it out. The directories
// themselves stay, as mount points.

const emptiedDirectories = ['dev/', 'proc/', 'run/', 'sys/', 'tmp/'] as const

/** True for paths, relative to the root, that stay behind when a root becomes layers or an archive. */
export function isLeftOut(path: string): boolean {
  return path === '.dockerenv' || emptiedDirectories.some(directory => path.startsWith(directory))
}
