// What the instructions of a Dockerfile mean before any variable is expanded: one type for each, in the words of BuildKit's
// reference. A comment says which fields are still to be expanded.

import type { Healthcheck } from '../oci/image-config.ts'
import type { RunDevice } from './run-device.ts'

/** Where an instruction stands, and how it was written. */
export interface InstructionCommon {
  /** The instruction's word as written. */
  readonly keyword: string
  /** The line with its continuations joined, without white space around it. */
  readonly original: string
  /** First and last line, from 1, heredocs included. */
  readonly startLine: number
  readonly endLine: number
  /** Comments directly above, without `#`. */
  readonly comments: readonly string[]
}

/** A here-document as a shell gets it. */
export interface InlineFile {
  readonly name: string
  /** As written; leading tabs are still there. */
  readonly text: string
  /** Leading tabs of each line are to be taken away. */
  readonly chomp: boolean
  /** No quote stood around the name, so that a shell expands the text. */
  readonly expand: boolean
  readonly fileDescriptor: number
}

/** A command in either form. */
export interface CommandLine {
  /** The words of a JSON list; otherwise one text for the shell, or nothing. */
  readonly words: readonly string[]
  readonly isJson: boolean
  readonly heredocs: readonly InlineFile[]
}

export interface RunInstruction extends InstructionCommon, CommandLine {
  readonly kind: 'run'
  /** Values of `--mount`; {@link parseMount} reads them once variables are known. */
  readonly mounts: readonly string[]
  readonly network: 'default' | 'none' | 'host'
  readonly security: 'sandbox' | 'insecure'
  readonly devices: readonly RunDevice[]
  /** Names of the flags that were given, each once, in order. */
  readonly flagsUsed: readonly string[]
}

export interface CmdInstruction extends InstructionCommon, CommandLine {
  readonly kind: 'cmd'
}

export interface EntrypointInstruction extends InstructionCommon, CommandLine {
  readonly kind: 'entrypoint'
}

/** A here-document as a file to copy; tabs are taken away where that was asked for. */
export interface SourceContent {
  readonly name: string
  /** To be expanded without touching its quotes where `expand` says so. */
  readonly text: string
  readonly expand: boolean
}

/** What COPY and ADD share; texts are to be expanded unless said otherwise. */
export interface CopyCommon extends InstructionCommon {
  readonly sources: readonly string[]
  readonly contents: readonly SourceContent[]
  readonly destination: string
  /** `USER[:GROUP]`; empty: not given. */
  readonly chown: string
  /** Octal or symbolic; empty: not given. */
  readonly chmod: string
  readonly link: boolean
  /** Not to be expanded. */
  readonly excludes: readonly string[]
}

export interface CopyInstruction extends CopyCommon {
  readonly kind: 'copy'
  /** A stage's name or number, an image or a named context, not to be expanded; empty: the build's context. */
  readonly from: string
  readonly parents: boolean
}

export interface AddInstruction extends CopyCommon {
  readonly kind: 'add'
  readonly keepGitDirectory?: boolean
  /** Empty: not given. */
  readonly checksum: string
  readonly unpack?: boolean
}

/** A name and its value, both to be expanded. */
export interface NamedValue {
  readonly name: string
  readonly value: string
  /** Written with a blank instead of `=`. */
  readonly isLegacy: boolean
}

export interface EnvInstruction extends InstructionCommon {
  readonly kind: 'env'
  readonly pairs: readonly NamedValue[]
}

export interface LabelInstruction extends InstructionCommon {
  readonly kind: 'label'
  readonly pairs: readonly NamedValue[]
}

/** A variable that a build may be given; name and value are to be expanded. */
export interface BuildArgument {
  readonly name: string
  readonly value?: string
  /** From a comment `# NAME text` above. */
  readonly description: string
}

export interface ArgInstruction extends InstructionCommon {
  readonly kind: 'arg'
  readonly arguments: readonly BuildArgument[]
}

export interface WorkdirInstruction extends InstructionCommon {
  readonly kind: 'workdir'
  /** To be expanded. */
  readonly path: string
}

export interface UserInstruction extends InstructionCommon {
  readonly kind: 'user'
  /** To be expanded. */
  readonly user: string
}

export interface StopsignalInstruction extends InstructionCommon {
  readonly kind: 'stopsignal'
  /** To be expanded. */
  readonly signal: string
}

export interface VolumeInstruction extends InstructionCommon {
  readonly kind: 'volume'
  /** To be expanded. */
  readonly paths: readonly string[]
}

export interface ExposeInstruction extends InstructionCommon {
  readonly kind: 'expose'
  /** Sorted; to be expanded, each to any number of words. */
  readonly ports: readonly string[]
}

export interface ShellInstruction extends InstructionCommon {
  readonly kind: 'shell'
  readonly shell: readonly string[]
}

export interface HealthcheckInstruction extends InstructionCommon {
  readonly kind: 'healthcheck'
  /** Durations in nanoseconds. */
  readonly healthcheck: Healthcheck
}

export interface OnbuildInstruction extends InstructionCommon {
  readonly kind: 'onbuild'
  /** The instruction as a configuration keeps it, here-documents included; {@link parseTrigger} reads it. */
  readonly expression: string
}

export interface MaintainerInstruction extends InstructionCommon {
  readonly kind: 'maintainer'
  readonly name: string
}

/** FROM: what a stage starts from; it becomes a {@link DockerfileStage}. */
export interface FromInstruction extends InstructionCommon {
  readonly kind: 'from'
  /** Lower case; empty: none. */
  readonly name: string
  /** To be expanded. */
  readonly baseName: string
  /** To be expanded; empty: not given. */
  readonly platform: string
  /** From a comment `# NAME text` above. */
  readonly description: string
}

/** Every instruction that works in a stage. */
export type Instruction =
  | AddInstruction
  | ArgInstruction
  | CmdInstruction
  | CopyInstruction
  | EntrypointInstruction
  | EnvInstruction
  | ExposeInstruction
  | HealthcheckInstruction
  | LabelInstruction
  | MaintainerInstruction
  | OnbuildInstruction
  | RunInstruction
  | ShellInstruction
  | StopsignalInstruction
  | UserInstruction
  | VolumeInstruction
  | WorkdirInstruction

/** A FROM and what follows it. */
export interface DockerfileStage extends Omit<FromInstruction, 'kind'> {
  readonly instructions: readonly Instruction[]
}

/** A whole Dockerfile, understood as far as that goes without variables. */
export interface ParsedDockerfile {
  /** As it is shown in positions. */
  readonly file: string
  readonly text: string
  readonly escape: '\\' | '`'
  /** ARG instructions before the first FROM. */
  readonly globalArguments: readonly ArgInstruction[]
  readonly stages: readonly DockerfileStage[]
}
