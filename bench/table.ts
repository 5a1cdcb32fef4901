// What a measurement says, and the table it goes into.

import type { Bench } from './context.ts'

/** One comparison: medians of what was measured in the same run. */
export interface Line {
  readonly work: string
  readonly unit: 's' | 'ms' | 'MB'
  readonly kauri: number
  /** The peer; undefined: an absolute figure. */
  readonly peer?: { readonly name: string; readonly value: number } | undefined
  /** The ratio, or without peer the figure, that it shall not exceed. */
  readonly atMost?: number | undefined
}

export interface Row {
  readonly summary: string
  /** Measures; peers that are missing are told through `bench.say` and left out. */
  measure(bench: Bench): Promise<readonly Line[]>
}

/** A markdown table; a figure that is missed says so. */
export function formatTable(lines: readonly Line[]): string {
  const head = '| work | kauri | against | | ratio | at most |\n|---|---:|---|---:|---:|---:|'
  return [head, ...lines.map(formatLine)].join('\n')
}

function formatLine({ work, unit, kauri, peer, atMost }: Line): string {
  const ratio = peer === undefined ? undefined : kauri / peer.value
  const figure = ratio ?? kauri
  const limit = atMost === undefined ? '' : `${atMost}${peer === undefined ? ` ${unit}` : ''}`
  const missed = atMost !== undefined && figure > atMost ? ' **missed**' : ''
  const cells = [
    work,
    formatValue(kauri, unit),
    peer?.name ?? '–',
    peer === undefined ? '' : formatValue(peer.value, unit),
    ratio === undefined ? '' : ratio.toFixed(2),
    `${limit}${missed}`,
  ]
  return `| ${cells.join(' | ')} |`
}

function formatValue(value: number, unit: Line['unit']): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2
  return `${value.toFixed(digits)} ${unit}`
}
