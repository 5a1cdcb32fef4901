// Reads the seccomp profile of a runtime configuration (runtime-spec v1.2.1 config-linux.md#seccomp).

import {
  definedMembers,
  type JsonPlace,
  listOf,
  objectReader,
  type ReadJson,
  readSize,
  readText,
  wrongShape,
} from './json-shape.ts'
import { oneOf, readAbsolute, readTexts } from './read-process-config.ts'
import type { SeccompConfig, SeccompRule } from './runtime-config.ts'

/** Actions, operators and flags that the runtime serves; `features` tells them. */
export const seccompActions: readonly string[] =
  'ALLOW ERRNO KILL KILL_PROCESS KILL_THREAD LOG NOTIFY TRACE TRAP'
    .split(' ')
    .map(name => `SCMP_ACT_${name}`)

export const seccompOperators: readonly string[] = 'EQ GE GT LE LT MASKED_EQ NE'
  .split(' ')
  .map(name => `SCMP_CMP_${name}`)

export const seccompFlags: readonly string[] = [
  'TSYNC',
  'LOG',
  'SPEC_ALLOW',
  'WAIT_KILLABLE_RECV',
].map(name => `SECCOMP_FILTER_FLAG_${name}`)

/** Only these two answers carry a number. */
const withErrno = new Set(['SCMP_ACT_ERRNO', 'SCMP_ACT_TRACE'])

function checkErrno(action: string, errnoRet: number | undefined, place: JsonPlace): void {
  if (errnoRet === undefined || withErrno.has(action)) return
  throw wrongShape(place, `no errno, which ${action} does not return`, errnoRet)
}

const readErrno: ReadJson<number> = (value, place) => {
  const number = readSize(value, place)
  if (number > 0xffff) throw wrongShape(place, 'a number of 16 bits', value)
  return number
}

const readValue: ReadJson<number | bigint> = (value, place) =>
  typeof value === 'bigint' && value >= 0n && value < 1n << 64n ? value : readSize(value, place)

const readArgument: ReadJson<NonNullable<SeccompRule['args']>[number]> = (value, place) => {
  const argument = objectReader(value, place)
  return definedMembers({
    index: argument.required('index', (index, at) => {
      const number = readSize(index, at)
      if (number > 5) throw wrongShape(at, 'an index from 0 to 5', index)
      return number
    }),
    value: argument.optional('value', readValue) ?? 0,
    valueTwo: argument.optional('valueTwo', readValue),
    op: argument.required('op', oneOf(seccompOperators)),
  })
}

const readRule: ReadJson<SeccompRule> = (value, place) => {
  const rule = objectReader(value, place)
  const action = rule.required('action', oneOf(seccompActions))
  const errnoRet = rule.optional('errnoRet', readErrno)
  checkErrno(action, errnoRet, place)
  const names = rule.required('names', readTexts)
  if (names.length === 0) throw wrongShape(place, 'at least one name', names)
  return definedMembers({
    names,
    action,
    errnoRet,
    args: rule.optional('args', listOf(readArgument)),
  })
}

/** A profile. The agent's part stands or falls with the path of its socket. */
export const readSeccompConfig: ReadJson<SeccompConfig> = (value, place) => {
  const profile = objectReader(value, place)
  const defaultAction = profile.required('defaultAction', oneOf(seccompActions))
  const defaultErrnoRet = profile.optional('defaultErrnoRet', readErrno)
  checkErrno(defaultAction, defaultErrnoRet, place)
  const listenerPath = profile.optional('listenerPath', readAbsoluteOrNone)
  const listenerMetadata = profile.optional('listenerMetadata', readText) || undefined
  if (listenerMetadata !== undefined && listenerPath === undefined)
    throw wrongShape(place, 'a listenerPath beside listenerMetadata', listenerMetadata)
  return definedMembers({
    defaultAction,
    defaultErrnoRet,
    architectures: profile.optional('architectures', readTexts),
    flags: profile.optional('flags', listOf(oneOf(seccompFlags))),
    listenerPath,
    listenerMetadata,
    syscalls: profile.optional('syscalls', listOf(readRule)) ?? [],
  })
}

const readAbsoluteOrNone: ReadJson<string | undefined> = (value, place) =>
  value === '' ? undefined : readAbsolute(value, place)
