// COPY and ADD: sources, here-documents that stand for sources, and where they go.

import { definedMembers } from '../oci/json-shape.ts'
import { chompHeredoc, parseHeredocWord } from './heredoc.ts'
import { commonOf } from './instruction-common.ts'
import { type FlagType, type InstructionFlags, readFlags, refused } from './instruction-flags.ts'
import type { AddInstruction, CopyCommon, CopyInstruction, SourceContent } from './instructions.ts'
import type { InstructionNode } from './syntax-tree.ts'

const sharedFlags: Readonly<Record<string, FlagType>> = {
  chown: 'text',
  chmod: 'text',
  link: 'boolean',
  exclude: 'texts',
}

/** @throws DESCRIPTION_INVALID */
export function readCopy(node: InstructionNode): CopyInstruction {
  requireDestination(node)
  const flags = readFlags(node.flags, { ...sharedFlags, from: 'text', parents: 'boolean' })
  return {
    kind: 'copy',
    ...copyCommon(node, flags),
    from: flags.text('from') ?? '',
    parents: flags.boolean('parents') ?? false,
  }
}

/** @throws DESCRIPTION_INVALID */
export function readAdd(node: InstructionNode): AddInstruction {
  requireDestination(node)
  const flags = readFlags(node.flags, {
    ...sharedFlags,
    'keep-git-dir': 'boolean',
    checksum: 'text',
    unpack: 'boolean',
  })
  return {
    kind: 'add',
    ...copyCommon(node, flags),
    checksum: flags.text('checksum') ?? '',
    ...definedMembers({
      keepGitDirectory: flags.boolean('keep-git-dir'),
      unpack: flags.boolean('unpack'),
    }),
  }
}

function requireDestination({ words, keyword }: InstructionNode): void {
  if (words.length < 2)
    throw refused(
      `${keyword.toUpperCase()} requires at least two arguments, but only one was provided. Destination could not be determined`,
    )
}

function copyCommon(node: InstructionNode, flags: InstructionFlags): CopyCommon {
  const destination = node.words.at(-1) ?? ''
  if (parseHeredocWord(destination) !== undefined)
    throw refused(`${node.keyword.toUpperCase()} cannot accept a heredoc as a destination`)
  const words = node.words.slice(0, -1)
  return {
    ...commonOf(node),
    sources: words.filter(word => parseHeredocWord(word) === undefined),
    contents: words.flatMap(word => contentOf(word, node)),
    destination,
    chown: flags.text('chown') ?? '',
    chmod: flags.text('chmod') ?? '',
    link: flags.boolean('link') ?? false,
    excludes: flags.texts('exclude'),
  }
}

/** The here-document that a word stands for, found by its name: of two with one name both are the last. */
function contentOf(word: string, { heredocs }: InstructionNode): SourceContent[] {
  const heredoc = parseHeredocWord(word)
  if (heredoc === undefined) return []
  const { name, expand, chomp } = heredoc
  const text = heredocs.findLast(one => one.name === name)?.content ?? ''
  return [{ name, text: chomp ? chompHeredoc(text) : text, expand }]
}
