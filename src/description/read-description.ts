// Reads a description from its directory: find the file, read the XML, put in its includes, lift it to the newest schema
// version, hold it against the tables, and check what the tables cannot know. All findings come in one go.

import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import { checkProfiles } from './check-profiles.ts'
import { crossCheck, type Tell } from './cross-checks.ts'
import { describeTree } from './describe-tree.ts'
import type { Description } from './description.ts'
import { findDescriptionFiles } from './description-files.ts'
import { elementPosition } from './read-tree.ts'
import { createReport, type Report, throwOnErrors } from './report.ts'
import { resolveIncludes } from './resolve-includes.ts'
import { makeFinding, readSourceFile, type SourceText } from './source-text.ts'
import { newestSchemaVersion, schemaVersions, upgradeSchema } from './upgrade-schema.ts'
import { validateTree } from './validate.ts'
import { findAttribute, parseXml, placeOf, type XmlElement } from './xml-tree.ts'

export interface ReadOptions {
  /** Name of the description's file in the directory; undefined: config.xml, image/config.xml or the first *.kiwi. */
  readonly kiwiFile?: string | undefined
}

/**
 * Reads and checks the description in a directory.
 * @throws DESCRIPTION_NOT_FOUND, DESCRIPTION_INVALID with every finding in `diagnostics`
 */
export async function readDescription(
  directory: string,
  options: ReadOptions = {},
): Promise<Description> {
  const fileName = await findDescriptionFile(directory, options.kiwiFile)
  const shown = path.join(directory, fileName)
  const source = await readSourceFile(shown, shown)
  const report = createReport()
  const place = { directory: path.resolve(directory), shownDirectory: directory, fileName }
  const included = await resolveIncludes(parseXml(source), place, report)
  const root = upgrade(included, report)
  const limits = validateTree(root, report)
  const tree = describeTree(root)
  const tell = tellWithExcerpt(root, report)
  crossCheck(tree, elementPosition(root), tell)
  checkProfiles(root, tree.profiles, tell)
  const files = await findDescriptionFiles(place.directory, tree, directory, tell)
  const findings = report.findings()
  throwOnErrors([...findings, ...limits.map(({ finding }) => finding)], shown)
  return { ...tree, file: shown, directory: place.directory, fileName, files, findings, limits }
}

async function findDescriptionFile(
  directory: string,
  kiwiFile: string | undefined,
): Promise<string> {
  if (kiwiFile !== undefined) return kiwiFile
  const names = await listDirectory(directory)
  if (names.includes('config.xml')) return 'config.xml'
  if (
    names.includes('image') &&
    (await listDirectory(path.join(directory, 'image'))).includes('config.xml')
  )
    return path.join('image', 'config.xml')
  const kiwi = names.toSorted().find(name => name.endsWith('.kiwi'))
  if (kiwi !== undefined) return kiwi
  throw new KauriError('DESCRIPTION_NOT_FOUND', `${directory} holds no description`, {
    hint: 'put a config.xml or a file ending in .kiwi there, or name another directory',
  })
}

async function listDirectory(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (hasErrno(error, 'ENOENT'))
      throw new KauriError('DESCRIPTION_NOT_FOUND', `the directory ${directory} does not exist`, {
        cause: error,
      })
    if (hasErrno(error, 'ENOTDIR'))
      throw new KauriError('DESCRIPTION_NOT_FOUND', `${directory} is not a directory`, {
        cause: error,
      })
    throw error
  }
}

/** Lifts the tree to the newest version where its own is known; otherwise says what is wrong with it. */
function upgrade(root: XmlElement, report: Report): XmlElement {
  const version = findAttribute(root, 'schemaversion')
  if (root.name !== 'image' || version === undefined) return root
  if (schemaVersions.some(known => known === version.value))
    return upgradeSchema(root, version.value, report)
  report.add(
    'schema-version',
    placeOf(root, version.valueOffset),
    `the schema version ${version.value} is not supported`,
    `versions ${schemaVersions[0]} to ${newestSchemaVersion} are read`,
  )
  return root
}

/** Findings of checks that only know positions get the line from the file they are in. */
function tellWithExcerpt(root: XmlElement, report: Report): Tell {
  const sources = new Map<string, SourceText>()
  const collect = (element: XmlElement): void => {
    sources.set(element.source.file, element.source)
    element.children.forEach(collect)
  }
  collect(root)
  return (rule, where, message, hint) =>
    report.addFinding(makeFinding(rule, where, { source: sources.get(where.file), message, hint }))
}
