// The options that select and change a description, KIWI's words: which profiles and type, other repositories, more or
// fewer packages. What they change is the selected description; positions say that the command line asked for it.

import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { KauriError, type SourcePosition } from '../core/errors.ts'
import type { Located, Repository } from '../description/description.ts'
import type { SelectedDescription } from '../description/select-description.ts'
import type { OptionSpec, ParsedOptions } from './command.ts'

/** Options that every command which reads a description takes. */
export const descriptionOptions: readonly OptionSpec[] = [
  { long: 'profile', value: 'NAME', repeat: true, summary: 'Build with this profile' },
  { long: 'type', value: 'TYPE', summary: 'Build this image type instead of the primary one' },
  { long: 'kiwi-file', value: 'FILE', summary: "Name of the description's file in its directory" },
  {
    long: 'add-package',
    value: 'NAME',
    repeat: true,
    summary: 'Install this package, too',
  },
  {
    long: 'add-bootstrap-package',
    value: 'NAME',
    repeat: true,
    summary: 'Install this package, too, with the first ones',
  },
  {
    long: 'delete-package',
    value: 'NAME',
    repeat: true,
    summary: 'Remove this package after the installation',
  },
  { long: 'ignore-repos', summary: "Leave out the description's repositories" },
  {
    long: 'set-repo',
    value: 'SOURCE[,TYPE[,ALIAS[,…]]]',
    summary: "Use this in place of the description's first repository",
  },
  {
    long: 'add-repo',
    value: 'SOURCE[,TYPE[,ALIAS[,…]]]',
    repeat: true,
    summary: 'Use this repository, too',
  },
  {
    long: 'signing-key',
    value: 'FILE|URL',
    repeat: true,
    summary: 'Trust this key for every repository',
  },
  { long: 'set-container-tag', value: 'TAG', summary: 'Tag of the image' },
  {
    long: 'add-container-label',
    value: 'NAME=VALUE',
    repeat: true,
    summary: 'Give the image this label, too',
  },
]

/** Options that say how steps are carried out. */
export const buildOptions: readonly OptionSpec[] = [
  { long: 'offline', summary: 'Ask no repository: take what was downloaded before' },
  {
    long: 'source-date-epoch',
    value: 'SECONDS',
    summary: 'Time of the image; by default SOURCE_DATE_EPOCH, or that of its newest package',
  },
  {
    long: 'network',
    value: 'NETWORK',
    choices: ['none', 'host'],
    summary: 'What scripts can reach (default: none)',
  },
]

/** Fields of what `--set-repo` and `--add-repo` take, in KIWI's order. */
const repositoryFields = [
  'SOURCE',
  'TYPE',
  'ALIAS',
  'PRIORITY',
  'IMAGEINCLUDE',
  'PACKAGE_GPGCHECK',
  '{KEY;KEY}',
  'COMPONENTS',
  'DISTRIBUTION',
  'REPO_GPGCHECK',
  'SOURCETYPE',
] as const

/** The same for people; later fields may be left out. */
export const repositoryTuple: string = repositoryFields.join(',')

/** The description as the options want it. @throws USAGE, UNSUPPORTED */
export function applyDescriptionOptions(
  selected: SelectedDescription,
  options: ParsedOptions,
): SelectedDescription {
  const packages = {
    ...selected.packages,
    bootstrap: withPackages(selected.packages.bootstrap, options, 'add-bootstrap-package'),
    image: withPackages(selected.packages.image, options, 'add-package'),
  }
  const repositories = repositoriesFor(selected.repositories, options)
  return withContainer({ ...selected, packages, repositories }, options)
}

type Packages = SelectedDescription['packages']['image']

function withPackages(packages: Packages, options: ParsedOptions, option: string): Packages {
  const byName = new Map(packages.packages.map(one => [one.value, one]))
  for (const name of options.texts(option))
    if (!byName.has(name)) byName.set(name, { value: name, where: from(option) })
  return {
    ...packages,
    packages: [...byName.values()].toSorted((a, b) => (a.value < b.value ? -1 : 1)),
  }
}

function repositoriesFor(
  described: readonly Repository[],
  options: ParsedOptions,
): readonly Repository[] {
  const kept = options.flag('ignore-repos') ? [] : described
  const set = options.text('set-repo')
  const first = set === undefined ? [] : [parseRepository(set, 'set-repo')]
  const added = options.texts('add-repo').map(text => parseRepository(text, 'add-repo'))
  const repositories = [...first, ...(set === undefined ? kept : kept.slice(1)), ...added]
  if (repositories.every(({ imageOnly }) => imageOnly))
    throw new KauriError('USAGE', 'no repository is left to install from', {
      hint: 'name one with --set-repo or --add-repo',
    })
  const keys = options.texts('signing-key').map(key => locate(keyLocation(key), 'signing-key'))
  return repositories.map(repository => ({ ...repository, keys: [...repository.keys, ...keys] }))
}

function parseRepository(text: string, option: string): Repository {
  const field = readRepositoryFields(text, option)
  const priority = field('PRIORITY')
  const checksPackages = readBoolean(field('PACKAGE_GPGCHECK'), option)
  const checksRepository = readBoolean(field('REPO_GPGCHECK'), option)
  return {
    selector: { profiles: [], architectures: [] },
    where: from(option),
    source: locate(field('SOURCE'), option),
    keys: splitWords(field('{KEY;KEY}').replace(/^\{(.*)\}$/, '$1'), ';').map(key =>
      locate(keyLocation(key), option),
    ),
    components: splitWords(field('COMPONENTS'), ' '),
    architectures: [],
    imageInclude: readBoolean(field('IMAGEINCLUDE'), option) ?? false,
    imageOnly: false,
    ...(field('ALIAS') === '' ? {} : { alias: field('ALIAS') }),
    ...(field('DISTRIBUTION') === '' ? {} : { distribution: field('DISTRIBUTION') }),
    ...(priority === '' ? {} : { priority: readPriority(priority, option) }),
    ...(checksPackages === undefined ? {} : { packageGpgCheck: checksPackages }),
    ...(checksRepository === undefined ? {} : { repositoryGpgCheck: checksRepository }),
  }
}

type RepositoryField = (typeof repositoryFields)[number]

/** Commas inside of braces belong to the keys. What kauri would have to ignore is refused. @throws USAGE, UNSUPPORTED */
function readRepositoryFields(text: string, option: string): (name: RepositoryField) => string {
  const values = text.split(/,(?![^{]*\})/).map(value => value.trim())
  const field = (name: RepositoryField): string => values[repositoryFields.indexOf(name)] ?? ''
  if (field('SOURCE') === '' || values.length > repositoryFields.length)
    throw new KauriError('USAGE', `--${option} does not take "${text}"`, {
      hint: `write ${repositoryTuple}; fields at the end may be left out`,
    })
  const type = field('TYPE')
  if (type !== '' && type !== 'apt-deb')
    throw new KauriError(
      'UNSUPPORTED',
      `--${option}: repositories of type "${type}" cannot be used`,
      { hint: 'the type of Debian repositories is apt-deb' },
    )
  const sourceType = field('SOURCETYPE')
  if (sourceType !== '' && sourceType !== 'baseurl')
    throw new KauriError(
      'UNSUPPORTED',
      `--${option}: the source type "${sourceType}" cannot be used`,
      { hint: 'leave it out, or write baseurl' },
    )
  return field
}

function splitWords(text: string, separator: string): string[] {
  return text
    .split(separator)
    .map(word => word.trim())
    .filter(word => word !== '')
}

function readBoolean(text: string, option: string): boolean | undefined {
  if (text === '') return undefined
  if (text === 'true' || text === 'false') return text === 'true'
  throw new KauriError('USAGE', `--${option}: "${text}" is neither true nor false`)
}

function readPriority(text: string, option: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw new KauriError('USAGE', `--${option}: the priority "${text}" is no number`)
}

/** A URL stays; a path becomes a file URL. */
function keyLocation(key: string): string {
  return /^[a-z]+:/.test(key) ? key : pathToFileURL(path.resolve(key)).href
}

function withContainer(selected: SelectedDescription, options: ParsedOptions): SelectedDescription {
  const tag = options.text('set-container-tag')
  const labels = options.texts('add-container-label')
  if (tag === undefined && labels.length === 0) return selected
  const container = selected.type.containerConfig
  if (container === undefined)
    throw new KauriError('USAGE', 'the image type has no <containerconfig> to change', {
      hint: 'leave out --set-container-tag and --add-container-label, or choose another --type',
    })
  const added = labels.map(text => parseLabel(text))
  const names = new Set(added.map(({ name }) => name.value))
  const containerConfig = {
    ...container,
    ...(tag === undefined ? {} : { tag: locate(tag, 'set-container-tag') }),
    labels: [...container.labels.filter(({ name }) => !names.has(name.value)), ...added],
  }
  return { ...selected, type: { ...selected.type, containerConfig } }
}

function parseLabel(text: string): { readonly name: Located<string>; readonly value: string } {
  const equals = text.indexOf('=')
  if (equals <= 0)
    throw new KauriError('USAGE', `--add-container-label does not take "${text}"`, {
      hint: 'write NAME=VALUE',
    })
  return {
    name: locate(text.slice(0, equals), 'add-container-label'),
    value: text.slice(equals + 1),
  }
}

function locate(value: string, option: string): Located<string> {
  return { value, where: from(option) }
}

/** Where messages about the value point to. */
function from(option: string): SourcePosition {
  return { file: `--${option}`, line: 1, column: 1 }
}
