// <containerconfig> as typed values.

import type { ContainerConfig, ContainerHistory, Located, NamedValue } from './description.ts'
import {
  attributeText,
  childrenOf,
  childText,
  elementPosition,
  flagAttribute,
  locatedAttribute,
  requiredAttribute,
} from './read-tree.ts'
import { withoutUndefined } from './without-undefined.ts'
import { findAttribute, type XmlElement } from './xml-tree.ts'

/** The typed form of <containerconfig>. */
export function describeContainerConfig(element: XmlElement): ContainerConfig {
  const [history] = childrenOf(element, 'history')
  return {
    where: elementPosition(element),
    name: requiredAttribute(element, 'name'),
    additionalNames: additionalNames(element),
    exposedPorts: itemsOf(element, 'expose', 'port').map(port => requiredAttribute(port, 'number')),
    volumes: itemsOf(element, 'volumes', 'volume').map(volume => requiredAttribute(volume, 'name')),
    environment: itemsOf(element, 'environment', 'env').map(namedValue),
    labels: itemsOf(element, 'labels', 'label').map(namedValue),
    ...withoutUndefined({
      tag: locatedAttribute(element, 'tag'),
      maintainer: attributeText(element, 'maintainer'),
      user: attributeText(element, 'user'),
      workingDirectory: locatedAttribute(element, 'workingdir'),
      entrypoint: commandOf(childrenOf(element, 'entrypoint')[0]),
      subcommand: commandOf(childrenOf(element, 'subcommand')[0]),
      stopSignal: childText(element, 'stopsignal'),
      history: history === undefined ? undefined : describeHistory(history),
    }),
  }
}

function itemsOf(element: XmlElement, list: string, item: string): XmlElement[] {
  return childrenOf(element, list).flatMap(one => childrenOf(one, item))
}

function namedValue(element: XmlElement): NamedValue {
  return {
    name: requiredAttribute(element, 'name'),
    value: attributeText(element, 'value') ?? '',
  }
}

/** The names in the comma list, each with its own place. */
function additionalNames(element: XmlElement): Located<string>[] {
  const attribute = findAttribute(element, 'additionalnames')
  if (attribute === undefined) return []
  const names: Located<string>[] = []
  let offset = attribute.valueOffset
  for (const part of attribute.value.split(',')) {
    const leading = part.length - part.trimStart().length
    if (part.trim() !== '')
      names.push({ value: part.trim(), where: element.source.positionAt(offset + leading) })
    offset += part.length + 1
  }
  return names
}

/** `clear="true"` empties a command that a base image would hand down; otherwise `execute` and its arguments. */
function commandOf(element: XmlElement | undefined): string[] | undefined {
  if (element === undefined) return undefined
  if (flagAttribute(element, 'clear')) return []
  const program = attributeText(element, 'execute')
  const words = childrenOf(element, 'argument').map(
    argument => requiredAttribute(argument, 'name').value,
  )
  return program === undefined ? words : [program, ...words]
}

function describeHistory(element: XmlElement): ContainerHistory {
  return withoutUndefined({
    createdBy: attributeText(element, 'created_by'),
    author: attributeText(element, 'author'),
    applicationId: attributeText(element, 'application_id'),
    packageVersion: attributeText(element, 'package_version'),
    launcher: attributeText(element, 'launcher'),
    comment: element.text === '' ? undefined : element.text,
  })
}
