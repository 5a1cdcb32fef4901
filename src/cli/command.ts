// What a subcommand is: a table of its words and options, and one function. Parsing, help, docs/cli.md and exit codes
// come from the table; commands/ holds one file for each, loaded only when it is called.

import type { Emit } from '../core/events.ts'
import type { LineForm } from './progress.ts'

/** One option as a person types it. */
export interface OptionSpec {
  /** Without dashes: `target-dir`. */
  readonly long: string
  /** One letter. */
  readonly short?: string
  /** Name of its value in help, such as `DIR`; undefined: a switch. */
  readonly value?: string
  /** May be given many times; the values are kept in order. */
  readonly repeat?: boolean
  /** Only these values are taken. */
  readonly choices?: readonly string[]
  readonly required?: boolean
  readonly summary: string
}

/** Values of the options by long name: true for switches, text, or texts where the option repeats. */
export interface ParsedOptions {
  /** `otherwise` where it was not given. */
  flag(long: string, otherwise?: boolean): boolean
  text(long: string): string | undefined
  /** @throws USAGE where it was not given */
  requiredText(long: string): string
  texts(long: string): readonly string[]
}

export interface CommandInput {
  readonly options: ParsedOptions
  /** Words that are no options, after the command's own name. */
  readonly positionals: readonly string[]
  readonly context: CommandContext
}

/** What every command gets from main: where state is, who watches, and when to stop. */
export interface CommandContext {
  /** Absolute; `/var/lib/kauri` for root unless `--data-root` or KAURI_DATA_ROOT say otherwise. */
  readonly dataRoot: string
  /** Run-time state: `/run/kauri` for root, or KAURI_RUN_ROOT. */
  readonly runRoot: string
  /** The snapshotter that was asked for on the command line. */
  readonly snapshotter?: string | undefined
  readonly json: boolean
  readonly quiet: boolean
  readonly emit: Emit
  /** Aborts on SIGINT, SIGTERM and SIGHUP. */
  readonly signal: AbortSignal
  /** Writes a line of the result to standard output; nothing with `--json`, whose result is printJson's. */
  readonly print: (line: string) => void
  /** Writes the machine-readable result, and only with `--json`; call it once. */
  readonly printJson: (value: unknown) => void
  /** Finishes the live list, so that somebody else may write to the terminal; later events start a new one. */
  readonly endProgress: () => Promise<void>
  /**
   * Hands SIGINT, SIGTERM and SIGHUP to `handler` in place of aborting, until the result is disposed: for commands that
   * forward them to a container.
   */
  readonly takeSignals: (handler: (name: NodeJS.Signals) => void) => Disposable
}

export interface CommandSpec {
  /** As typed: `import`, `system build`. */
  readonly name: string
  /** One line for lists, without a full stop. */
  readonly summary: string
  /** More for the command's own help: paragraphs, one string each. */
  readonly details?: readonly string[]
  /** Positional part of the usage line: `FILE|-|URL [NAME[:TAG] [TAG]]`. */
  readonly operands?: string
  readonly options: readonly OptionSpec[]
  /** The first word that is no option ends the options, as in `run IMAGE CMD...`. */
  readonly stopsAtOperand?: boolean
  /** 0 where it is left out. */
  readonly minOperands?: number
  /** Left out: any number where `operands` is written, else none. */
  readonly maxOperands?: number
  /** Failures of kauri itself exit with 125, as `docker run` has it. */
  readonly containerExitCodes?: boolean
  /** How its steps are written to a log; `titled` where it is left out. */
  readonly progressLines?: LineForm
  /** Returns the exit status. */
  run(input: CommandInput): Promise<number>
}
