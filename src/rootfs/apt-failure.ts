// Why apt could not resolve a request, in the words of the description: which package, where it was asked for, and what
// may have been meant.

import { closestWord } from '../core/closest-word.ts'
import { type Diagnostic, KauriError, type SourcePosition } from '../core/errors.ts'
import { lastLines } from '../core/process.ts'
import type { PackageRequest } from '../plan/plan.ts'

export interface FailedResolution {
  readonly stdout: string
  readonly stderr: string
  readonly requests: readonly PackageRequest[]
}

/** Questions to the package lists, asked only when something is wrong. */
export interface ListLookup {
  names(): Promise<readonly string[]>
  versions(name: string): Promise<readonly string[]>
}

interface Missing {
  readonly message: string
  readonly hint: string | undefined
  readonly where: SourcePosition | undefined
}

/** The error for a resolution that apt refused: PACKAGE_NOT_FOUND with all missing ones, or PACKAGE_CONFLICT. */
export async function explainFailure(
  failed: FailedResolution,
  lookup: ListLookup,
): Promise<KauriError> {
  const missing: Missing[] = []
  for (const line of failed.stderr.split('\n')) {
    const found = await explainLine(line, failed, lookup)
    if (found !== undefined) missing.push(found)
  }
  if (missing[0] !== undefined) return notFound(missing[0], missing)
  return conflict(failed)
}

async function explainLine(
  line: string,
  failed: FailedResolution,
  lookup: ListLookup,
): Promise<Missing | undefined> {
  const [, unknown] = /^E: Unable to locate package (\S+)/.exec(line) ?? []
  if (unknown !== undefined) return missingPackage(unknown, failed.requests, await lookup.names())
  const [, kind, value, name] =
    /^E: (Version|Release) '(.+)' for '(.+)' was not found/.exec(line) ?? []
  if (name !== undefined) {
    const versions = await lookup.versions(name)
    return {
      message: `package ${name} has no ${kind === 'Version' ? 'version' : 'suite'} ${value}`,
      hint: versions.length === 0 ? undefined : `there is ${versions.join(', ')}`,
      where: positionOf(name, failed.requests),
    }
  }
  const [, virtual] = /^E: Package '(.+)' has no installation candidate/.exec(line) ?? []
  if (virtual === undefined) return undefined
  const providers = providersOf(virtual, failed.stdout)
  return {
    message:
      providers.length === 0
        ? `package ${virtual} is mentioned in the repositories, but not there`
        : `${virtual} is not a package itself; it is provided by ${providers.join(', ')}`,
    hint: providers.length === 0 ? 'add the repository that has it' : 'name one of them',
    where: positionOf(virtual, failed.requests),
  }
}

function missingPackage(
  name: string,
  requests: readonly PackageRequest[],
  known: readonly string[],
): Missing {
  const near = closestWord(name, known)
  return {
    message: `there is no package ${name} in the repositories`,
    hint:
      near === undefined
        ? 'check the name, and that its repository is listed'
        : `did you mean ${near}?`,
    where: positionOf(name, requests),
  }
}

/** The error for names that the lists do not have; undefined where they have all. */
export function explainUnknown(
  requests: readonly PackageRequest[],
  known: readonly string[],
): KauriError | undefined {
  const names = new Set(known)
  const unknown = requests.filter(({ name }) => !names.has(plainName(name)))
  const missing = unknown.map(({ name }) => missingPackage(plainName(name), requests, known))
  return missing[0] === undefined ? undefined : notFound(missing[0], missing)
}

function notFound(first: Missing, all: readonly Missing[]): KauriError {
  const diagnostics = all.flatMap(({ message, hint, where }): Diagnostic[] =>
    where === undefined
      ? []
      : [
          {
            severity: 'error',
            rule: 'package-not-found',
            message,
            where,
            ...(hint === undefined ? {} : { hint }),
          },
        ],
  )
  const others = all.slice(1).map(({ message }) => `; ${message}`)
  return new KauriError('PACKAGE_NOT_FOUND', first.message + others.join(''), {
    hint: first.hint,
    where: first.where,
    diagnostics: all.length > 1 ? diagnostics : [],
  })
}

function conflict({ stdout, stderr, requests }: FailedResolution): KauriError {
  const unmet = /^The following packages have unmet dependencies:\n((?: .*\n)+)/m.exec(stdout)?.[1]
  const said = unmet?.trimEnd() ?? lastLines(stderr.replace(/^[EW]: /gm, ''), 10)
  const named = requests.find(({ name }) =>
    new RegExp(`^ ${RegExp.escape(plainName(name))}(?::\\S+)? :`, 'm').test(unmet ?? ''),
  )
  return new KauriError('PACKAGE_CONFLICT', `the packages do not fit together:\n${said}`, {
    hint: 'leave one of them out, or add the repository that has the missing versions',
    where: named?.where,
  })
}

function providersOf(virtual: string, stdout: string): string[] {
  const block = stdout.split(`Package ${virtual} is a virtual package provided by:\n`)[1]
  if (block === undefined) return []
  const [lines = ''] = block.split('\n\n')
  return lines.split('\n').flatMap(line => /^ {2}(\S+) /.exec(line)?.[1] ?? [])
}

function positionOf(name: string, requests: readonly PackageRequest[]): SourcePosition | undefined {
  const exact = requests.find(request => plainName(request.name) === name.replace(/:.*/, ''))
  return exact?.where
}

/** A request's package name without version, suite and architecture. */
export function plainName(request: string): string {
  return request.replace(/[:=/].*$/, '')
}
