// HEALTHCHECK: options with durations, then NONE, or CMD with a command in either form.

import type { Healthcheck } from '../oci/image-config.ts'
import { definedMembers } from '../oci/json-shape.ts'
import { parseGoDuration, quoteGo } from './go-values.ts'
import { requireArguments } from './instruction-common.ts'
import { type InstructionFlags, readFlags, refused } from './instruction-flags.ts'
import type { InstructionNode } from './syntax-tree.ts'

/** A zero is as good as an option not given. @throws DESCRIPTION_INVALID with BuildKit's words */
export function parseHealthcheck(node: InstructionNode): Healthcheck {
  requireArguments(node)
  const [word = '', ...command] = node.words
  const kind = word.toUpperCase()
  if (kind === 'NONE') {
    if (command.length > 0) throw refused('HEALTHCHECK NONE takes no arguments')
    return { Test: ['NONE'] }
  }
  const flags = readFlags(node.flags, {
    interval: 'text',
    timeout: 'text',
    'start-period': 'text',
    'start-interval': 'text',
    retries: 'text',
  })
  if (kind !== 'CMD') throw refused(`Unknown type ${quoteGo(kind)} in HEALTHCHECK (try CMD)`)
  if (command.length === 0) throw refused('Missing command after HEALTHCHECK CMD')
  return {
    Test: [node.isJson ? 'CMD' : 'CMD-SHELL', ...command],
    ...definedMembers({
      Interval: intervalOf(flags, 'interval'),
      Timeout: intervalOf(flags, 'timeout'),
      StartPeriod: intervalOf(flags, 'start-period'),
      StartInterval: intervalOf(flags, 'start-interval'),
      Retries: retriesOf(flags.text('retries') ?? ''),
    }),
  }
}

const nanosecondsPerMillisecond = 1e6

function intervalOf(flags: InstructionFlags, name: string): number | undefined {
  const text = flags.text(name) ?? ''
  const nanoseconds = text === '' ? 0 : parseGoDuration(text)
  if (nanoseconds === 0) return undefined
  if (nanoseconds < nanosecondsPerMillisecond)
    throw refused(`Interval "${name}" cannot be less than 1ms`)
  return nanoseconds
}

function retriesOf(text: string): number | undefined {
  if (text === '') return undefined
  const quoted = quoteGo(text)
  if (!/^[+-]?\d+$/.test(text)) throw refused(`strconv.ParseInt: parsing ${quoted}: invalid syntax`)
  const retries = Number(text)
  if (retries >= 2 ** 31 || retries < -(2 ** 31))
    throw refused(`strconv.ParseInt: parsing ${quoted}: value out of range`)
  if (retries < 0) throw refused(`--retries cannot be negative (${retries})`)
  return retries === 0 ? undefined : retries
}
