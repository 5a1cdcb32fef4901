// Package phases as steps: bootstrap and image installs, uninstall and delete.

import { createHash } from 'node:crypto'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import type { InstallStep, PackageRepository, PackageRequest, RemoveStep } from '../plan/plan.ts'
import type { Description, Located, Repository } from './description.ts'
import type { SelectedDescription } from './select-description.ts'

/** The step that installs a phase's packages; the bootstrap is always there, the image phase only where it has packages. */
export function installSteps(
  selected: SelectedDescription,
  phase: 'bootstrap' | 'image',
): InstallStep[] {
  const { packages, packageManager, settings, repositories, description } = selected
  if (repositories.every(({ imageOnly }) => imageOnly)) throw noRepository(description)
  const { recommended, ignored } = packages[phase]
  const requests = packages[phase].packages.map(requestOf)
  if (phase === 'image' && requests.length === 0) return []
  // An image that is to get more packages can manage them itself: KIWI adds the package manager, too.
  const needsManager =
    phase === 'bootstrap' &&
    packages.image.packages.length > 0 &&
    requests.every(({ name }) => name !== packageManager)
  return [
    {
      kind: 'install',
      title: phase === 'bootstrap' ? 'bootstrap' : 'packages',
      phase: phase === 'bootstrap' ? 'bootstrap' : 'packages',
      manager: packageManager,
      bootstrap: phase === 'bootstrap',
      repositories: repositories.map(one => repositoryOf(one, selected)),
      packages: needsManager ? [...requests, { name: packageManager }].toSorted(byName) : requests,
      ignore: ignored,
      recommended,
      excludeDocs: settings.excludeDocs?.value ?? false,
    },
  ]
}

function noRepository({ file }: Description): KauriError {
  return new KauriError(
    'DESCRIPTION_INVALID',
    `${file}: no <repository> is selected, so there is nothing to install from`,
    { hint: 'add <repository><source path="obsrepositories:/"/></repository>' },
  )
}

/** The step that removes packages, where there are some to remove. */
export function removeSteps(
  { packages, packageManager }: SelectedDescription,
  mode: 'uninstall' | 'delete',
): RemoveStep[] {
  const requests = packages[mode].packages.map(requestOf)
  if (requests.length === 0) return []
  const phase = 'config'
  return [
    {
      kind: 'remove',
      title: `${mode} packages`,
      phase,
      manager: packageManager,
      mode,
      packages: requests,
    },
  ]
}

function requestOf({ value, where }: Located<string>): PackageRequest {
  return { name: value, where }
}

function byName(a: PackageRequest, b: PackageRequest): number {
  return a.name < b.name ? -1 : 1
}

function repositoryOf(repository: Repository, selected: SelectedDescription): PackageRepository {
  const { distribution, components, architectures, priority, source } = repository
  return {
    alias: repository.alias ?? derivedAlias(repository),
    location: withCredentials(locationOf(source.value, selected), repository),
    ...(distribution === undefined ? {} : { distribution }),
    components,
    ...(architectures.length === 0 ? {} : { architectures }),
    ...(priority === undefined ? {} : { priority }),
    keys: repository.keys.map(({ value }) => value),
    checkSignatures: repository.repositoryGpgCheck !== false,
    inImage: repository.imageOnly ? 'only' : repository.imageInclude ? 'also' : 'no',
    where: source.where,
  }
}

/** A name that stays the same for the same repository, so that builds repeat. */
function derivedAlias({ source, distribution = '', components }: Repository): string {
  const words = [source.value, distribution, ...components].join('\0')
  return `repository-${createHash('sha256').update(words).digest('hex').slice(0, 12)}`
}

/** `this://` is the description's directory, `%arch` the machine that the image is for. */
function locationOf(location: string, { description, machine }: SelectedDescription): string {
  const expanded = location.replaceAll('%arch', machine)
  const [, below] = /^this:(?:\/\/)?(.*)$/.exec(expanded) ?? []
  return below === undefined ? expanded : `dir://${path.join(description.directory, below)}`
}

function withCredentials(location: string, { username, password }: Repository): string {
  if (username === undefined) return location
  const userInfo = [username, ...(password === undefined ? [] : [password])]
    .map(encodeURIComponent)
    .join(':')
  return location.replace(/^(https?:\/\/)(?:[^/@]*@)?/i, `$1${userInfo}@`)
}
