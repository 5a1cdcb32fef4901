// STOPSIGNAL: a number, or a name with or without SIG.

import { constants } from 'node:os'

/** True for what a container can be stopped with, by docker's rule. */
export function isStopSignal(text: string): boolean {
  if (/^[+-]?\d{1,9}$/.test(text)) return Number(text) !== 0
  const name = text.toUpperCase().replace(/^SIG/, '')
  if (name === 'CLD' || Object.hasOwn(constants.signals, `SIG${name}`)) return true
  const [, base, offset = '0'] = /^(RTMIN|RTMAX)(?:[+-](\d{1,2}))?$/.exec(name) ?? []
  if (base === undefined) return false
  const isUpward = name.includes('+')
  if (offset === '0') return !/[+-]/.test(name)
  return base === 'RTMIN' ? isUpward && Number(offset) <= 15 : !isUpward && Number(offset) <= 14
}
