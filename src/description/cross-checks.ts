// What no schema can say: names that must exist, values that must fit together. Works on the typed description, so it
// also runs over one that is broken elsewhere; empty values were reported before.

import { KauriError, type SourcePosition } from '../core/errors.ts'
import { parseReference } from '../oci/reference.ts'
import type { DescribedTree } from './describe-tree.ts'
import type {
  ContainerConfig,
  ImageType,
  Located,
  NamedValue,
  PackageSection,
  Repository,
  User,
} from './description.ts'
import type { RuleName } from './rules.ts'

/** Tells a finding at a place in the description. */
export type Tell = (rule: RuleName, where: SourcePosition, message: string, hint?: string) => void

/** Checks everything that the file alone decides. */
export function crossCheck(tree: DescribedTree, root: SourcePosition, tell: Tell): void {
  checkVersions(tree, root, tell)
  checkTypes(tree, root, tell)
  for (const { containerConfig, image } of tree.preferences.flatMap(({ types }) => types))
    if (containerConfig !== undefined) checkContainer(containerConfig, image.value, tell)
  for (const { users } of tree.users) checkUsers(users, tell)
  checkPackageManager(tree, root, tell)
  for (const { modules, type } of tree.packages)
    if (type.value !== 'bootstrap')
      for (const { name } of modules)
        tell(
          'element-misplaced',
          name.where,
          `the module ${name.value} is switched on in a section of type ${type.value}`,
          'modules belong into <packages type="bootstrap">',
        )
  for (const repository of tree.repositories) checkRepository(repository, tell)
}

function checkRepository(repository: Repository, tell: Tell): void {
  const { repositoryGpgCheck, packageGpgCheck, source, username, where, type } = repository
  if (repositoryGpgCheck === false)
    tell('signatures-off', source.where, `the signatures of ${source.value} are not checked`)
  if (packageGpgCheck !== undefined && type?.startsWith('apt') === true)
    tell(
      'without-effect',
      where,
      'package_gpgcheck has no meaning for apt, which checks packages through their signed index',
    )
  if (username !== undefined && !/^https?:/i.test(source.value))
    tell('without-effect', where, `nobody asks for a user name at ${source.value}`)
}

function checkVersions({ preferences }: DescribedTree, root: SourcePosition, tell: Tell): void {
  const versions = preferences
    .map(({ version }) => version)
    .filter(version => version !== undefined)
  if (versions.length === 0)
    tell(
      'version-missing',
      root,
      'no <preferences> has a <version>',
      'add <version>1.0.0</version>',
    )
  for (const { value, where } of versions)
    if (!/^[A-Za-z0-9._+~-]+$/.test(value))
      tell('version-form', where, `"${value}" is no version`, 'write three numbers, such as 1.0.0')
    else if (!/^\d+\.\d+\.\d+$/.test(value))
      tell('version-unusual', where, `the version ${value} is not MAJOR.MINOR.RELEASE`)
}

function checkTypes({ preferences }: DescribedTree, root: SourcePosition, tell: Tell): void {
  if (preferences.every(({ types }) => types.length === 0))
    tell('type-missing', root, 'no <preferences> has a <type>', 'add <type image="docker"/>')
  for (const section of preferences)
    for (const type of repeated(section.types, ({ image }) => image.value))
      reportRepeatedType(type, tell)
}

function reportRepeatedType({ image, where }: ImageType, tell: Tell): void {
  tell(
    'type-repeated',
    where,
    `a second <type image="${image.value}"> in the same <preferences>`,
    'put one of them into a <preferences> for a profile',
  )
}

/** The items whose name another item before them has. */
function repeated<T>(items: readonly T[], nameOf: (item: T) => string): T[] {
  const seen = new Set<string>()
  return items.filter(item => {
    const name = nameOf(item)
    const isRepeated = seen.has(name)
    seen.add(name)
    return isRepeated
  })
}

function checkContainer(config: ContainerConfig, imageType: string, tell: Tell): void {
  // Windows takes any name for its appx packages.
  if (imageType !== 'appx' && imageType !== 'wsl') checkImageNames(config, tell)
  checkHistory(config, imageType, tell)
  for (const { value, where } of config.exposedPorts) {
    const port = Number(/^\d+/.exec(value)?.[0] ?? '1')
    if (port < 1 || port > 65_535)
      tell('port-invalid', where, `${value} is not a port`, 'ports go from 1 to 65535')
  }
  const paths = [
    ...config.volumes,
    ...(config.workingDirectory === undefined ? [] : [config.workingDirectory]),
  ]
  for (const { value, where } of paths)
    if (value !== '' && !value.startsWith('/'))
      tell('path-relative', where, `"${value}" is not an absolute path`, `write /${value}`)
  for (const { name } of config.environment)
    if (name.value.includes('='))
      tell('environment-name', name.where, `"${name.value}" is not the name of a variable`)
  checkRepeatedNames(config.environment, 'environment variable', tell)
  checkRepeatedNames(config.labels, 'label', tell)
}

function checkHistory({ history, where }: ContainerConfig, imageType: string, tell: Tell): void {
  const { applicationId, packageVersion, launcher } = history ?? {}
  if (imageType === 'appx' || (applicationId ?? packageVersion ?? launcher) === undefined) return
  tell(
    'without-effect',
    where,
    'application_id, package_version and launcher of <history> have a meaning for appx images only',
  )
}

function checkRepeatedNames(entries: readonly NamedValue[], what: string, tell: Tell): void {
  for (const { name } of repeated(entries, entry => entry.name.value))
    tell(
      'entry-repeated',
      name.where,
      `the ${what} ${name.value} is given again; the last one holds`,
    )
}

function checkImageNames({ name, tag, additionalNames }: ContainerConfig, tell: Tell): void {
  if (name.value !== '') checkReference('image-name', name, name.value, tell)
  const base = 'name'
  if (tag !== undefined) checkReference('image-tag', tag, `${base}:${tag.value}`, tell)
  for (const additional of additionalNames)
    if (additional.value.startsWith(':'))
      checkReference('image-tag', additional, `${base}${additional.value}`, tell)
    else checkReference('image-name', additional, additional.value, tell)
}

function checkReference(rule: RuleName, written: Located<string>, name: string, tell: Tell): void {
  try {
    parseReference(name)
  } catch (error) {
    if (!(error instanceof KauriError)) throw error
    const what = rule === 'image-tag' ? 'a tag' : 'the name of an image'
    tell(rule, written.where, `"${written.value}" is not ${what}`, error.hint)
  }
}

const hashForm = /^(?:\$[0-9a-z]+\$[^:\s]+|[./A-Za-z0-9]{13}|_[./A-Za-z0-9]{19}|[!*][^:\s]*|)$/

function checkUsers(users: readonly User[], tell: Tell): void {
  for (const { name, where } of repeated(users, user => user.name.value))
    tell('user-repeated', where, `the user ${name.value} is defined again in the same <users>`)
  for (const { password, passwordFormat, name } of users) {
    if (passwordFormat === 'plain') continue
    // The value itself stays out of the message: it may be a password after all.
    if (!hashForm.test(password.value))
      tell(
        'password-form',
        password.where,
        `the password of ${name.value} is not a crypt hash`,
        'write pwdformat="plain" for a password as it is typed, or a hash from `openssl passwd -6`',
      )
    else if (/^(?:\$1\$|[./A-Za-z0-9]{13}$)/.test(password.value))
      tell(
        'password-weak',
        password.where,
        `the password of ${name.value} is hashed with ${password.value.startsWith('$') ? 'MD5' : 'DES'}`,
        'make a new hash with `openssl passwd -6`',
      )
  }
}

function checkPackageManager(tree: DescribedTree, root: SourcePosition, tell: Tell): void {
  const managers = new Set(
    tree.preferences.flatMap(({ packageManager }) => packageManager?.value ?? []),
  )
  if (managers.size === 0)
    tell(
      'package-manager-missing',
      root,
      'no <preferences> has a <packagemanager>',
      'add <packagemanager>apt</packagemanager>',
    )
  const [manager = ''] = managers
  if (managers.size === 1)
    for (const { where, message } of tree.packages.flatMap(section =>
      beyondManager(section, manager),
    ))
      tell('package-manager-cannot', where, message)
  if (managers.size === 1 && manager === 'apt') checkAptPreferences(tree, tell)
}

function checkAptPreferences({ preferences }: DescribedTree, tell: Tell): void {
  for (const { filterLocales, releaseVersion, checkSignatures } of preferences) {
    if (filterLocales?.value)
      tell('without-effect', filterLocales.where, 'rpm-locale-filtering has no meaning for apt')
    if (releaseVersion !== undefined)
      tell('without-effect', releaseVersion.where, 'release-version has no meaning for apt')
    if (checkSignatures?.value === false)
      tell('signatures-checked', checkSignatures.where, 'apt checks signatures all the same')
  }
}

/** What a section asks for that its package manager has no notion of. */
export function beyondManager(
  section: PackageSection,
  manager: string,
): { where: SourcePosition; message: string }[] {
  if (manager !== 'apt') return []
  const kinds = [
    { items: section.collections, what: 'package collections (namedCollection)' },
    { items: section.products, what: 'products (product)' },
    { items: section.modules, what: 'modules (collectionModule)' },
  ]
  return kinds.flatMap(({ items, what }) =>
    items.map(({ name }) => ({ where: name.where, message: `apt has no ${what}: ${name.value}` })),
  )
}
