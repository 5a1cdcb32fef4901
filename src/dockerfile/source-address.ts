// Which sources of ADD, and which build contexts, are addresses: git repositories in all forms that BuildKit takes
// (docs/reference.md "Adding files from a Git repository"), and http(s) files. Everything else is a path.

import { definedMembers } from '../oci/json-shape.ts'
import { parseGoBoolean, quoteGo } from './go-values.ts'
import { refused } from './instruction-flags.ts'

/** A git repository with what the fragment or the query of its address chooses. */
export interface GitAddress {
  readonly kind: 'git'
  /** What git itself is asked for: the address without fragment and query. */
  readonly repository: string
  /** Branch, tag, commit or full reference name. */
  readonly revision?: string
  /** A directory inside the repository, without slashes around it. */
  readonly directory?: string
  /** A commit's hash or the beginning of one. */
  readonly checksum?: string
  readonly keepGitDirectory?: boolean
  readonly submodules?: boolean
  readonly fetchesCommit?: boolean
  readonly times?: 'checkout' | 'commit'
}

export interface HttpAddress {
  readonly kind: 'http'
  readonly url: string
}

const urlForm = /^([a-zA-Z0-9]+):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s
const scpForm = /^([\w-]+@[a-zA-Z0-9.-]+:)(.*?)(?:\?(.*?))?(?:#(.*))?$/
const gitSchemes = new Set(['http', 'https', 'ssh', 'git'])

/** An address that ADD fetches; undefined for paths. @throws DESCRIPTION_INVALID for a git address with a wrong query */
export function findSourceAddress(text: string): GitAddress | HttpAddress | undefined {
  const git = findGitAddress(text)
  if (git !== undefined) return git
  return /^https?:\/\//.test(text) ? { kind: 'http', url: text } : undefined
}

/**
 * A git address: `https://…/x.git`, `ssh://`, `git://`, `user@host:path`. Undefined for everything else, http(s)
 * addresses whose path does not end in `.git` included.
 * @throws DESCRIPTION_INVALID for a wrong query
 */
function findGitAddress(text: string): GitAddress | undefined {
  const parts = splitUrl(text) ?? splitScp(text)
  if (parts === undefined) return undefined
  const { repository, query, fragment } = parts
  const [revision = '', ...rest] = decodeFragment(fragment).split(':')
  const start = { revision, directory: cleanDirectory(rest.join(':')) }
  return { kind: 'git', repository, ...readQuery(new URLSearchParams(query), start) }
}

/** `github.com/owner/name`, which only a build context may use: as a source it looks like a path. */
export function findContextAddress(text: string): GitAddress | HttpAddress | undefined {
  if (!text.startsWith('github.com/')) return findSourceAddress(text)
  const address = findGitAddress(`git://${text}`)
  if (address === undefined) return undefined
  return { ...address, repository: address.repository.replace(/^git:/, 'https:') }
}

interface AddressParts {
  readonly repository: string
  readonly query: string
  readonly fragment: string
}

function splitUrl(text: string): AddressParts | undefined {
  const [whole, scheme = '', host = '', path = '', query = '', fragment = ''] =
    urlForm.exec(text) ?? []
  const protocol = scheme.toLowerCase()
  if (whole === undefined || !gitSchemes.has(protocol)) return undefined
  if (protocol.startsWith('http') && !path.endsWith('.git')) return undefined
  return { repository: `${protocol}://${host}${path}`, query, fragment }
}

function splitScp(text: string): AddressParts | undefined {
  const [whole, host = '', path = '', query = '', fragment = ''] = scpForm.exec(text) ?? []
  return whole === undefined ? undefined : { repository: host + path, query, fragment }
}

function decodeFragment(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** As from inside the repository: it cannot be left. */
function cleanDirectory(text: string): string {
  const parts: string[] = []
  for (const part of text.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return parts.join('/')
}

type Chosen = Omit<GitAddress, 'kind' | 'repository'>

const flagNames = new Set(['submodules', 'keep-git-dir', 'fetch-by-commit'])
const valueNames = new Set([
  'ref',
  'tag',
  'branch',
  'subdir',
  'checksum',
  'commit',
  'mtime',
  ...flagNames,
])

function readQuery(
  query: URLSearchParams,
  start: { readonly revision: string; readonly directory: string },
): Chosen {
  checkNames(query)
  const text = (name: string): string | undefined => query.get(name) ?? undefined
  const tag = prefixed(text('tag'), 'refs/tags/')
  const branch = prefixed(text('branch'), 'refs/heads/')
  if (tag !== undefined && branch !== undefined) throw refused('branch conflicts with tag')
  const revision = [text('ref'), tag, branch].reduce<string | undefined>(
    (one, other) => agreed('ref', one, other),
    start.revision || undefined,
  )
  const directory = agreed('subdir', start.directory || undefined, text('subdir'))
  return definedMembers({
    revision: revision || undefined,
    directory: cleanDirectory(directory ?? '') || undefined,
    checksum: text('commit') ?? text('checksum'),
    keepGitDirectory: flagOf(query, 'keep-git-dir'),
    submodules: flagOf(query, 'submodules'),
    fetchesCommit: flagOf(query, 'fetch-by-commit'),
    times: timesOf(text('mtime')),
  })
}

function checkNames(query: URLSearchParams): void {
  for (const name of new Set(query.keys())) {
    const values = query.getAll(name)
    if (values.length > 1) throw refused(`query ${quoteGo(name)} has multiple values`)
    if (values[0] === '' && !flagNames.has(name))
      throw refused(`query ${quoteGo(name)} has no value`)
    if (!valueNames.has(name)) throw refused(`unexpected query ${quoteGo(name)}`)
  }
}

function prefixed(text: string | undefined, prefix: string): string | undefined {
  return text === undefined || text.startsWith(prefix) ? text : prefix + text
}

function agreed(
  name: string,
  one: string | undefined,
  other: string | undefined,
): string | undefined {
  if (one !== undefined && other !== undefined && one !== other)
    throw refused(`${name} conflicts: ${quoteGo(one)} vs ${quoteGo(other)}`)
  return other ?? one
}

function flagOf(query: URLSearchParams, name: string): boolean | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  const flag = text === '' || parseGoBoolean(text)
  if (flag !== undefined) return flag
  throw refused(`invalid ${name} value: ${quoteGo(text)}`)
}

function timesOf(text: string | undefined): GitAddress['times'] {
  if (text === undefined || text === 'checkout' || text === 'commit') return text
  throw refused(`invalid mtime value: ${quoteGo(text)} (must be "checkout" or "commit")`)
}
