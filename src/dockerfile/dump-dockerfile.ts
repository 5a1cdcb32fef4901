// A Dockerfile as JSON, in the words of BuildKit's own structures, so that what two front ends see can be compared.

import { KauriError } from '../core/errors.ts'
import { readSyntaxDirective } from './directives.ts'
import type {
  AddInstruction,
  ArgInstruction,
  CommandLine,
  CopyInstruction,
  DockerfileStage,
  Instruction,
  NamedValue,
} from './instructions.ts'
import { createLinter, type Linter } from './linter.ts'
import { parseDockerfile } from './parse-dockerfile.ts'
import { readStages } from './read-dockerfile.ts'
import { formatNode, type InstructionNode, type SyntaxTree } from './syntax-tree.ts'

/** A plain JSON object. */
export type Dump = Readonly<Record<string, unknown>>

/** The syntax tree: `ast`, `nodes`, `escape`, or `parseError`. */
export function dumpTree(text: string): Dump {
  return orError('parseError', () => {
    const tree = parseDockerfile(text, 'Dockerfile')
    const syntax = readSyntaxDirective(text)
    const warnings = tree.emptyContinuations.map(
      one => `Empty continuation line found in: ${one.text}`,
    )
    return {
      ast: tree.nodes.map(formatNode),
      nodes: tree.nodes.map(dumpNode),
      escape: tree.escape,
      ...(syntax === undefined
        ? {}
        : { syntax: { ref: syntax.reference, cmdline: syntax.commandLine } }),
      ...given('parserWarnings', warnings),
    }
  })
}

/** What the instructions mean: `stages`, `metaArgs`, `syntaxLint`, or `parseError` or `instructionError`. */
export function dumpStages(text: string): Dump {
  return orError('parseError', () => {
    const tree = parseDockerfile(text, 'Dockerfile')
    const linter = createLinter({ text })
    const stages = orError('instructionError', () => stagesOf(tree, text, linter))
    return { ...stages, ...dumpSyntaxFindings(linter) }
  })
}

function stagesOf(tree: SyntaxTree, text: string, linter: Linter): Dump {
  const { globalArguments, stages } = readStages(tree, { text, file: 'Dockerfile' }, linter)
  return {
    metaArgs: orNull(globalArguments.map(dumpArguments)),
    stages: orNull(stages.map(dumpStage)),
  }
}

/** Empty continuation lines are no finding about the instructions. */
function dumpSyntaxFindings({ findings }: Linter): Dump {
  const about = findings.filter(({ rule }) => rule !== 'NoEmptyContinuation')
  return given(
    'syntaxLint',
    about.map(({ rule, detail, startLine }) => ({ rule, detail, line: startLine })),
  )
}

function orError(member: string, dump: () => Dump): Dump {
  try {
    return dump()
  } catch (error) {
    if (!(error instanceof KauriError)) throw error
    return { [member]: error.message }
  }
}

/** Go writes a slice that nothing was put into as null. */
function orNull<T>(list: readonly T[]): readonly T[] | null {
  return list.length === 0 ? null : list
}

function given(member: string, list: readonly unknown[]): Dump {
  return list.length === 0 ? {} : { [member]: list }
}

function dumpNode(node: InstructionNode): Dump {
  return {
    value: node.keyword,
    original: node.original,
    startLine: node.startLine,
    endLine: node.endLine,
    ...given('comments', node.comments),
    ...given('flags', node.flags),
    ...(node.isJson ? { json: true } : {}),
    ...given(
      'heredocs',
      node.heredocs.map(({ name, fileDescriptor, expand, chomp, content }) => ({
        Name: name,
        FileDescriptor: fileDescriptor,
        Expand: expand,
        Chomp: chomp,
        Content: content,
      })),
    ),
  }
}

function dumpStage({ name, baseName, platform, instructions }: DockerfileStage): Dump {
  return { name, base: baseName, platform, commands: orNull(instructions.map(dumpInstruction)) }
}

function dumpInstruction(instruction: Instruction): Dump {
  const dumped = { name: instruction.keyword, cmd: dumpCommand(instruction) }
  if (instruction.kind !== 'run') return dumped
  const { flagsUsed, network, security } = instruction
  return { ...dumped, flagsUsed, network, security }
}

function dumpCommand(instruction: Instruction): Dump {
  if (isSimple(instruction)) return dumpSimple(instruction)
  switch (instruction.kind) {
    case 'add':
      return dumpAdd(instruction)
    case 'arg':
      return dumpArguments(instruction)
    case 'cmd':
    case 'entrypoint':
      return dumpCommandLine(instruction)
    case 'run':
      return { ...dumpCommandLine(instruction), FlagsUsed: instruction.flagsUsed }
    case 'copy':
      return dumpCopy(instruction)
    case 'env':
      return { Env: instruction.pairs.map(dumpPair) }
    case 'label':
      return { Labels: instruction.pairs.map(dumpPair) }
    default:
      return instruction satisfies never
  }
}

const simpleKinds = [
  'expose',
  'healthcheck',
  'maintainer',
  'onbuild',
  'shell',
  'stopsignal',
  'user',
  'volume',
  'workdir',
] as const

/** Instructions that set one thing. */
type SimpleInstruction = Extract<Instruction, { kind: (typeof simpleKinds)[number] }>

function isSimple(instruction: Instruction): instruction is SimpleInstruction {
  return simpleKinds.some(kind => kind === instruction.kind)
}

function dumpSimple(instruction: SimpleInstruction): Dump {
  switch (instruction.kind) {
    case 'expose':
      return { Ports: instruction.ports }
    case 'healthcheck':
      return { Health: instruction.healthcheck }
    case 'maintainer':
      return { Maintainer: instruction.name }
    case 'onbuild':
      return { Expression: instruction.expression }
    case 'shell':
      return { Shell: instruction.shell }
    case 'stopsignal':
      return { Signal: instruction.signal }
    case 'user':
      return { User: instruction.user }
    case 'volume':
      return { Volumes: instruction.paths }
    case 'workdir':
      return { Path: instruction.path }
    default:
      return instruction satisfies never
  }
}

function dumpPair({ name, value, isLegacy }: NamedValue): Dump {
  return { Key: name, Value: value, NoDelim: isLegacy }
}

function dumpArguments(instruction: ArgInstruction): Dump {
  return {
    Args: instruction.arguments.map(({ name, value = null, description }) => ({
      Key: name,
      Value: value,
      DocComment: description,
    })),
  }
}

function dumpCommandLine({ kind, words, isJson, heredocs }: CommandLine & Instruction): Dump {
  const files = heredocs.map(({ name, text, chomp }) => ({ Name: name, Data: text, Chomp: chomp }))
  return {
    CmdLine: kind === 'entrypoint' ? orNull(words) : words,
    Files: orNull(files),
    PrependShell: !isJson,
  }
}

function dumpSources({ sources, contents, destination }: AddInstruction | CopyInstruction): Dump {
  return {
    DestPath: destination,
    SourcePaths: orNull(sources),
    SourceContents: orNull(
      contents.map(({ name, text, expand }) => ({ Path: name, Data: text, Expand: expand })),
    ),
  }
}

function dumpCopy(instruction: CopyInstruction): Dump {
  const { from, chown, chmod, link, excludes, parents } = instruction
  return {
    ...dumpSources(instruction),
    From: from,
    Chown: chown,
    Chmod: chmod,
    Link: link,
    ExcludePatterns: orNull(excludes),
    Parents: parents,
  }
}

function dumpAdd(instruction: AddInstruction): Dump {
  const { chown, chmod, link, excludes, checksum } = instruction
  return {
    ...dumpSources(instruction),
    Chown: chown,
    Chmod: chmod,
    Link: link,
    ExcludePatterns: orNull(excludes),
    KeepGitDir: instruction.keepGitDirectory ?? null,
    Checksum: checksum,
    Unpack: instruction.unpack ?? null,
  }
}
