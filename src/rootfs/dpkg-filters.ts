// Which files of packages are left out where documentation is not wanted: the patterns that dpkg gets as --path-exclude,
// and the same rule for what kauri unpacks itself.

/** dpkg's options for installing without documentation; licences stay, as they must. */
export const documentationFilters: readonly string[] = [
  '--path-exclude=/usr/share/doc/*',
  '--path-include=/usr/share/doc/*/copyright',
  '--path-exclude=/usr/share/man/*',
  '--path-exclude=/usr/share/info/*',
  '--path-exclude=/usr/share/groff/*',
  '--path-exclude=/usr/share/lintian/*',
  '--path-exclude=/usr/share/linda/*',
]

const excluded = /^\/usr\/share\/(?:doc|man|info|groff|lintian|linda)\//
const included = /^\/usr\/share\/doc\/.*\/copyright$/
/** Directories and links that an included file may lie below are kept. */
const mayHoldIncluded = /^\/usr\/share\/doc(?:\/|$)/

/** True for a path, from `/` on, that dpkg would leave out with these filters. */
export function isDocumentation(path: string, type: string): boolean {
  if (!excluded.test(path) || included.test(path)) return false
  return !((type === 'directory' || type === 'symlink') && mayHoldIncluded.test(path))
}
