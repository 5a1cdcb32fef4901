// <include from="…">: the children of another file's <image> take the element's place. Includes nest, are relative to the
// file they stand in, stay below the description's directory, and every element keeps its place in its own file.

import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import type { Report } from './report.ts'
import { readSourceFile } from './source-text.ts'
import { findAttribute, parseXml, placeOf, type XmlElement } from './xml-tree.ts'

const maxIncludedFiles = 200

interface IncludeScope {
  readonly report: Report
  /** Absolute directory of the description, and how messages show it. */
  readonly directory: string
  readonly shownDirectory: string
  /** Relative paths of the files around the one being read, outermost first. */
  readonly chain: readonly string[]
  readonly counter: { files: number }
}

/** The tree with every include replaced. @throws DESCRIPTION_INVALID where an included file is not well-formed */
export async function resolveIncludes(
  root: XmlElement,
  place: { readonly directory: string; readonly shownDirectory: string; readonly fileName: string },
  report: Report,
): Promise<XmlElement> {
  const { directory, shownDirectory, fileName } = place
  const scope = { report, directory, shownDirectory, chain: [fileName], counter: { files: 0 } }
  return { ...root, children: await includeChildren(root, scope) }
}

async function includeChildren(root: XmlElement, scope: IncludeScope): Promise<XmlElement[]> {
  const children: XmlElement[] = []
  for (const child of root.children)
    if (child.name === 'include') children.push(...(await readInclude(child, scope)))
    else children.push(child)
  return children
}

async function readInclude(
  include: XmlElement,
  scope: IncludeScope,
): Promise<readonly XmlElement[]> {
  const from = findAttribute(include, 'from')
  // Left in the tree, where the schema reports the missing attribute.
  if (from === undefined) return [include]
  const tell = (message: string, hint?: string): readonly XmlElement[] => {
    scope.report.add('include-invalid', placeOf(include, from.valueOffset), message, hint)
    return []
  }
  const file = includedFile(from.value, scope.chain.at(-1) ?? '')
  if (file === undefined)
    return tell(
      `${from.value} is not a file below the description's directory`,
      'write a relative path',
    )
  if (scope.chain.includes(file))
    return tell(`${file} includes itself: ${[...scope.chain, file].join(' → ')}`)
  if (++scope.counter.files > maxIncludedFiles)
    return tell(`more than ${maxIncludedFiles} included files`)
  const root = await readIncluded(file, scope, tell)
  if (root === undefined) return []
  return includeChildren(root, { ...scope, chain: [...scope.chain, file] })
}

/** The path below the description's directory, or undefined where the URI leads elsewhere. */
function includedFile(uri: string, includingFile: string): string | undefined {
  const [, scheme = '', rest = ''] = /^(?:(file|this):(?:\/\/)?)?(.*)$/.exec(uri) ?? []
  // this:// is the description's own directory, so its path starts there and not beside the including file.
  const base = scheme === 'this' ? '' : path.dirname(includingFile)
  const file =
    scheme === 'this' ? path.join('.', rest) : path.join(rest.startsWith('/') ? '' : base, rest)
  return /^[a-z]+:/.test(rest) || path.isAbsolute(file) || file.startsWith('..') ? undefined : file
}

async function readIncluded(
  file: string,
  { directory, shownDirectory, chain }: IncludeScope,
  tell: (message: string) => unknown,
): Promise<XmlElement | undefined> {
  try {
    const source = await readSourceFile(path.join(directory, file), path.join(shownDirectory, file))
    const root = parseXml(source)
    if (root.name === 'image') return root
    tell(`the first element of ${file} is <${root.name}>, not <image>`)
    return undefined
  } catch (error) {
    if (!(error instanceof KauriError) || error.code !== 'DESCRIPTION_NOT_FOUND') throw error
    tell(`there is no file ${file}, which ${chain.join(' → ')} includes`)
    return undefined
  }
}
