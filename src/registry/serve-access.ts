// Who may do what: everybody may read, or only those whom an htpasswd file names, and then for everything: clients learn
// from the first answer whether to say who they are, so reading without and writing with a password do not go together.

import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { compare } from 'bcryptjs'
import { KauriError } from '../core/errors.ts'
import { Refusal } from './serve-error.ts'

/** Users and what a request of theirs may do. */
export interface Access {
  /** @throws Refusal 401 or 403 */
  require(request: IncomingMessage, action: 'read' | 'write'): Promise<void>
}

export interface AccessOptions {
  readonly mode: 'ro' | 'rw'
  /** Lines `NAME:HASH` with bcrypt hashes, as `htpasswd -B` writes them; undefined: everybody reads, and nobody writes. */
  readonly passwordFile: string | undefined
}

/** @throws USAGE where the file has lines of another form */
export function openAccess({ mode, passwordFile }: AccessOptions): Access {
  const users = passwordFile === undefined ? undefined : passwordTable(passwordFile)
  return {
    async require(request, action) {
      if (action === 'write' && mode === 'ro')
        throw new Refusal(405, 'UNSUPPORTED', 'this registry is read-only')
      if (users === undefined) {
        if (action === 'read') return
        throw new Refusal(403, 'DENIED', 'nobody may write here')
      }
      if (!(await users.accepts(credentialsOf(request))))
        throw new Refusal(401, 'UNAUTHORIZED', 'log in first', {
          'WWW-Authenticate': 'Basic realm="kauri", charset="UTF-8"',
        })
    },
  }
}

interface UserCredentials {
  readonly name: string
  readonly password: string
}

function credentialsOf({ headers }: IncomingMessage): UserCredentials | undefined {
  const [, encoded] = /^basic ([A-Za-z0-9+/=]{1,2000})$/i.exec(headers.authorization ?? '') ?? []
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon < 0 ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) }
}

interface PasswordTable {
  accepts(credentials: UserCredentials | undefined): Promise<boolean>
}

/** A hash that no password has, as slow as the users' own: asking for an unknown user takes as long as for a known one. */
function nobodysHash(users: ReadonlyMap<string, string>): string {
  const [first = '$2b$10'] = users.values()
  return `${first.slice(0, costLength)}$abcdefghijklmnopqrstuuQ5kCOEvWSDbtvNRxLdUTyLbBTjFBcdW`
}

/** Of `$2b$10`. */
const costLength = 6
const remembered = 1000

/** Read again when the file changes. bcrypt is slow on purpose, so what was accepted is remembered as a digest. */
function passwordTable(file: string): PasswordTable {
  let users = readUsers(file)
  let stamp = statSync(file).mtimeMs
  const accepted = new Set<string>()
  const refresh = (): void => {
    const now = statSync(file, { throwIfNoEntry: false })?.mtimeMs
    if (now === undefined || now === stamp) return
    users = readUsers(file)
    stamp = now
    accepted.clear()
  }
  return {
    async accepts(credentials) {
      if (credentials === undefined) return false
      refresh()
      const { name, password } = credentials
      const hash = users.get(name)
      const key = createHash('sha256').update(`${name}\0${hash}\0${password}`).digest('hex')
      if (accepted.has(key)) return true
      const isRight = await compare(password, hash ?? nobodysHash(users))
      if (!isRight || hash === undefined) return false
      if (accepted.size >= remembered) accepted.clear()
      accepted.add(key)
      return true
    },
  }
}

function readUsers(file: string): Map<string, string> {
  const users = new Map<string, string>()
  for (const [index, line] of readFileSync(file, 'utf8').split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const [, name, hash] = /^([^:\s]+):(\$2[aby]\$\d\d\$[./A-Za-z0-9]{53})\s*$/.exec(line) ?? []
    if (name === undefined || hash === undefined)
      throw new KauriError('USAGE', `${file} has no NAME:HASH with a bcrypt hash here`, {
        where: { file, line: index + 1, column: 1 },
        hint: 'make it with htpasswd -B -c FILE NAME',
      })
    users.set(name, hash)
  }
  return users
}
