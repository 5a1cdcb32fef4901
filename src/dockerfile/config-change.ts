// Instructions that change how a container starts and nothing in its files: what `import -c` and `commit -c` take.
// Refusals are worded as docker words them, because scripts look for that.

import { constants } from 'node:os'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import type { RunConfig } from '../oci/image-config.ts'
import { definedMembers } from '../oci/json-shape.ts'
import { execOrShell, jsonStrings, logicalLines, nameValuePairs } from './change-text.ts'
import { expandWord } from './expand-word.ts'
import { parseHealthcheck } from './healthcheck.ts'

/** What one instruction works on. */
interface Change {
  readonly config: RunConfig
  /** The text after the instruction's word. */
  readonly text: string
  /** True when a CMD came before, so that ENTRYPOINT leaves it alone. */
  readonly hasCommand: boolean
}

const changeTable: Readonly<Record<string, (change: Change) => RunConfig>> = {
  CMD: ({ config, text }) => ({ ...config, Cmd: execOrShell(text, shellOf(config)) }),
  ENTRYPOINT: changeEntrypoint,
  ENV: ({ config, text }) => ({
    ...config,
    Env: setVariables(config, expandedPairs('ENV', text, config)),
  }),
  EXPOSE: ({ config, text }) => {
    const ports = required('EXPOSE', words(text, config)).flatMap(portsOf)
    return { ...config, ExposedPorts: { ...config.ExposedPorts, ...emptyMembers(ports) } }
  },
  HEALTHCHECK: ({ config, text }) => ({ ...config, Healthcheck: parseHealthcheck(text) }),
  LABEL: ({ config, text }) => {
    const labels = Object.fromEntries(expandedPairs('LABEL', text, config))
    return { ...config, Labels: { ...config.Labels, ...labels } }
  },
  ONBUILD: ({ config, text }) => ({
    ...config,
    OnBuild: [...(config.OnBuild ?? []), triggerOf(text)],
  }),
  STOPSIGNAL: ({ config, text }) => ({
    ...config,
    StopSignal: signalOf(expanded('STOPSIGNAL', text, config)),
  }),
  USER: ({ config, text }) => ({ ...config, User: expanded('USER', text, config) }),
  VOLUME: ({ config, text }) => {
    const paths = jsonStrings(text)?.map(item => expanded('VOLUME', item, config))
    const volumes = required('VOLUME', paths ?? words(text, config))
    return { ...config, Volumes: { ...config.Volumes, ...emptyMembers(volumes) } }
  },
  WORKDIR: ({ config, text }) => ({
    ...config,
    WorkingDir: path.posix.resolve('/', config.WorkingDir ?? '', expanded('WORKDIR', text, config)),
  }),
}

/**
 * Applies lines as they would stand in a Dockerfile, in order; each sees the environment that those before it set.
 * @throws USAGE for any other instruction, and for arguments that an instruction does not take
 */
export function changeConfig(start: RunConfig, lines: readonly string[]): RunConfig {
  let config = start
  let hasCommand = false
  for (const line of logicalLines(lines.join('\n'))) {
    const [, word = '', text = ''] = /^(\S+)\s*([^]*)$/.exec(line) ?? []
    const instruction = word.toUpperCase()
    const change = Object.hasOwn(changeTable, instruction) ? changeTable[instruction] : undefined
    if (change === undefined)
      throw new KauriError('USAGE', `${word} is not a valid change command`, {
        hint: `take one of ${Object.keys(changeTable).join(', ')}`,
      })
    config = change({ config, text: text.trim(), hasCommand })
    hasCommand ||= instruction === 'CMD'
  }
  return config
}

function changeEntrypoint({ config, text, hasCommand }: Change): RunConfig {
  const { Cmd, ...rest } = config
  const command = hasCommand ? definedMembers({ Cmd }) : {}
  return { ...rest, ...command, Entrypoint: execOrShell(text, shellOf(config)) }
}

function shellOf({ Shell }: RunConfig): readonly string[] {
  return Shell ?? ['/bin/sh', '-c']
}

function lookUpIn({ Env = [] }: RunConfig): (name: string) => string | undefined {
  return name => Env.findLast(item => item.startsWith(`${name}=`))?.slice(name.length + 1)
}

function expanded(instruction: string, text: string, config: RunConfig): string {
  const { word } = expandWord(text, { lookUp: lookUpIn(config), escape: '\\' })
  if (word === '') throw new KauriError('USAGE', `${instruction} requires exactly one argument`)
  return word
}

function words(text: string, config: RunConfig): readonly string[] {
  return expandWord(text, { lookUp: lookUpIn(config), escape: '\\' }).words
}

function required(instruction: string, values: readonly string[]): readonly string[] {
  if (values.length === 0)
    throw new KauriError('USAGE', `${instruction} requires at least one argument`)
  return values
}

function emptyMembers(names: readonly string[]): Record<string, Record<string, never>> {
  return Object.fromEntries(names.map(name => [name, {}]))
}

/** All values of one instruction see the environment before it. */
function expandedPairs(instruction: string, text: string, config: RunConfig): [string, string][] {
  const expand = (part: string): string =>
    expandWord(part, { lookUp: lookUpIn(config), escape: '\\' }).word
  return nameValuePairs(instruction, text).map(([name, value]) => {
    const key = expand(name)
    if (key === '') throw new KauriError('USAGE', `${instruction} names can not be blank`)
    return [key, expand(value)]
  })
}

/** A variable keeps its place when it gets another value. */
function setVariables({ Env = [] }: RunConfig, pairs: readonly [string, string][]): string[] {
  const result = [...Env]
  for (const [name, value] of pairs) {
    const at = result.findIndex(item => item.startsWith(`${name}=`))
    if (at < 0) result.push(`${name}=${value}`)
    else result[at] = `${name}=${value}`
  }
  return result
}

const portForm = /^(?:[^:]*:)*(\d{1,5})(?:-(\d{1,5}))?(?:\/(\w+))?$/
const protocols = new Set(['tcp', 'udp', 'sctp'])

/** `80`, `80/udp`, `8000-8010`; the host's side of `IP:HOST:PORT` says nothing about the image. */
function portsOf(text: string): string[] {
  const [, first, last = first, protocol = 'tcp'] = portForm.exec(text) ?? []
  const [from, to] = [Number(first), Number(last)]
  if (first === undefined || from < 1 || to < from || to > 65_535)
    throw new KauriError('USAGE', `invalid containerPort: ${text}`)
  if (!protocols.has(protocol.toLowerCase()))
    throw new KauriError('USAGE', `invalid proto: ${protocol}`)
  return Array.from(
    { length: to - from + 1 },
    (_, index) => `${from + index}/${protocol.toLowerCase()}`,
  )
}

function signalOf(text: string): string {
  const name = text.toUpperCase()
  const isKnown =
    Object.hasOwn(constants.signals, name) ||
    Object.hasOwn(constants.signals, `SIG${name}`) ||
    /^(?:SIG)?RT(?:MIN|MAX)(?:[+-]\d{1,2})?$/.test(name) ||
    (/^\d{1,2}$/.test(name) && Number(name) >= 1 && Number(name) <= 64)
  if (!isKnown) throw new KauriError('USAGE', `invalid signal: ${text}`)
  return text
}

function triggerOf(text: string): string {
  const word = (/^\S*/.exec(text)?.[0] ?? '').toUpperCase()
  if (word === '') throw new KauriError('USAGE', 'ONBUILD requires at least one argument')
  if (word === 'ONBUILD')
    throw new KauriError('USAGE', "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
  if (word === 'FROM' || word === 'MAINTAINER')
    throw new KauriError('USAGE', `${word} isn't allowed as an ONBUILD trigger`)
  return text
}
