// dpkg's database as dpkg itself writes it when it unpacks packages onto an empty root: after this, the image's own dpkg
// configures them and never knows that it was not there before. Format version 1 (dpkg 1.16 and later).

import { createHash } from 'node:crypto'
import { closeSync, constants, readFileSync, writeFileSync } from 'node:fs'
import { makeDirectoriesInRoot, openPlace } from '../native/in-root.ts'
import { native } from '../native/native.ts'
import type { ControlFile } from './deb-archive.ts'
import type { OpenedDeb, UnpackedDeb } from './deb-unpack.ts'
import { type ControlField, formatStanza } from './dpkg-control.ts'

const adminDirectory = '/var/lib/dpkg'

/** Writes the database for packages that were unpacked and not yet configured; the native architecture comes first. */
export function writeDatabase(
  rootFd: number,
  unpacked: readonly UnpackedDeb[],
  architectures: readonly string[],
): void {
  for (const name of ['info', 'parts', 'updates', 'triggers', 'alternatives'])
    makeDirectoriesInRoot(rootFd, `${adminDirectory}/${name}`, { mode: 0o755, uid: 0, gid: 0 })
  const sorted = unpacked.toSorted((a, b) => compareText(infoName(a.deb), infoName(b.deb)))
  withDirectory(rootFd, `${adminDirectory}/info`, write => {
    write('format', plainFile('1\n'))
    for (const one of sorted) for (const [name, file] of infoFiles(rootFd, one)) write(name, file)
  })
  withDirectory(rootFd, `${adminDirectory}/triggers`, write => {
    for (const [name, text] of triggerFiles(sorted)) write(name, plainFile(text))
  })
  withDirectory(rootFd, adminDirectory, write => {
    write('status', plainFile(sorted.map(statusStanza).join('\n')))
    if (architectures.length > 1)
      write('arch', plainFile(architectures.map(name => `${name}\n`).join('')))
  })
}

/** Where dpkg keeps the control files of a package while it runs its preinst; debconf looks there, too. */
export const incomingDirectory: string = `${adminDirectory}/tmp.ci`

/** Puts a package's control files where its preinst expects them. */
export function writeIncoming(rootFd: number, { control }: OpenedDeb): void {
  makeDirectoriesInRoot(rootFd, incomingDirectory, { mode: 0o755, uid: 0, gid: 0 })
  withDirectory(rootFd, incomingDirectory, write => {
    write('control', control.control)
    for (const [name, file] of control.files) write(name, file)
  })
}

/** Undoes writeIncoming. */
export function removeIncoming(rootFd: number): void {
  using place = openPlace(rootFd, incomingDirectory)
  native().removeTreeAt(place.directoryFd, place.name)
}

/** How files of a package's part of the database start: packages of several architectures carry theirs. */
export function infoName({ name, architecture, control }: OpenedDeb): string {
  return control.stanza.get('Multi-Arch') === 'same' ? `${name}:${architecture}` : name
}

/** What the status file says of a package that is unpacked. */
export function statusStanza({ deb, conffiles }: UnpackedDeb): string {
  const fields: ControlField[] = []
  for (const field of deb.control.stanza.fields) {
    fields.push(field)
    if (field.name.toLowerCase() === 'package')
      fields.push({ name: 'Status', value: 'install ok unpacked' })
  }
  if (conffiles.length > 0)
    fields.push({
      name: 'Conffiles',
      value: ['', ...conffiles.map(path => `${path} newconffile`)].join('\n'),
    })
  return formatStanza({ fields })
}

/** The files that say which packages wait for which trigger (deb-triggers(5)), by name; path triggers share one. */
export function triggerFiles(unpacked: readonly UnpackedDeb[]): Map<string, string> {
  const files = new Map<string, string>()
  for (const { deb } of unpacked) {
    const text = deb.control.files.get('triggers')?.content.toString() ?? ''
    for (const line of text.split('\n')) {
      const [, kind = '', trigger = ''] =
        /^\s*(interest(?:-noawait|-await)?)\s+(\S+)/.exec(line) ?? []
      if (trigger === '') continue
      const waiting = infoName(deb) + (kind === 'interest-noawait' ? '/noawait' : '')
      const isPath = trigger.startsWith('/')
      const name = isPath ? 'File' : trigger
      const entry = isPath ? `${trigger} ${waiting}\n` : `${waiting}\n`
      // A trigger's name becomes a file name.
      if (!name.includes('/')) files.set(name, (files.get(name) ?? '') + entry)
    }
  }
  return files
}

function infoFiles(rootFd: number, unpacked: UnpackedDeb): [string, ControlFile][] {
  const { deb, paths } = unpacked
  const base = infoName(deb)
  const files: [string, ControlFile][] = [...deb.control.files].map(([name, file]) => [
    `${base}.${name}`,
    file,
  ])
  files.push([`${base}.list`, plainFile(paths.map(path => `${path}\n`).join(''))])
  if (!deb.control.files.has('md5sums'))
    files.push([`${base}.md5sums`, plainFile(checksums(rootFd, unpacked))])
  return files
}

/** For packages that bring no checksums of their own. */
function checksums(rootFd: number, { files, conffiles }: UnpackedDeb): string {
  const isConffile = new Set(conffiles)
  return files
    .map(path => {
      const written = isConffile.has(path) ? `${path}.dpkg-new` : path
      const fd = native().openInRoot(rootFd, written, constants.O_RDONLY | constants.O_NOFOLLOW)
      try {
        return `${createHash('md5').update(readFileSync(fd)).digest('hex')}  ${path.slice(1)}\n`
      } finally {
        closeSync(fd)
      }
    })
    .join('')
}

function plainFile(text: string): ControlFile & { readonly mtimeSeconds: number } {
  return { content: Buffer.from(text), mode: 0o644, mtimeSeconds: Math.floor(Date.now() / 1000) }
}

type WriteFile = (name: string, file: ControlFile) => void

function withDirectory(rootFd: number, directory: string, work: (write: WriteFile) => void): void {
  using place = openPlace(rootFd, `${directory}/inside`)
  const calls = native()
  work((name, { content, mode, mtimeSeconds }) => {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC
    const fd = calls.openAt(place.directoryFd, name, flags, 0o600)
    try {
      writeFileSync(fd, content)
      calls.finishFile(fd, 0, 0, mode, mtimeSeconds, 0)
    } finally {
      closeSync(fd)
    }
  })
}

function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
