// What of the build checks is reported: the text of `# check=…`, of BUILDKIT_DOCKERFILE_CHECK, and of comments above an
// instruction: `skip=A,B;error=true;experimental=all`.

import { parseGoBoolean, quoteGo } from './go-values.ts'
import { refused } from './instruction-flags.ts'
import { trimSpace } from './white-space.ts'

export interface LintOptions {
  readonly skip: 'all' | readonly string[]
  readonly experimental: 'all' | readonly string[]
  /** Findings make the build fail. */
  readonly isError: boolean
}

export const noLintOptions: LintOptions = { skip: [], experimental: [], isError: false }

/** @throws DESCRIPTION_INVALID with BuildKit's words */
export function parseLintOptions(text: string): LintOptions {
  let options = noLintOptions
  if (text.trim() === '') return options
  for (const part of splitParts(text.trim())) {
    const equals = part.indexOf('=')
    if (equals < 0) throw refused(`invalid check option ${quoteGo(part)}`)
    const key = part.slice(0, equals).trim()
    const value = part.slice(equals + 1).trim()
    if (key === 'skip') options = { ...options, skip: rulesOf(value) }
    else if (key === 'experimental') options = { ...options, experimental: rulesOf(value) }
    else if (key === 'error') options = { ...options, isError: flagOf(value, part) }
    else throw refused(`invalid check option ${quoteGo(key)}`)
  }
  return options
}

/** At most three; what follows belongs to the third. */
function splitParts(text: string): string[] {
  const parts = text.split(';')
  return parts.length <= 3 ? parts : [...parts.slice(0, 2), parts.slice(2).join(';')]
}

function rulesOf(value: string): 'all' | string[] {
  return value === 'all' ? 'all' : value.split(',').map(name => name.trim())
}

function flagOf(value: string, part: string): boolean {
  const flag = parseGoBoolean(value)
  if (flag === undefined)
    throw refused(
      `failed to parse check option ${quoteGo(part)}: strconv.ParseBool: parsing ${quoteGo(value)}: invalid syntax`,
    )
  return flag
}

const commentForm = /^check\s*=([^]+)$/i

/** The options with those of a comment `check=…` among `comments` on top; one that cannot be read counts for nothing. */
export function withCommentOptions(options: LintOptions, comments: readonly string[]): LintOptions {
  for (const comment of comments) {
    const value = trimSpace(commentForm.exec(comment)?.[1] ?? '')
    if (value === '') continue
    try {
      const { skip, experimental } = parseLintOptions(firstWord(value))
      return {
        ...options,
        skip: merged(options.skip, skip),
        experimental: merged(options.experimental, experimental),
      }
    } catch {
      return options
    }
  }
  return options
}

/** A value ends at its first blank. */
export function firstWord(value: string): string {
  const blank = value.indexOf(' ')
  return blank < 0 ? value : value.slice(0, blank)
}

function merged(a: LintOptions['skip'], b: LintOptions['skip']): LintOptions['skip'] {
  return a === 'all' || b === 'all' ? 'all' : [...a, ...b]
}
