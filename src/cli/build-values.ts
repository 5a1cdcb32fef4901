// Values of build options that several parts of a build read: arguments, platforms, labels, times.

import type { ImageTimes } from '../build/build-plans.ts'
import { KauriError } from '../core/errors.ts'
import { formatPlatform, hostPlatform, type Platform, parsePlatform } from '../oci/platform.ts'
import { parseBuildArguments } from './build-arguments.ts'
import { commaList } from './build-fields.ts'
import type { ParsedOptions } from './command.ts'
import type { Environment } from './global-options.ts'
import { badValue } from './option-values.ts'
import { readSourceDateEpoch } from './source-date-epoch.ts'

const epochName = 'SOURCE_DATE_EPOCH'

/** --build-arg values, and the time that --source-date-epoch says. @throws USAGE */
export function readBuildArguments(
  options: ParsedOptions,
  environment: Environment,
): ReadonlyMap<string, string> {
  const values = parseBuildArguments(options.texts('build-arg'), environment)
  // Stages that declare it see the time that the image gets.
  const epoch = readSourceDateEpoch(options)
  if (epoch !== undefined && !values.has(epochName)) values.set(epochName, String(epoch))
  return values
}

/** The platforms of the result, each once; this machine's where none is named. @throws USAGE */
export function readPlatforms(options: ParsedOptions): readonly Platform[] {
  const named = commaList(options.texts('platform')).map(word =>
    word === 'local' ? hostPlatform() : parsePlatform(word),
  )
  const byName = new Map(named.map(platform => [formatPlatform(platform), platform]))
  return byName.size === 0 ? [hostPlatform()] : [...byName.values()]
}

/** `KEY=VALUE`; a key alone has an empty value. @throws USAGE */
export function readLabels(options: ParsedOptions): ReadonlyMap<string, string> {
  return new Map(
    options.texts('label').map(text => {
      const equals = text.indexOf('=')
      if (text === '' || equals === 0) throw badValue('--label', text, 'write KEY=VALUE')
      return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)]
    }),
  )
}

/** Whether a build argument that steers the builder says yes, as Go's programs read it. */
export function isTrue(text: string | undefined): boolean {
  return /^(?:1|t|true)$/i.test(text ?? '')
}

export interface TimesInput {
  readonly options: ParsedOptions
  /** Of the build argument, in seconds since 1970. */
  readonly argumentSeconds: number | undefined
  /** An output, too, asked for times that are not newer than the epoch. */
  readonly rewrites: boolean
}

/** Which times the image tells. @throws USAGE for times that have no epoch */
export function readTimes({ options, argumentSeconds, rewrites }: TimesInput): ImageTimes {
  // A build argument goes before the caller's variable, the option before both.
  const isChosen = options.text('source-date-epoch') !== undefined || !namesEpoch(options)
  const chosenSeconds = isChosen ? readSourceDateEpoch(options) : undefined
  const isClamped = rewrites || options.flag('rewrite-timestamp')
  const createdSeconds = chosenSeconds ?? argumentSeconds
  if (isClamped && createdSeconds === undefined)
    throw new KauriError('USAGE', 'there is no time to rewrite timestamps to', {
      hint: 'set it with --source-date-epoch or --build-arg SOURCE_DATE_EPOCH=…',
    })
  if (createdSeconds === undefined) return { layers: 'kept' }
  if (isClamped) return { createdSeconds, layers: 'clamped' }
  return { createdSeconds, layers: chosenSeconds === undefined ? 'kept' : 'stamped' }
}

function namesEpoch(options: ParsedOptions): boolean {
  return options.texts('build-arg').some(text => text.split('=', 1)[0] === epochName)
}
