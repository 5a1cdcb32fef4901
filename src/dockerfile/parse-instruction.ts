// Syntax tree → typed instructions: which reader an instruction has, and errors with their place.

import { KauriError } from '../core/errors.ts'
import { readCmd, readEntrypoint, readRun, readShell } from './command-instructions.ts'
import {
  readExpose,
  readHealthcheck,
  readMaintainer,
  readStopsignal,
  readUser,
  readVolume,
  readWorkdir,
} from './config-instructions.ts'
import { readAdd, readCopy } from './copy-instructions.ts'
import { readFrom } from './from-instruction.ts'
import { refused } from './instruction-flags.ts'
import type { FromInstruction, Instruction } from './instructions.ts'
import { readOnbuild } from './onbuild-instruction.ts'
import { parseDockerfile } from './parse-dockerfile.ts'
import { withSuggestion } from './suggestion.ts'
import type { InstructionNode } from './syntax-tree.ts'
import { readArg, readEnv, readLabel } from './variable-instructions.ts'

type ReadInstruction = (node: InstructionNode) => Instruction | FromInstruction

const readers: Readonly<Record<string, ReadInstruction>> = {
  add: readAdd,
  arg: readArg,
  cmd: readCmd,
  copy: readCopy,
  entrypoint: readEntrypoint,
  env: readEnv,
  expose: readExpose,
  from: readFrom,
  healthcheck: readHealthcheck,
  label: readLabel,
  maintainer: readMaintainer,
  onbuild: readOnbuild,
  run: readRun,
  shell: readShell,
  stopsignal: readStopsignal,
  user: readUser,
  volume: readVolume,
  workdir: readWorkdir,
}

/** @throws DESCRIPTION_INVALID with BuildKit's words and the instruction's first line in `file` */
export function parseInstruction(
  node: InstructionNode,
  file: string,
): Instruction | FromInstruction {
  const word = node.keyword.toLowerCase()
  const read = Object.hasOwn(readers, word) ? readers[word] : undefined
  try {
    if (read === undefined) throw unknownInstruction(node.keyword)
    return read(node)
  } catch (error) {
    if (!(error instanceof KauriError)) throw error
    throw new KauriError(error.code, error.message, {
      hint: error.hint,
      where: { file, line: node.startLine, column: 1 },
      cause: error,
    })
  }
}

function unknownInstruction(keyword: string): KauriError {
  const known = Object.keys(readers).map(name => name.toUpperCase())
  const message = `unknown instruction: ${keyword}`
  return new KauriError(
    'DESCRIPTION_INVALID',
    withSuggestion(message, keyword, known, { ignoreCase: true }),
    keyword.includes('\0') ? { hint: 'save the file as UTF-8; this looks like UTF-16' } : {},
  )
}

/**
 * An instruction that a base image or a base stage left with ONBUILD, read as if it stood at `place`.
 * @throws DESCRIPTION_INVALID
 */
export function parseTrigger(
  expression: string,
  place: { readonly file: string; readonly startLine: number; readonly endLine: number },
): Instruction {
  const { startLine, endLine } = place
  const [node] = parseDockerfile(expression, place.file).nodes
  if (node === undefined) throw refused(`ONBUILD holds no instruction: ${expression}`)
  const instruction = parseInstruction({ ...node, startLine, endLine }, place.file)
  if (instruction.kind === 'from') throw refused("FROM isn't allowed as an ONBUILD trigger")
  return instruction
}
