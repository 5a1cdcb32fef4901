// From a checked tree to the typed description. It never fails: where the tree is broken the report says so already, and
// what is missing is left empty, so that cross checks find more in the same run.

import { describeContainerConfig } from './describe-container.ts'
import { describePackages, describeRepository, describeUsers } from './describe-sections.ts'
import type {
  CertificateSection,
  Description,
  FileList,
  ImageType,
  Located,
  Preferences,
  Profile,
} from './description.ts'
import {
  attributeText,
  childrenOf,
  childText,
  elementPosition,
  flagAttribute,
  locatedChild,
  locatedFlag,
  requiredAttribute,
} from './read-tree.ts'
import { listAttribute, selectorOf } from './selector.ts'
import { withoutUndefined } from './without-undefined.ts'
import type { XmlElement } from './xml-tree.ts'

/** Everything that the file itself says. */
export type DescribedTree = Omit<
  Description,
  'file' | 'directory' | 'fileName' | 'files' | 'findings' | 'limits'
>

/** The typed form of <image>. */
export function describeTree(root: XmlElement): DescribedTree {
  const [about] = childrenOf(root, 'description')
  const displayName = attributeText(root, 'displayname')
  const imageId = attributeText(root, 'id')
  return {
    schemaVersion: attributeText(root, 'schemaversion') ?? '',
    name: requiredAttribute(root, 'name'),
    ...(displayName === undefined ? {} : { displayName }),
    ...(imageId === undefined ? {} : { imageId }),
    author: childText(about, 'author') ?? '',
    contact: childText(about, 'contact') ?? '',
    specification: childText(about, 'specification') ?? '',
    profiles: childrenOf(root, 'profiles')
      .flatMap(section => childrenOf(section, 'profile'))
      .map(describeProfile),
    preferences: childrenOf(root, 'preferences').map(describePreferences),
    repositories: childrenOf(root, 'repository').map(describeRepository),
    packages: childrenOf(root, 'packages').map(describePackages),
    users: childrenOf(root, 'users').map(describeUsers),
    certificates: childrenOf(root, 'certificates').map(describeCertificates),
    fileLists: root.children.flatMap(describeFileList),
  }
}

function describeProfile(element: XmlElement): Profile {
  return {
    name: requiredAttribute(element, 'name'),
    description: attributeText(element, 'description') ?? '',
    isDefault: flagAttribute(element, 'import') ?? false,
    requires: childrenOf(element, 'requires').map(requirement => ({
      profile: requiredAttribute(requirement, 'profile'),
      architectures: listAttribute(requirement, 'arch'),
    })),
    architectures: listAttribute(element, 'arch'),
  }
}

function describePreferences(element: XmlElement): Preferences {
  const texts = {
    version: locatedChild(element, 'version'),
    packageManager: locatedChild(element, 'packagemanager'),
    locale: locatedChild(element, 'locale'),
    keytable: locatedChild(element, 'keytable'),
    timezone: locatedChild(element, 'timezone'),
    releaseVersion: locatedChild(element, 'release-version'),
  }
  const flags = {
    checkSignatures: locatedFlag(element, 'rpm-check-signatures'),
    excludeDocs: locatedFlag(element, 'rpm-excludedocs'),
    filterLocales: locatedFlag(element, 'rpm-locale-filtering'),
  }
  const themes = {
    bootsplashTheme: childText(element, 'bootsplash-theme'),
    bootloaderTheme: childText(element, 'bootloader-theme'),
  }
  return {
    selector: selectorOf(element),
    where: elementPosition(element),
    ...withoutUndefined(texts),
    ...withoutUndefined(flags),
    ...withoutUndefined(themes),
    licenses: childrenOf(element, 'showlicense').map(({ text }) => text),
    types: childrenOf(element, 'type').map(describeType),
  }
}

function describeType(element: XmlElement): ImageType {
  const [container] = childrenOf(element, 'containerconfig')
  const attributes = element.attributes.map(
    ({ name, value, valueOffset }): [string, Located<string>] => [
      name,
      { value, where: element.source.positionAt(valueOffset) },
    ],
  )
  return {
    image: requiredAttribute(element, 'image'),
    primary: flagAttribute(element, 'primary') ?? false,
    where: elementPosition(element),
    ...(container === undefined ? {} : { containerConfig: describeContainerConfig(container) }),
    attributes: Object.fromEntries(attributes),
  }
}

function describeCertificates(element: XmlElement): CertificateSection {
  return {
    selector: selectorOf(element),
    distribution: attributeText(element, 'target_distribution') ?? '',
    files: childrenOf(element, 'certificate').map(file => requiredAttribute(file, 'name')),
  }
}

function describeFileList(element: XmlElement): FileList[] {
  const kind = element.name === 'drivers' ? 'drivers' : attributeText(element, 'type')
  if (element.name !== 'drivers' && element.name !== 'strip') return []
  if (kind !== 'drivers' && kind !== 'delete' && kind !== 'tools' && kind !== 'libs') return []
  return [
    {
      kind,
      selector: selectorOf(element),
      names: childrenOf(element, 'file').map(file => requiredAttribute(file, 'name').value),
    },
  ]
}
