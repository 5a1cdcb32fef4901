// Repositories that stay in the image: a deb822 file for apt in the image, without credentials, and the keys it needs.

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { readTextIfThere } from '../core/atomic-file.ts'
import { KauriError } from '../core/errors.ts'
import { existsInRoot, makeDirectoriesInRoot, writeFileInRoot } from '../native/in-root.ts'
import type { KeyedSource } from './apt-list-set.ts'
import { type AptSource, formatSource } from './apt-sources.ts'

/** A file of the image's apt configuration. */
export interface ImageSourceFile {
  readonly path: string
  readonly content: string | Buffer
  /** Not written where the image's own packages already bring the file. */
  readonly isFallback: boolean
}

/** The files for all sources, grouped by the alias of their repository. */
export async function imageSourceFiles(
  sources: readonly KeyedSource[],
): Promise<ImageSourceFile[]> {
  const files: ImageSourceFile[] = []
  const stanzas = new Map<string, string[]>()
  for (const entry of sources) {
    const name = fileName(entry.repository.alias)
    const keyed = await imageKeys(entry, name)
    files.push(...keyed.files)
    const uris = (await Promise.all(entry.source.uris.map(reachableUris))).flat()
    const stanza = formatSource({ ...entry.source, uris, signedBy: keyed.signedBy })
    stanzas.set(name, [...(stanzas.get(name) ?? []), stanza])
  }
  for (const [name, texts] of stanzas)
    files.push({
      path: `/etc/apt/sources.list.d/${name}.sources`,
      content: texts.join('\n'),
      isFallback: false,
    })
  const byPath = new Map(files.map(file => [file.path, file]))
  return [...byPath.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

/** Writes the files below a root; equal ones are written as they were. */
export function writeImageSources(rootFd: number, files: readonly ImageSourceFile[]): void {
  for (const { path: target, content, isFallback } of files) {
    if (isFallback && existsInRoot(rootFd, target)) continue
    makeDirectoriesInRoot(rootFd, path.posix.dirname(target), { mode: 0o755, uid: 0, gid: 0 })
    writeFileInRoot(rootFd, target, content, { mode: 0o644, uid: 0, gid: 0 })
  }
}

/** What the files say, as data for a key. */
export function imageSourcesIdentity(files: readonly ImageSourceFile[]): string[] {
  return files.map(file => {
    const hash = createHash('sha256').update(file.content).digest('hex')
    return `${file.path} ${hash}`
  })
}

interface ImageKeys {
  readonly files: readonly ImageSourceFile[]
  readonly signedBy: AptSource['signedBy']
}

async function imageKeys({ source, keyring }: KeyedSource, name: string): Promise<ImageKeys> {
  const { signedBy } = source
  const files: ImageSourceFile[] = []
  const values: string[] = []
  const keep = (file: string, content: string | Buffer, isFallback: boolean): void => {
    files.push({ path: file, content, isFallback })
    values.push(file)
  }
  if (signedBy?.kind === 'inline') keep(`/etc/apt/keyrings/${name}.asc`, signedBy.armored, false)
  for (const value of signedBy?.kind === 'references' ? signedBy.values : [])
    if (value.startsWith('/')) keep(value, await readKey(value), true)
    else values.push(value)
  if (keyring !== undefined) keep(`/etc/apt/keyrings/${name}.gpg`, keyring, false)
  return { files, signedBy: values.length === 0 ? undefined : { kind: 'references', values } }
}

async function readKey(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    throw new KauriError('FILE_NOT_FOUND', `the signing key ${file} of the host cannot be read`, {
      hint: 'correct Signed-By in /etc/apt/sources.list.d',
      cause: error,
    })
  }
}

/** A mirror list is a file of the host: the image gets the mirrors that it names. */
async function reachableUris(uri: string): Promise<string[]> {
  const list = /^mirror\+file:\/*(\/.*)$/i.exec(uri)?.[1]
  if (list === undefined) return [uri]
  const text = (await readTextIfThere(list)) ?? ''
  return text.split('\n').flatMap(line => /^\s*([a-z+]+:\S+)/i.exec(line)?.[1] ?? [])
}

/** apt reads files of these characters only. */
function fileName(alias: string): string {
  return alias.replace(/[^A-Za-z0-9_.-]+/g, '-').replace(/^[-.]+/, '') || 'repository'
}
