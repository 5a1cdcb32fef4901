// What a subcommand is: a table of its words and options, and one function. Parsing, help, docs/cli.md and exit codes
// come from the table; commands/ holds one file for each, loaded only when it is called.

import type { Emit } from '../core/events.ts'

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
  flag(long: string): boolean
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
  readonly dataRoot: string
  /** Run-time state: `/run/kauri` for root. */
  readonly runRoot: string
  readonly json: boolean
  readonly quiet: boolean
  readonly emit: Emit
  /** Aborts on SIGINT and SIGTERM. */
  readonly signal: AbortSignal
  /** Writes a line of the result to standard output. */
  readonly print: (line: string) => void
  /** Writes the machine-readable result when `--json` was given. */
  readonly printJson: (value: unknown) => void
}

export interface CommandSpec {
  /** As typed: `import`, `system build`. */
  readonly name: string
  readonly summary: string
  /** Positional part of the usage line: `FILE|-|URL [NAME[:TAG] [TAG]]`. */
  readonly operands?: string
  readonly options: readonly OptionSpec[]
  /** The first word that is no option ends the options, as in `run IMAGE CMD...`. */
  readonly stopsAtOperand?: boolean
  readonly minOperands?: number
  readonly maxOperands?: number
  /** Failures of kauri itself exit with 125, as `docker run` has it. */
  readonly containerExitCodes?: boolean
  /** Returns the exit status. */
  run(input: CommandInput): Promise<number>
}
