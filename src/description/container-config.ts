// What <containerconfig> makes of an image: its names, and how its containers start.

import type { HistoryEntry, RunConfig } from '../oci/image-config.ts'
import { defaultPath } from '../oci/image-config.ts'
import { parseReference, type Reference } from '../oci/reference.ts'
import type { Description, Located, NamedValue } from './description.ts'
import type { SelectedDescription } from './select-description.ts'
import { withoutUndefined } from './without-undefined.ts'

/** KIWI's name for a container image that has none. */
const defaultName = 'kiwi-container'

const defaultCommand = ['/bin/bash']

/** The names that the image gets, the main one first; none for types that are no container images. */
export function imageReferences({ typeName, type }: SelectedDescription): readonly Reference[] {
  if (typeName === 'tbz') return []
  const config = type.containerConfig
  const name = config?.name.value ?? defaultName
  const names = [
    `${name}:${config?.tag?.value ?? 'latest'}`,
    ...(config?.additionalNames ?? []).map(({ value }) =>
      value.startsWith(':') ? `${name}${value}` : value,
    ),
  ]
  return [...new Set(names)].map(parseReference)
}

/** How containers start; the search path is always set, and a shell is started where nothing else is. */
export function runConfig({ typeName, type }: SelectedDescription): RunConfig {
  if (typeName === 'tbz') return {}
  const config = type.containerConfig
  if (config === undefined) return { Env: environment([]), Cmd: defaultCommand }
  const { entrypoint, subcommand } = config
  const command = entrypoint === undefined && subcommand === undefined ? defaultCommand : subcommand
  return withoutUndefined({
    User: config.user,
    ExposedPorts: nameSet(config.exposedPorts.map(normalisePort)),
    Env: environment(config.environment),
    Entrypoint: wordsOrNone(entrypoint),
    Cmd: wordsOrNone(command),
    Volumes: nameSet(config.volumes.map(({ value }) => value)),
    WorkingDir: config.workingDirectory?.value,
    Labels: labelsOrNone(config.labels),
    StopSignal: config.stopSignal,
  })
}

function wordsOrNone(words: readonly string[] | undefined): readonly string[] | undefined {
  return words === undefined || words.length === 0 ? undefined : words
}

/** The image's author: the maintainer, or who wrote the description. */
export function imageAuthor({ description, type }: SelectedDescription): string {
  return type.containerConfig?.maintainer ?? descriptionAuthor(description)
}

function descriptionAuthor({ author, contact }: Description): string {
  return contact === '' ? author : `${author} <${contact}>`
}

/** What the history of the image says about what the description made. */
export function imageHistory(
  { description, type }: SelectedDescription,
  kauriVersion: string,
): Omit<HistoryEntry, 'created' | 'empty_layer'> {
  const history = type.containerConfig?.history
  return {
    created_by: history?.createdBy ?? `kauri ${kauriVersion}`,
    author: history?.author ?? descriptionAuthor(description),
    ...(history?.comment === undefined ? {} : { comment: history.comment }),
  }
}

/** `80` is `80/tcp`, as the image specification writes ports. */
function normalisePort({ value }: Located<string>): string {
  const [port = '', protocol = 'tcp'] = value.split('/')
  return `${Number(port)}/${protocol}`
}

/** The form that ports and volumes have in an image's configuration. */
function nameSet(names: readonly string[]): Record<string, Record<string, never>> | undefined {
  if (names.length === 0) return undefined
  return Object.fromEntries(names.toSorted().map(name => [name, {}]))
}

function environment(values: readonly NamedValue[]): string[] {
  const byName = new Map([['PATH', defaultPath]])
  for (const { name, value } of values) byName.set(name.value, value)
  return [...byName].map(([name, value]) => `${name}=${value}`)
}

function labelsOrNone(values: readonly NamedValue[]): Record<string, string> | undefined {
  if (values.length === 0) return undefined
  return Object.fromEntries(values.map(({ name, value }) => [name.value, value]))
}
