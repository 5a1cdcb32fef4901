// HEALTHCHECK: options with durations, then NONE, or CMD with a command in either form.

import { KauriError } from '../core/errors.ts'
import type { Healthcheck } from '../oci/image-config.ts'
import { definedMembers } from '../oci/json-shape.ts'
import { jsonStrings } from './change-text.ts'

const optionForm = /^--([a-z-]+)=(\S*)\s*/
const durations = ['interval', 'timeout', 'start-period', 'start-interval']

/** @throws USAGE with docker's words */
export function parseHealthcheck(text: string): Healthcheck {
  const options = new Map<string, string>()
  let rest = text
  for (let found = optionForm.exec(rest); found !== null; found = optionForm.exec(rest)) {
    const [whole, name = '', value = ''] = found
    if (name !== 'retries' && !durations.includes(name))
      throw new KauriError('USAGE', `unknown flag: ${name}`)
    options.set(name, value)
    rest = rest.slice(whole.length)
  }
  return { ...parseTest(rest), ...parseOptions(options) }
}

function parseTest(text: string): Healthcheck {
  const [, word = '', command = ''] = /^(\S*)\s*([^]*)$/.exec(text) ?? []
  const kind = word.toUpperCase()
  if (kind === 'NONE') {
    if (command !== '') throw new KauriError('USAGE', 'HEALTHCHECK NONE takes no arguments')
    return { Test: ['NONE'] }
  }
  if (kind !== 'CMD')
    throw new KauriError(
      'USAGE',
      kind === ''
        ? 'HEALTHCHECK requires at least one argument'
        : `Unknown type ${JSON.stringify(kind)} in HEALTHCHECK (try CMD)`,
    )
  if (command === '') throw new KauriError('USAGE', 'Missing command after HEALTHCHECK CMD')
  const list = jsonStrings(command)
  return { Test: list === undefined ? ['CMD-SHELL', command] : ['CMD', ...list] }
}

function parseOptions(options: ReadonlyMap<string, string>): Omit<Healthcheck, 'Test'> {
  const duration = (name: string): number | undefined => {
    const text = options.get(name)
    return text === undefined ? undefined : parseHealthDuration(name, text)
  }
  return definedMembers({
    Interval: duration('interval'),
    Timeout: duration('timeout'),
    StartPeriod: duration('start-period'),
    StartInterval: duration('start-interval'),
    Retries: parseRetries(options.get('retries')),
  })
}

function parseRetries(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,9}$/.test(text))
    throw new KauriError('USAGE', `--retries wants a number from 0, got "${text}"`)
  return Number(text)
}

const nanosecondsByUnit: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}

/** Go's durations, such as `1m30s`, in nanoseconds. */
function parseHealthDuration(name: string, text: string): number {
  if (text === '0') return 0
  const parts = [...text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/gy)]
  const isWhole = parts.length > 0 && parts.map(([part]) => part).join('') === text
  const nanoseconds = parts.reduce(
    (sum, [, amount, unit = 's']) => sum + Number(amount) * (nanosecondsByUnit[unit] ?? 0),
    0,
  )
  if (!isWhole) throw new KauriError('USAGE', `--${name}: invalid duration "${text}"`)
  if (nanoseconds !== 0 && nanoseconds < 1e6)
    throw new KauriError('USAGE', `--${name} cannot be less than 1ms, got "${text}"`)
  return Math.round(nanoseconds)
}
