// What one build takes of a description: profiles with what they require, the sections for them and for the machine,
// preferences merged (later ones win), and the one image type. What kauri cannot do fails here, and only where selected.

import { KauriError } from '../core/errors.ts'
import type { PackageManagerName } from '../plan/plan.ts'
import { beyondManager } from './cross-checks.ts'
import type {
  CertificateSection,
  Description,
  FileList,
  ImageType,
  ImageTypeName,
  Preferences,
  Repository,
  User,
} from './description.ts'
import { nearestWord } from './did-you-mean.ts'
import { resolveProfiles } from './resolve-profiles.ts'
import { buildableTypes } from './schema/image-type.ts'
import { type PackageSelection, selectPackages } from './select-packages.ts'
import { isSelected, type Selection } from './selector.ts'
import { makeFinding } from './source-text.ts'

export interface SelectOptions {
  /** As asked for; none: those with import="true". */
  readonly profiles: readonly string[]
  /** Undefined: the primary type, else the first. */
  readonly type?: string | undefined
  /** `uname -m` name of the machine that the image is for. */
  readonly machine: string
}

/** A description as one build sees it. */
export interface SelectedDescription {
  readonly description: Description
  readonly machine: string
  /** With what they require, in the order in which their overlays apply. */
  readonly profiles: readonly string[]
  readonly name: string
  readonly version: string
  readonly type: ImageType
  readonly typeName: ImageTypeName
  readonly packageManager: PackageManagerName
  readonly settings: Omit<
    Preferences,
    'selector' | 'where' | 'types' | 'version' | 'packageManager'
  >
  readonly repositories: readonly Repository[]
  readonly packages: Readonly<Record<PackagePhase, PackageSelection>>
  readonly users: readonly User[]
  readonly certificates: readonly CertificateSection[]
  readonly fileLists: readonly FileList[]
}

/** When packages come or go. */
export type PackagePhase = 'bootstrap' | 'image' | 'uninstall' | 'delete'

/**
 * Selects what a build takes.
 * @throws USAGE for profiles and types that the description does not have, UNSUPPORTED with a finding for each thing that
 *   kauri cannot do, DESCRIPTION_INVALID where what is left makes no image
 */
export function selectDescription(
  description: Description,
  options: SelectOptions,
): SelectedDescription {
  const { machine } = options
  const profiles = resolveProfiles(description.profiles, options.profiles, machine)
  const selection: Selection = { profiles: new Set(profiles), machine }
  const preferences = description.preferences.filter(({ selector }) =>
    isSelected(selector, selection),
  )
  const type = chooseType(description, preferences, options.type)
  const merged = mergePreferences(preferences)
  refuseLimits(description, selection, type)
  const packageManager = supportedManager(description, merged)
  const version = merged.version?.value
  if (version === undefined)
    throw incomplete(description, 'no selected <preferences> has a <version>')
  const repositories = description.repositories.filter(({ selector }) =>
    isSelected(selector, selection),
  )
  const sections = description.packages.filter(({ selector }) => isSelected(selector, selection))
  const packagesOf = (...types: readonly string[]): PackageSelection =>
    selectPackages(sections, types, machine)
  const typeName = supportedType(type)
  const result: SelectedDescription = {
    description,
    machine,
    profiles,
    name: description.name.value,
    version,
    type,
    typeName,
    packageManager,
    settings: merged,
    repositories,
    packages: {
      bootstrap: packagesOf('bootstrap'),
      image: packagesOf('image', typeName),
      uninstall: packagesOf('uninstall'),
      delete: packagesOf('delete'),
    },
    users: lastOfEachName(
      description.users
        .filter(({ selector }) => isSelected(selector, selection))
        .flatMap(({ users }) => users),
    ),
    certificates: description.certificates.filter(({ selector }) =>
      isSelected(selector, selection),
    ),
    fileLists: description.fileLists.filter(({ selector }) => isSelected(selector, selection)),
  }
  const beyond = sections.flatMap(section => beyondManager(section, packageManager))
  if (beyond.length > 0)
    throw unsupported(
      beyond.map(({ where, message }) => makeFinding('package-manager-cannot', where, { message })),
    )
  return result
}

/** `NAME.MACHINE-VERSION`, what every result file of a build starts with. */
export function resultBaseName({ name, machine, version }: SelectedDescription): string {
  return `${name}.${machine}-${version}`
}

function mergePreferences(
  preferences: readonly Preferences[],
): Omit<Preferences, 'selector' | 'where' | 'types'> {
  const merged = preferences.map(
    ({ selector: _selector, where: _where, types: _types, ...rest }) => rest,
  )
  return {
    ...Object.assign({ licenses: [] }, ...merged),
    licenses: merged.flatMap(({ licenses }) => licenses),
  }
}

function chooseType(
  description: Description,
  preferences: readonly Preferences[],
  wanted: string | undefined,
): ImageType {
  const types = preferences.flatMap(section => section.types)
  const names = types.map(({ image }) => image.value)
  const [first] = types
  if (first === undefined)
    throw incomplete(
      description,
      'no <type> is selected',
      description.profiles.length === 0
        ? undefined
        : `choose a profile: ${description.profiles.map(({ name }) => name.value).join(', ')}`,
    )
  const chosen =
    wanted === undefined
      ? (types.find(({ primary }) => primary) ?? first)
      : types.find(({ image }) => image.value === wanted)
  if (chosen === undefined) {
    const nearest = nearestWord(wanted ?? '', names)
    throw new KauriError(
      'USAGE',
      `the description has no image type ${wanted}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`,
      { hint: `it has ${names.join(', ')}` },
    )
  }
  const same = types.filter(({ image }) => image.value === chosen.image.value)
  if (same.length > 1) throw repeatedType(same)
  return chosen
}

function repeatedType(types: readonly ImageType[]): KauriError {
  const findings = types.map(({ image, where }) =>
    makeFinding('type-repeated', where, { message: `<type image="${image.value}"> is selected` }),
  )
  return new KauriError(
    'DESCRIPTION_INVALID',
    `${types.length} <type> elements for ${types[0]?.image.value ?? ''} are selected together`,
    {
      where: types[0]?.where,
      diagnostics: findings,
      hint: 'choose profiles that select one of them',
    },
  )
}

function supportedType({ image, where }: ImageType): ImageTypeName {
  const known = buildableTypes.find(name => name === image.value)
  if (known !== undefined) return known
  throw new KauriError('UNSUPPORTED', `the image type ${image.value} is not supported`, { where })
}

function supportedManager(
  description: Description,
  { packageManager }: Pick<Preferences, 'packageManager'>,
): PackageManagerName {
  if (packageManager?.value === 'apt') return 'apt'
  throw packageManager === undefined
    ? incomplete(description, 'no selected <preferences> has a <packagemanager>')
    : new KauriError(
        'UNSUPPORTED',
        `the package manager ${packageManager.value} is not supported`,
        {
          where: packageManager.where,
        },
      )
}

function refuseLimits(description: Description, selection: Selection, type: ImageType): void {
  const isHere = (where: { line: number; column: number; file: string }): boolean =>
    where.line === type.where.line &&
    where.column === type.where.column &&
    where.file === type.where.file
  const hit = description.limits.filter(
    limit =>
      limit.selectors.every(selector => isSelected(selector, selection)) &&
      (limit.type === undefined || isHere(limit.type)) &&
      (limit.imageType === undefined || limit.imageType === type.image.value),
  )
  if (hit.length > 0)
    throw unsupported(hit.map(({ finding }) => ({ ...finding, severity: 'error' })))
}

function unsupported(findings: KauriError['diagnostics']): KauriError {
  const [first] = findings
  return new KauriError(
    'UNSUPPORTED',
    findings.length === 1 && first !== undefined
      ? first.message
      : `the description asks for ${findings.length} things that are not supported`,
    { where: first?.where, diagnostics: findings },
  )
}

function incomplete(description: Description, message: string, hint?: string): KauriError {
  return new KauriError('DESCRIPTION_INVALID', `${description.file}: ${message}`, { hint })
}

function lastOfEachName(users: readonly User[]): User[] {
  return [...new Map(users.map(user => [user.name.value, user])).values()]
}
