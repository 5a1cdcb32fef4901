// Who may do what: everybody may read, or only those whom an htpasswd file names, and then for everything: clients learn
// from the first answer whether to say who they are, so reading without and writing with a password do not go together.

import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { compare } from 'bcryptjs'
import { createSlots } from '../core/concurrency.ts'
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
      const from = request.socket.remoteAddress ?? ''
      if (!(await users.accepts(credentialsOf(request), from)))
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
  /** @throws Refusal 429 where an address guesses, or too many are asked about at once */
  accepts(credentials: UserCredentials | undefined, from: string): Promise<boolean>
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
  const guesses = guessLimit()
  const comparisons = createSlots(1)
  let waiting = 0
  const isPassword = async (password: string, hash: string): Promise<boolean> => {
    if (waiting >= mostWaiting) throw tooMany(waitSeconds)
    waiting++
    try {
      return await comparisons.run(() => compare(password, hash))
    } finally {
      waiting--
    }
  }
  const refresh = (): void => {
    const now = statSync(file, { throwIfNoEntry: false })?.mtimeMs
    if (now === undefined || now === stamp) return
    users = readUsers(file)
    stamp = now
    accepted.clear()
  }
  return {
    async accepts(credentials, from) {
      if (credentials === undefined) return false
      refresh()
      const { name, password } = credentials
      const hash = users.get(name)
      const key = createHash('sha256').update(`${name}\0${hash}\0${password}`).digest('hex')
      if (accepted.has(key)) return true
      guesses.require(from)
      const isRight = await isPassword(password, hash ?? nobodysHash(users))
      if (!isRight || hash === undefined) {
        guesses.count(from)
        return false
      }
      if (accepted.size >= remembered) accepted.clear()
      accepted.add(key)
      return true
    },
  }
}

/** Passwords that wait to be compared, each a tenth of a second or more of work. */
const mostWaiting = 32
const waitSeconds = 5

/** Wrong passwords from one address within a minute. */
const mostGuesses = 10
const guessMs = 60_000
const mostAddresses = 10_000

interface GuessLimit {
  /** @throws Refusal 429 */
  require(from: string): void
  /** Counts a wrong password. */
  count(from: string): void
}

function guessLimit(): GuessLimit {
  const wrong = new Map<string, { count: number; readonly sinceMs: number }>()
  const current = (from: string): { count: number; readonly sinceMs: number } | undefined => {
    const found = wrong.get(from)
    if (found !== undefined && Date.now() - found.sinceMs < guessMs) return found
    wrong.delete(from)
    return undefined
  }
  return {
    require(from) {
      const found = current(from)
      if (found === undefined || found.count < mostGuesses) return
      throw tooMany(Math.ceil((found.sinceMs + guessMs - Date.now()) / 1000))
    },
    count(from) {
      const found = current(from)
      if (found !== undefined) found.count++
      else {
        if (wrong.size >= mostAddresses) wrong.clear()
        wrong.set(from, { count: 1, sinceMs: Date.now() })
      }
    },
  }
}

function tooMany(seconds: number): Refusal {
  return new Refusal(429, 'TOOMANYREQUESTS', 'too many logins; try again later', {
    'Retry-After': String(seconds),
  })
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
