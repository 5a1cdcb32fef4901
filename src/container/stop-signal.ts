// Signals as people write them: `SIGTERM`, `term`, `15`, `RTMIN+3`.

import { constants } from 'node:os'
import type { StoredRequest } from './container.ts'

const realTimeMin = 34
const realTimeMax = 64

/** The kernel's number; undefined for what is no signal. */
export function signalNumber(text: string): number | undefined {
  if (/^\d{1,2}$/.test(text)) {
    const number = Number(text)
    return number >= 1 && number <= realTimeMax ? number : undefined
  }
  const name = text.toUpperCase().replace(/^SIG/, '')
  if (name === 'CLD') return constants.signals.SIGCHLD
  const known = Object.entries(constants.signals).find(([signal]) => signal === `SIG${name}`)
  if (known !== undefined) return known[1]
  const [, base, sign, offset = '0'] = /^(RTMIN|RTMAX)(?:([+-])(\d{1,2}))?$/.exec(name) ?? []
  if (base === undefined) return undefined
  const number = base === 'RTMIN' ? realTimeMin + Number(offset) : realTimeMax - Number(offset)
  const isRightWay = sign === undefined || (sign === '+') === (base === 'RTMIN')
  return isRightWay && number >= realTimeMin && number <= realTimeMax ? number : undefined
}

/** What stops a container: the caller's word, the image's, or SIGTERM. */
export function stopSignalOf({
  spec,
  imageConfig,
}: Pick<StoredRequest, 'spec' | 'imageConfig'>): string {
  const text = spec.stopSignal ?? imageConfig.StopSignal ?? 'SIGTERM'
  return signalNumber(text) === undefined ? 'SIGTERM' : text
}

/** Seconds that a container has to stop, unless its caller said otherwise; docker's. */
export const defaultStopSeconds = 10
