// Who `--chown` and WORKDIR's user mean: numbers, or names in the target root's own /etc/passwd and /etc/group. As in
// BuildKit, a number without a group is also the group's, and a name that nobody has is root.

import { KauriError } from '../core/errors.ts'
import type { Emit } from '../core/events.ts'
import { readTextInRoot } from '../native/in-root.ts'
import type { Owner } from './copy-entries.ts'

export interface OwnerLookup {
  /** An O_PATH descriptor of the root. */
  readonly rootFd: number
  /** There is no root yet that could know names. */
  readonly isEmpty: boolean
  readonly emit: Emit
}

const maxFileBytes = 10 * 1024 * 1024

/** @throws DESCRIPTION_INVALID for a name where there is nothing to look it up in; UNSUPPORTED for account files that are none */
export function findOwner(text: string, lookup: OwnerLookup): Owner {
  const colon = text.indexOf(':')
  const user = findUser(colon < 0 ? text : text.slice(0, colon), lookup)
  return colon < 0
    ? user
    : { uid: user.uid, gid: findGroup(text.slice(colon + 1), user.gid, lookup) }
}

function findUser(text: string, lookup: OwnerLookup): Owner {
  const id = parseId(text)
  if (id !== undefined) return { uid: id, gid: id }
  const fields = findLine('/etc/passwd', text, lookup)
  if (fields !== undefined) return { uid: number(fields[2]), gid: number(fields[3]) }
  lookup.emit({ kind: 'warning', message: `the image has no user ${text}: the files are root's` })
  return { uid: 0, gid: 0 }
}

function findGroup(text: string, gidOfUser: number, lookup: OwnerLookup): number {
  const id = parseId(text)
  if (id !== undefined) return id
  const fields = findLine('/etc/group', text, lookup)
  if (fields !== undefined) return number(fields[2])
  lookup.emit({
    kind: 'warning',
    message: `the image has no group ${text}: the files belong to the group ${gidOfUser}`,
  })
  return gidOfUser
}

function parseId(text: string): number | undefined {
  if (text === '' || text === 'root') return 0
  if (!/^\+?\d{1,10}$/.test(text)) return undefined
  const id = Number(text)
  return id < 2 ** 31 ? id : undefined
}

function findLine(
  file: string,
  name: string,
  { rootFd, isEmpty }: OwnerLookup,
): string[] | undefined {
  if (isEmpty)
    throw new KauriError('DESCRIPTION_INVALID', 'invalid user index: -1', {
      hint: `write the number of ${name}: there is no ${file} below this instruction`,
    })
  const text = readTextInRoot(rootFd, file, maxFileBytes) ?? ''
  return text
    .split('\n')
    .map(line => line.trim().split(':'))
    .find(fields => fields[0] === name)
}

/** What is no number counts as 0, as for the engines. */
function number(text: string | undefined): number {
  return /^\d{1,10}$/.test(text ?? '') ? Number(text) : 0
}
