// <repository>, <packages> and <users> as typed values.

import type { PackageItem, PackageSection, Repository, User, UserSection } from './description.ts'
import {
  attributeText,
  childrenOf,
  elementPosition,
  flagAttribute,
  locatedAttribute,
  numberAttribute,
  requiredAttribute,
} from './read-tree.ts'
import { listAttribute, selectorOf, splitList } from './selector.ts'
import { withoutUndefined } from './without-undefined.ts'
import type { XmlElement } from './xml-tree.ts'

/** The typed form of <repository>. */
export function describeRepository(element: XmlElement): Repository {
  const [source] = childrenOf(element, 'source')
  return {
    selector: selectorOf(element),
    where: elementPosition(element),
    source: requiredAttribute(source ?? element, 'path'),
    keys: childrenOf(source, 'signing').map(key => requiredAttribute(key, 'key')),
    components: (attributeText(element, 'components') ?? '')
      .split(/[\s,]+/)
      .filter(one => one !== ''),
    architectures: listAttribute(element, 'architectures'),
    imageInclude: flagAttribute(element, 'imageinclude') ?? false,
    imageOnly: flagAttribute(element, 'imageonly') ?? false,
    ...withoutUndefined({
      alias: attributeText(element, 'alias'),
      type: attributeText(element, 'type'),
      distribution: attributeText(element, 'distribution'),
      priority: numberAttribute(element, 'priority'),
      repositoryGpgCheck: flagAttribute(element, 'repository_gpgcheck'),
      packageGpgCheck: flagAttribute(element, 'package_gpgcheck'),
      username: attributeText(element, 'username'),
      password: attributeText(element, 'password'),
    }),
  }
}

/** The typed form of <packages>. */
export function describePackages(element: XmlElement): PackageSection {
  const patternType = attributeText(element, 'patternType')
  const items = (name: string): PackageItem[] => childrenOf(element, name).map(packageItem)
  return {
    type: requiredAttribute(element, 'type'),
    selector: selectorOf(element),
    where: elementPosition(element),
    ...(patternType === 'plusRecommended' || patternType === 'onlyRequired' ? { patternType } : {}),
    packages: items('package'),
    ignored: items('ignore'),
    collections: items('namedCollection'),
    products: items('product'),
    modules: items('collectionModule'),
    archives: childrenOf(element, 'archive').map(archive => ({
      name: requiredAttribute(archive, 'name'),
      ...withoutUndefined({ targetDirectory: attributeText(archive, 'target_dir') }),
    })),
    files: childrenOf(element, 'file').map(file => ({
      name: requiredAttribute(file, 'name'),
      architectures: listAttribute(file, 'arch'),
      ...withoutUndefined({
        target: attributeText(file, 'target'),
        owner: attributeText(file, 'owner'),
        permissions: locatedAttribute(file, 'permissions'),
      }),
    })),
  }
}

function packageItem(element: XmlElement): PackageItem {
  return {
    name: requiredAttribute(element, 'name'),
    architectures: listAttribute(element, 'arch'),
  }
}

/** The typed form of <users>. */
export function describeUsers(element: XmlElement): UserSection {
  return {
    selector: selectorOf(element),
    users: childrenOf(element, 'user').map(describeUser),
  }
}

function describeUser(element: XmlElement): User {
  return {
    where: elementPosition(element),
    name: requiredAttribute(element, 'name'),
    password: requiredAttribute(element, 'password'),
    passwordFormat: attributeText(element, 'pwdformat') === 'plain' ? 'plain' : 'encrypted',
    groups: splitList(attributeText(element, 'groups') ?? '').map(describeGroup),
    ...withoutUndefined({
      id: numberAttribute(element, 'id'),
      home: attributeText(element, 'home'),
      realName: attributeText(element, 'realname'),
      shell: attributeText(element, 'shell'),
    }),
  }
}

function describeGroup(text: string): { name: string; id?: number } {
  const [name = '', id] = text.split(':')
  return id === undefined || id === '' ? { name } : { name, id: Number(id) }
}
