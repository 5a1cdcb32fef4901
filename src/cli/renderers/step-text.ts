// Numbers and lines of events as people read them; shared by the renderers.

import { formatPosition } from '../../core/errors.ts'
import type { BuildEvent } from '../../core/events.ts'
import { printable } from '../printable.ts'

type Progress = Extract<BuildEvent, { kind: 'step-progress' }>
type Warning = Extract<BuildEvent, { kind: 'warning' }>

const sizeUnits = ['kB', 'MB', 'GB', 'TB'] as const

/** `999 B`, `12.3 MB`: powers of 1000, as package managers and registries print sizes. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  let value = bytes
  let unit = 'B'
  for (const next of sizeUnits) {
    // Rounding must not show 1000.0 of a unit.
    if (value < 999.95) break
    value /= 1000
    unit = next
  }
  return `${value.toFixed(1)} ${unit}`
}

/** `0.4 s`, `12 s`, `3 min 5 s`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`
}

/** `12.3 MB of 55.0 MB, base-files`; `12.3 MB of 55.0 MB, 4.1 MB/s, 10 s left`. */
export function formatProgress(progress: Progress): string {
  const { done, total, unit, item } = progress
  const count = (value: number): string => (unit === 'bytes' ? formatBytes(value) : String(value))
  const amount = total === undefined ? count(done) : `${count(done)} of ${count(total)}`
  const counted = unit === 'bytes' ? amount : `${amount} ${unit}`
  const notes = [...rateNotes(progress), ...(item === undefined ? [] : [printable(item)])]
  return [counted, ...notes].join(', ')
}

function rateNotes({ done, total, bytesPerSecond }: Progress): string[] {
  if (bytesPerSecond === undefined || bytesPerSecond <= 0) return []
  const rate = `${formatBytes(bytesPerSecond)}/s`
  const left = total === undefined ? 0 : (total - done) / bytesPerSecond
  return left <= 0 ? [rate] : [rate, `${formatSeconds(left)} left`]
}

/** `warning: file:1:2: message`, and the hint below. */
export function formatWarning({ message, hint, where }: Warning): string {
  const place = where === undefined ? '' : `${formatPosition(where)}: `
  const lines = [`warning: ${place}${message}`, ...(hint === undefined ? [] : [`hint: ${hint}`])]
  return `${printable(lines.join('\n'))}\n`
}
