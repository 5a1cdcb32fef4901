// apt's configuration as data: what `apt-config dump` prints, and the files that we give to apt ourselves. Only values
// of a short list are taken over from the host: nothing that names a program can get into a build.

import type { ProcessOptions } from '../core/process.ts'
import { runChecked } from '../core/process.ts'

/** One setting; a name that ends with `::` adds to a list. */
export interface AptSetting {
  readonly name: string
  readonly value: string
}

/** Settings in file order; later ones win. */
export type AptSettings = readonly AptSetting[]

/** What the host's apt is set to. @throws PREREQUISITE_MISSING without apt, REPOSITORY_INVALID where its configuration is broken */
export async function readAptSettings(
  options: Pick<ProcessOptions, 'env' | 'signal'>,
): Promise<AptSettings> {
  const { stdout } = await runChecked(['apt-config', 'dump', '--format', '%F=%V%n'], {
    ...options,
    what: "reading the host's apt configuration",
    code: 'REPOSITORY_INVALID',
    installHint: 'apt-get install apt',
  })
  return parseAptSettings(stdout)
}

/** Reads lines of `name=value`, both percent-encoded where needed. */
export function parseAptSettings(dump: string): AptSetting[] {
  return dump
    .split('\n')
    .filter(line => line.includes('='))
    .map(line => {
      const equals = line.indexOf('=')
      return { name: decode(line.slice(0, equals)), value: decode(line.slice(equals + 1)) }
    })
}

/** The last value of a setting, or undefined where it is absent or empty. */
export function settingOf(settings: AptSettings, name: string): string | undefined {
  const wanted = name.toLowerCase()
  const value = settings.findLast(setting => setting.name.toLowerCase() === wanted)?.value
  return value === '' ? undefined : value
}

/** A path setting such as `Dir::Etc::sourcelist`: relative ones stand below the setting that they are part of. */
export function pathSetting(settings: AptSettings, name: string): string | undefined {
  if (settingOf(settings, name) === undefined) return undefined
  const parts = name.split('::')
  let found = ''
  for (let count = parts.length; count > 0; count--) {
    const value = settingOf(settings, parts.slice(0, count).join('::')) ?? ''
    found = found === '' ? value : `${value.replace(/\/*$/, '/')}${found}`
    if (found.startsWith('/')) break
  }
  return `${settingOf(settings, 'RootDir')?.replace(/\/+$/, '') ?? ''}${found}`
}

/** How repositories are reached: the settings of the methods, and those that say how long lists are good for. */
const takenOver =
  /^Acquire::(?:https?|ftp|tor(?:\+https?)?|Retries|ForceIPv[46]|Check-Valid-Until|Check-Date|(?:Max|Min)-ValidTime|Max-FutureTime|Queue-Mode|EnableSrvRecords|By-Hash)(?:$|::)/i
/** The host's programs that find a proxy are programs, too. */
const namesProgram = /::(?:Proxy-Auto-Detect|ProxyAutoDetect)(?:$|::)/i

/** The host's settings that a build uses: proxies, certificates, time-outs, retries. */
export function acquireSettings(settings: AptSettings): AptSetting[] {
  return settings.filter(
    ({ name, value }) => value !== '' && takenOver.test(name) && !namesProgram.test(name),
  )
}

/** The program that the host asks for its proxy, where it has one and no fixed proxy beside it. */
export function proxyProgram(settings: AptSettings): string | undefined {
  const fixed = settings.some(({ name, value }) => /^Acquire::https?::Proxy$/i.test(name) && value)
  return fixed
    ? undefined
    : settings.find(({ name, value }) => namesProgram.test(name) && value)?.value
}

/** Text of a configuration file; settings that its syntax cannot hold are left out. */
export function formatAptSettings(settings: AptSettings): string {
  return settings
    .filter(({ name, value }) => !/["\n]/.test(value) && !/[\s"{};]/.test(name))
    .map(({ name, value }) => `${name} "${value}";\n`)
    .join('')
}

function decode(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
}
