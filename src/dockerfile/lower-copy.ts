// COPY and ADD: paths, patterns, here-documents and addresses into a directory or file of the stage.

import { KauriError } from '../core/errors.ts'
import { parseDigest } from '../oci/digest.ts'
import { definedMembers } from '../oci/json-shape.ts'
import { parseChmod } from '../plan/chmod-expression.ts'
import { type AddStep, type FileSource, guestPath, type SourceRoot } from '../plan/plan.ts'
import { quoteGo } from './go-values.ts'
import { refused } from './instruction-flags.ts'
import { historyLine } from './instruction-history.ts'
import type { AddInstruction, CopyInstruction } from './instructions.ts'
import { checkIgnored } from './lower-checks.ts'
import { sourceRoot } from './lower-sources.ts'
import { findSourceAddress, type GitAddress } from './source-address.ts'
import type { StageCommand } from './stage-graph.ts'
import {
  createExpander,
  type LowerGround,
  nextTitle,
  positionOf,
  type StageWork,
  upperCaseWord,
} from './stage-work.ts'
import { describeText } from './variable-scope.ts'

type CopyCommand = StageCommand & { readonly instruction: CopyInstruction | AddInstruction }

type RemoteSource = Extract<FileSource, { readonly kind: 'git' | 'http' }>

/** An instruction with its variables expanded. */
interface CopyWords {
  readonly sources: readonly string[]
  readonly contents: readonly { readonly name: string; readonly text: string }[]
  readonly destination: string
  readonly chown: string
  readonly chmod: string
  readonly checksum: string
}

/** @throws DESCRIPTION_INVALID with BuildKit's words */
export function lowerCopy(ground: LowerGround, work: StageWork, command: CopyCommand): void {
  const { instruction } = command
  const words = expandWords(ground, work, instruction)
  const from = copyRoot(ground, work, command)
  if (words.chmod !== '') parseChmod(words.chmod)
  checkChecksum(instruction, words)
  const title = copyTitle(ground, work, command)
  const target = placeOf(work, words.destination)
  const step: AddStep = {
    kind: 'add',
    title,
    where: positionOf(ground, instruction),
    phase: 'instruction',
    from,
    sources: [...pathSources(ground, command, words), ...words.contents.map(asTextSource)],
    target: guestPath(target),
    targetIsDirectory: /\/\.?$/.test(target),
    ...(words.chown === '' ? {} : { owner: words.chown }),
    ...(words.chmod === '' ? {} : { mode: words.chmod }),
    parents: isParents(instruction),
    excludes: instruction.excludes,
    // BuildKit gives up linking where modes are changed.
    link: instruction.link && words.chmod === '',
    unpack: unpackOf(instruction),
  }
  work.history.push({
    ...historyLine(historyText(instruction, words), true),
    step: work.steps.push(step) - 1,
  })
}

function expandWords(
  ground: LowerGround,
  work: StageWork,
  instruction: CopyInstruction | AddInstruction,
): CopyWords {
  const expand = createExpander(ground, work, instruction)
  const chown = expand(instruction.chown).word
  const chmod = expand(instruction.chmod).word
  const checksum = instruction.kind === 'add' ? expand(instruction.checksum).word : ''
  const sources = instruction.sources.map(source => expand(source).word)
  const destination = expand(instruction.destination).word
  const contents = instruction.contents.map(content => ({
    name: content.name,
    text: content.expand ? expand(content.text, { isContent: true }).word : content.text,
  }))
  return { sources, contents, destination, chown, chmod, checksum }
}

function copyRoot(ground: LowerGround, work: StageWork, command: CopyCommand): SourceRoot {
  const [source] = command.sources
  if (source === undefined) return { kind: 'context', context: ground.options.mainContext }
  const root = sourceRoot(ground, source)
  if (root !== undefined) return root
  const { instruction } = command
  throw refused(
    `cannot copy from stage ${quoteGo(instruction.kind === 'copy' ? instruction.from : '')}, it needs to be defined before current stage ${quoteGo(work.node.name || work.node.id)}`,
  )
}

function checkChecksum(
  instruction: CopyInstruction | AddInstruction,
  { checksum, sources }: CopyWords,
): void {
  if (instruction.kind === 'copy' || checksum === '') return
  if (sources.length !== 1) throw refused("checksum can't be specified for multiple sources")
  if (findSourceAddress(sources[0] ?? '') === undefined)
    throw refused('checksum requires HTTP(S) or Git sources')
}

function copyTitle(ground: LowerGround, work: StageWork, command: CopyCommand): string {
  const { original } = command.instruction
  const described = describeText(original, work.scope, { escape: ground.escape, asShell: false })
  return nextTitle(ground, work, { text: upperCaseWord(described), isTrigger: command.isTrigger })
}

/** The target as written, below the working directory; a slash at its end stays. */
function placeOf(work: StageWork, destination: string): string {
  if (destination.startsWith('/')) return destination
  const directory = work.draft.plain.WorkingDir ?? '/'
  return `${directory}/${destination === '' || destination === '.' ? './' : destination}`
}

function pathSources(
  ground: LowerGround,
  command: CopyCommand,
  words: CopyWords,
): readonly FileSource[] {
  const { instruction } = command
  return words.sources.map(source => {
    const remote = remoteSource(source, instruction, words.checksum)
    if (remote !== undefined) return remote
    if (command.sources[0] === undefined)
      checkIgnored(
        ground.options.linter,
        [instruction.kind === 'add' ? 'Add' : 'Copy', source],
        ground.isIgnored,
        instruction,
      )
    return {
      kind: 'pattern',
      pattern: isParents(instruction) ? pivotPattern(source) : guestPath(source),
    }
  })
}

/** What ADD fetches; undefined for a path. @throws DESCRIPTION_INVALID for COPY, and for addresses that are wrong */
export function remoteSource(
  text: string,
  instruction: CopyInstruction | AddInstruction,
  checksum: string,
): RemoteSource | undefined {
  const address = findSourceAddress(text)
  if (address === undefined) return undefined
  if (instruction.kind === 'copy')
    throw refused(`source can't be a ${address.kind === 'git' ? 'git ref' : 'URL'} for COPY`)
  if (address.kind === 'git') return gitSource(address, instruction, checksum)
  return { ...address, ...checksumMember(checksum) }
}

/** `--parents` keeps what stands behind `/./`, or the whole path. */
function pivotPattern(source: string): string {
  const pivot = source.indexOf('/./')
  if (pivot < 0) return guestPath(source)
  const [base, rest] = [guestPath(source.slice(0, pivot)), guestPath(source.slice(pivot + 3))]
  return `${base === '/' ? '' : base}/.${rest}`
}

function isParents(instruction: CopyInstruction | AddInstruction): boolean {
  return instruction.kind === 'copy' && instruction.parents
}

function unpackOf(instruction: CopyInstruction | AddInstruction): AddStep['unpack'] {
  if (instruction.kind === 'copy') return 'none'
  if (instruction.unpack === undefined) return 'local'
  return instruction.unpack ? 'all' : 'none'
}

function checksumMember(text: string): { checksum?: ReturnType<typeof parseDigest> } {
  if (text === '') return {}
  try {
    return { checksum: parseDigest(text) }
  } catch (error) {
    throw new KauriError('DESCRIPTION_INVALID', 'invalid checksum digest format', {
      hint: 'write sha256: and 64 hexadecimal digits',
      cause: error,
    })
  }
}

function gitSource(
  address: GitAddress,
  { keepGitDirectory: keep }: AddInstruction,
  checksum: string,
): RemoteSource {
  const { repository, revision, directory, fetchesCommit, times } = address
  if (keep !== undefined && address.keepGitDirectory === !keep)
    throw refused('inconsistent keep-git-dir configuration')
  if (checksum !== '' && address.checksum !== undefined && address.checksum !== checksum)
    throw refused(`checksum mismatch ${quoteGo(checksum)} != ${quoteGo(address.checksum)}`)
  return {
    kind: 'git',
    repository,
    keepGitDirectory: address.keepGitDirectory ?? keep ?? false,
    submodules: address.submodules ?? true,
    ...definedMembers({
      revision,
      directory,
      commit: address.checksum ?? (checksum || undefined),
      fetchesCommit,
      times,
    }),
  }
}

function asTextSource({
  name,
  text,
}: {
  readonly name: string
  readonly text: string
}): FileSource {
  return { kind: 'text', name, text }
}

function historyText(instruction: CopyInstruction | AddInstruction, words: CopyWords): string {
  return [
    instruction.kind.toUpperCase(),
    ...(isParents(instruction) ? ['--parents'] : []),
    ...(words.chown === '' ? [] : [`--chown=${words.chown}`]),
    ...(words.chmod === '' ? [] : [`--chmod=${words.chmod}`]),
    ...words.sources,
    ...words.contents.map(({ name }) => `<<${name}`),
    words.destination,
  ].join(' ')
}
