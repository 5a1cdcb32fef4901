// What `apt-get update` prints about repositories that failed, as data. Pure.

/** What apt said about one suite of a repository. */
export interface UpdateFinding {
  readonly uri: string
  readonly suite: string
  readonly reason: string
}

/** Reads the lines about what failed; the first thing said about a suite is the cause, the rest follows from it. */
export function parseUpdateFindings(stdout: string, stderr: string): UpdateFinding[] {
  const findings = [
    ...fetchFindings(stdout.split('\n')),
    ...stderr.split('\n').flatMap(line => [...expiryFinding(line), ...releaseFinding(line)]),
  ]
  const seen = new Set<string>()
  return findings.filter(({ uri, suite }) => {
    const key = `${uri.replace(/\/+$/, '')} ${suite}`
    return !seen.has(key) && seen.add(key)
  })
}

/**
 * `Err:3 URI bookworm/main amd64 Packages` with the reason in the line below. apt tries one form of a file after the
 * other under the same number; only what it ended with counts.
 */
function fetchFindings(lines: readonly string[]): UpdateFinding[] {
  const failed = new Map<string, UpdateFinding>()
  for (const [index, line] of lines.entries()) {
    const [, result, number = '', uri = '', word = ''] =
      /^(Err|Get|Hit):(\d+) (\S+) (\S+) /.exec(line) ?? []
    if (result === undefined) continue
    failed.delete(number)
    if (result !== 'Err') continue
    // What is fetched of a suite is named SUITE/COMPONENT; a flat suite ends with the slash.
    const slash = word.indexOf('/')
    const suite = slash < 0 || word.endsWith('/') ? word : word.slice(0, slash)
    failed.set(number, { uri, suite, reason: lines[index + 1]?.trim() ?? '' })
  }
  return [...failed.values()]
}

function expiryFinding(line: string): UpdateFinding[] {
  const match = /^E: Release file for (\S+?)\/dists\/(\S+?)\/(?:In)?Release (is .*)$/.exec(line)
  if (match === null) return []
  const [, uri = '', suite = '', reason = ''] = match
  return [{ uri, suite, reason: `its release file ${reason}` }]
}

/** `E: The repository 'URI SUITE Release' is not signed.` and its kin; of the warnings only the one about components. */
function releaseFinding(line: string): UpdateFinding[] {
  const match = /^([EW]): .*?'(\S+) (\S+) (?:In)?Release'(.*)$/.exec(line)
  if (match === null) return []
  const [, severity, uri = '', suite = '', rest = ''] = match
  const component = /doesn't have the component '(\S+)'/.exec(rest)?.[1]
  if (component !== undefined)
    return [{ uri, suite, reason: `component ${component} is not there` }]
  if (severity === 'W') return []
  if (rest.includes('does not have a Release file'))
    return [{ uri, suite, reason: 'no Release file' }]
  return [{ uri, suite, reason: rest.trim().replace(/^is /, 'it is ') }]
}
