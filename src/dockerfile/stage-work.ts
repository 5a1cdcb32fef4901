// A stage while its instructions are lowered one after the other, and what they all share.

import { KauriError, type SourcePosition } from '../core/errors.ts'
import { formatPlatform, type Platform } from '../oci/platform.ts'
import type { BuildStep, HistoryLine } from '../plan/plan.ts'
import type { GlobalArguments } from './automatic-arguments.ts'
import type { ConfigDraft } from './config-draft.ts'
import { type Expansion, expandWord } from './expand-word.ts'
import type { Instruction, InstructionCommon } from './instructions.ts'
import { checkUndefined, type IgnoredSources } from './lower-checks.ts'
import type { LowerOptions } from './lower-options.ts'
import type { StageNode } from './stage-graph.ts'
import { normalPlatform } from './stage-platform.ts'
import type { VariableScope } from './variable-scope.ts'

/** What all stages share. */
export interface LowerGround {
  readonly file: string
  readonly escape: '\\' | '`'
  readonly options: LowerOptions
  /** Build arguments, with SOURCE_DATE_EPOCH as a number. */
  readonly buildArgs: ReadonlyMap<string, string>
  readonly globals: GlobalArguments
  /** Which sources of the main context its ignore file leaves out. */
  readonly isIgnored: IgnoredSources
  /** Stages that are lowered already. */
  readonly finished: Set<StageNode>
}

/** A stage in the making. */
export interface StageWork {
  readonly node: StageNode
  readonly platform: Platform
  /** What programs see: variables of the base, of ENV and of ARG. */
  readonly scope: VariableScope
  /** ARG instructions so far, those of base stages first. */
  readonly declared: { readonly name: string; readonly value?: string | undefined }[]
  readonly draft: ConfigDraft
  author: string | undefined
  readonly steps: BuildStep[]
  readonly history: (HistoryLine & { readonly step?: number })[]
  /** The last CMD, ENTRYPOINT and HEALTHCHECK of this stage. */
  readonly last: Partial<Record<Instruction['kind'], InstructionCommon>>
  /** A WORKDIR of this Dockerfile said where the stage is. */
  hasDirectory: boolean
  /** Title of the base, where it is an image. */
  title: string | undefined
  readonly titles: TitleCount
}

/** How far the numbers in titles have come. */
export interface TitleCount {
  readonly total: number
  done: number
  /** Name in titles; empty where the stage is the only one. */
  readonly stageName: string
}

/** Where an instruction stands. */
export function positionOf(
  ground: Pick<LowerGround, 'file'>,
  at: InstructionCommon,
): SourcePosition {
  return { file: ground.file, line: Math.max(1, at.startLine), column: 1 }
}

/** Runs something and gives its errors the place, where they have none. */
export function withPosition<T>(where: SourcePosition, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw positioned(error, where)
  }
}

/** The error with a place, unless it has one or is no error of input. */
export function positioned(error: unknown, where: SourcePosition): unknown {
  if (!(error instanceof KauriError) || error.where !== undefined) return error
  const { hint, diagnostics } = error
  return new KauriError(error.code, error.message, { hint, diagnostics, where, cause: error })
}

/** Expands words of one instruction in a stage; reports what is not set. */
export function createExpander(
  ground: LowerGround,
  work: StageWork,
  instruction: InstructionCommon,
): (text: string, how?: { readonly isContent: boolean }) => Expansion {
  const declared = new Set(work.declared.map(({ name }) => name))
  return (text, how) => {
    const expansion = expandWord(text, {
      lookUp: work.scope.get,
      ...(how?.isContent === true
        ? { escape: '\\', ignoreQuotes: true }
        : { escape: ground.escape }),
    })
    const known = { scope: work.scope, declared }
    checkUndefined(ground.options.linter, expansion, known, instruction)
    return expansion
  }
}

/** `[build 2/5] RUN make`; every call counts. */
export function nextTitle(
  ground: LowerGround,
  work: StageWork,
  title: { readonly text: string; readonly isTrigger: boolean },
): string {
  const { titles, platform } = work
  if (titles.total === 0) return title.text
  titles.done++
  const width = Math.floor(1 + Math.log10(titles.total))
  const number = `${String(titles.done).padStart(width)}/${titles.total}`
  const prefix = [
    ground.options.showsPlatform === true ? platformTitle(platform, work.scope) : '',
    titles.stageName,
    number,
  ]
  const text = title.isTrigger ? `ONBUILD ${title.text}` : title.text
  return `[${prefix.filter(word => word !== '').join(' ')}] ${text}`
}

/** `linux/amd64->arm64` for a stage that runs here and works for another machine. */
function platformTitle(platform: Platform, scope: VariableScope): string {
  const name = formatPlatform(normalPlatform(platform))
  const architecture = scope.get('TARGETARCH') ?? scope.get('TARGETPLATFORM')?.split('/')[1]
  const isOther = architecture !== undefined && architecture !== platform.architecture
  return isOther ? `${name}->${architecture}` : name
}

/** The instruction's word in capitals, as titles have it. */
export function upperCaseWord(text: string): string {
  return text.replace(/^[^ ]*/, word => word.toUpperCase())
}
