// Brings a set of package lists up to date, and says in the reader's words what went wrong with which repository.

import { type ErrorCode, KauriError } from '../core/errors.ts'
import { lastLines } from '../core/process.ts'
import { lockFile } from '../native/file-lock.ts'
import {
  type AptListSet,
  type KeyedSource,
  type ListsUpdate,
  lastListsUpdate,
  rememberListsUpdate,
  sourceName,
} from './apt-list-set.ts'
import { isHostLocation } from './apt-repositories.ts'
import { parseUpdateFindings, type UpdateFinding } from './apt-update-findings.ts'
import type { AptWorkspace } from './apt-workspace.ts'
import type { PackageWork } from './package-manager.ts'

/**
 * Asks the repositories for newer lists, conditionally. Somebody else's update that ends while this one waits for the
 * lock counts. Suites that may be missing, and are, are told as warnings.
 * @throws OFFLINE where there are no lists and none may be fetched; REPOSITORY_UNREACHABLE, REPOSITORY_INVALID,
 *   SIGNATURE_INVALID, CHECKSUM_MISMATCH with the repository's position
 */
export async function updateLists(
  set: AptListSet,
  workspace: AptWorkspace,
  work: PackageWork,
): Promise<ListsUpdate> {
  const startedMs = Date.now()
  using _ = await lockFile(set.lockFile, 'exclusive', work.signal)
  const last = await lastListsUpdate(set)
  if (work.offline) {
    if (last !== undefined) return last
    throw new KauriError('OFFLINE', 'the package lists of these repositories were never fetched', {
      hint: 'build once without --offline',
      where: set.sources[0]?.repository.where,
    })
  }
  if (last !== undefined && last.updatedMs >= startedMs) return last
  const { stdout, stderr, exitCode } = await workspace.run('apt-get', ['update'], {
    settings: [
      ...set.settings,
      { name: 'APT::Update::Error-Mode', value: 'any' },
      // The cache is built when a build has to resolve; often it has not.
      { name: 'pkgCacheFile::Generate', value: 'false' },
    ],
    signal: work.signal,
  })
  const findings = parseUpdateFindings(stdout, stderr)
  const missing = missingSources(set, { findings, stderr, exitCode })
  for (const { repository, source } of missing)
    work.emit({
      kind: 'warning',
      message: `${source.uris.join(' ')} has no ${source.suites.join(' ')} with ${source.components.join(' ')}; building without it`,
      where: repository.where,
    })
  const update = { updatedMs: Date.now(), missing: missing.map(sourceName) }
  await rememberListsUpdate(set, update)
  return update
}

interface UpdateResult {
  readonly findings: readonly UpdateFinding[]
  readonly stderr: string
  readonly exitCode: number
}

/** Optional sources that are not there. @throws for whatever else failed */
function missingSources(
  set: AptListSet,
  { findings, stderr, exitCode }: UpdateResult,
): KeyedSource[] {
  const missing = new Set<KeyedSource>()
  for (const finding of findings) {
    const entry = sourceOf(set, finding)
    const isMissing = saysMissing.test(finding.reason)
    if (entry === undefined || !isMissing || !entry.isOptional) throw updateError(finding, entry)
    missing.add(entry)
  }
  if (exitCode !== 0 && findings.length === 0)
    throw new KauriError(
      'REPOSITORY_UNREACHABLE',
      `fetching the package lists failed with exit code ${exitCode}:\n${lastLines(stderr, 10)}`,
    )
  for (const entry of missing) {
    const siblings = set.sources.filter(({ repository }) => repository === entry.repository)
    if (siblings.every(sibling => missing.has(sibling)))
      throw missingSuite(entry, entry.source.uris[0] ?? '')
  }
  return [...missing]
}

const saysMissing = /^(?:404\b|410\b|File not found|no Release file|component )/
const saysUnsigned =
  /NO_PUBKEY|BADSIG|EXPKEYSIG|REVKEYSIG|EXPSIG|not signed|signatures? (?:couldn't|could not|were invalid|is invalid)|Clearsigned|Sub-process \S*gpgv|Sub-process \S*sqv|signature/i

function sourceOf(set: AptListSet, { uri, suite }: UpdateFinding): KeyedSource | undefined {
  const plain = uri.replace(/\/+$/, '')
  const ofMirror = set.sources.filter(({ source }) =>
    source.uris.some(known => known.replace(/\/+$/, '') === plain),
  )
  return ofMirror.find(({ source }) => source.suites[0] === suite) ?? ofMirror[0]
}

function updateError(
  { uri, suite, reason }: UpdateFinding,
  entry: KeyedSource | undefined,
): KauriError {
  const where = entry?.repository.where
  if (saysMissing.test(reason) && entry !== undefined && !reason.startsWith('component'))
    return missingSuite(entry, uri)
  const { code, hint } = explain(reason)
  return new KauriError(code, `repository ${uri} ${suite}: ${reason}`, { hint, where })
}

function missingSuite({ repository, source }: KeyedSource, uri: string): KauriError {
  const suite = source.suites[0] ?? ''
  const isFlat = suite.endsWith('/')
  const what = isFlat ? `${uri} is not a repository` : `${uri} has no distribution ${suite}`
  const hint = isHostLocation(repository.location)
    ? "name a distribution that the host's mirrors carry, or give the repository's own address"
    : isFlat
      ? 'a flat repository has Packages and Release files; others need distribution="NAME"'
      : 'check the address and the distribution'
  return new KauriError('REPOSITORY_UNREACHABLE', what, { hint, where: repository.where })
}

function explain(reason: string): { code: ErrorCode; hint: string } {
  if (saysUnsigned.test(reason))
    return {
      code: 'SIGNATURE_INVALID',
      hint: 'add <signing key="…"/> with the key that signs this repository to its <source>',
    }
  if (/Hash Sum mismatch|unexpected size|Mirror sync in progress/i.test(reason))
    return { code: 'CHECKSUM_MISMATCH', hint: 'the mirror may be changing right now: try again' }
  if (/\b(?:401|403)\b/.test(reason))
    return {
      code: 'REPOSITORY_UNREACHABLE',
      hint: 'give username and password with the repository, or put them into /etc/apt/auth.conf.d',
    }
  if (/expired|not valid yet|component/.test(reason))
    return { code: 'REPOSITORY_INVALID', hint: 'check the address, the components and the clock' }
  return {
    code: 'REPOSITORY_UNREACHABLE',
    hint: 'check the address, the network and the proxy settings of apt on this machine',
  }
}
